//! A handler as a process of its own: how it is started, how soon it answers, and what it takes from the machine.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::Instant;

use super::load;

/// Between two attempts to connect: short beside what is measured, and long enough to leave a core to the process that starts.
const POLL: Duration = Duration::from_micros(100);
/// It takes milliseconds.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Runs until it is dropped.
pub(crate) struct Handler {
    child: Child,
    pub(crate) port: u16,
    /// From the start of the process to its answer to `GET /`.
    pub(crate) started_in: Duration,
}

impl Handler {
    /// Starts what `command` makes of a free port, and polls it as the host does, only more often. Blocks.
    pub(crate) fn start(command: impl FnOnce(u16) -> Command) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = command(port);
        // Warnings and errors of the program are to be seen.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let start = Instant::now();
        let child = command.spawn().with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        let mut handler = Self { child, port, started_in: Duration::ZERO };
        let mut stream = handler.connect(start)?;
        stream.set_read_timeout(Some(READY_WITHIN))?;
        stream.write_all(load::request("/").as_bytes())?;
        let mut reply = [0; 1024];
        let read = stream.read(&mut reply).context("GET / was not answered")?;
        handler.started_in = start.elapsed();
        ensure!(reply[..read].starts_with(b"HTTP/1.1 200 "), "GET /: {}", String::from_utf8_lossy(&reply[..read]));
        Ok(handler)
    }

    fn connect(&mut self, start: Instant) -> anyhow::Result<TcpStream> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        loop {
            match TcpStream::connect(address) {
                // While nobody listens, a connection can be one to itself.
                Ok(stream) if stream.local_addr()? != address => return Ok(stream),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the handler ended: {status}");
            }
            ensure!(start.elapsed() < READY_WITHIN, "the handler does not listen");
            std::thread::sleep(POLL);
        }
    }

    /// Bytes of memory that are resident.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// Processor time that it has used so far, in the kernel's ticks.
    pub(crate) fn ticks(&self) -> anyhow::Result<u32> {
        let stat = self.proc("stat")?;
        // The second field is a name in parentheses; user and system time are the 14th and 15th.
        let (_, after_name) = stat.rsplit_once(") ").context("no name in stat")?;
        let mut fields = after_name.split(' ').skip(11).map(str::parse::<u32>);
        let (user, system) = (fields.next().context("no user time")??, fields.next().context("no system time")??);
        Ok(user + system)
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read; only Linux has it"))
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // The host kills, too.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Builds a program as it is shipped and says where it is. Cargo's own build for this bench is another one: it would have the features that tests
/// switch on in the crates that both use.
pub(crate) fn build(profile: &str, arguments: &[&str]) -> anyhow::Result<std::path::PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--profile", profile, "--locked", "--message-format", "json-render-diagnostics"]).args(arguments);
    // What cargo tells this process about its package would have build scripts run again that look at it: now, and with the next `cargo bench`.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    let output = command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{arguments:?} does not build");
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
        let executable = message.get("executable")?.as_str()?;
        Some(executable.into())
    });
    executable.context("cargo names no executable")
}
