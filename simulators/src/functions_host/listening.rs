//! Which addresses a process listens on, read from Linux's `/proc`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};

/// `st` of a listening socket in `/proc/net/tcp`; see proc(5).
const LISTEN: &str = "0A";

/// Every TCP address on which the process listens. Linux only.
pub(super) fn addresses(pid: u32) -> Result<Vec<SocketAddr>> {
    let inodes = socket_inodes(pid)?;
    let mut addresses = Vec::new();
    for table in ["tcp", "tcp6"] {
        let file = format!("/proc/{pid}/net/{table}");
        let text = match std::fs::read_to_string(&file) {
            // A kernel without IPv6 has no second table.
            Err(_) if table == "tcp6" => continue,
            other => other.with_context(|| file.clone())?,
        };
        let rows = text.lines().skip(1).filter_map(row);
        addresses.extend(rows.filter(|(_, inode)| inodes.contains(inode)).map(|(at, _)| at));
    }
    Ok(addresses)
}

fn socket_inodes(pid: u32) -> Result<Vec<u64>> {
    let folder = format!("/proc/{pid}/fd");
    let mut inodes = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.clone())? {
        let Ok(target) = std::fs::read_link(entry?.path()) else {
            continue;
        };
        let target = target.to_string_lossy().into_owned();
        let number = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inodes.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    Ok(inodes)
}

/// Address and inode of a listening socket's line.
fn row(line: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(ip(address)?, port), fields.get(9)?.parse().ok()?))
}

/// Words of 32 bits in hexadecimal, each in the byte order of the machine.
fn ip(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for word in text.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_line_is_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0";
        if cfg!(target_endian = "little") {
            assert_eq!(row(line), Some(("127.0.0.1:8080".parse().unwrap(), 4242)));
        }
        assert_eq!(row(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(ip(&"0".repeat(32)), Some(Ipv6Addr::UNSPECIFIED.into()));
    }
}
