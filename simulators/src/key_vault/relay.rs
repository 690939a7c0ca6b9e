//! A forward proxy on loopback (`CONNECT`, RFC 9110 section 9.3.6): clients that are told of it by `HTTPS_PROXY` reach simulated servers by the
//! real ones' names.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::wire;

const MOST_HEAD_BYTES: usize = 8 * 1024;

/// Where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To this server.
    To(SocketAddr),
    /// Nowhere: 502, as for a name that does not resolve or a server that is down.
    Refused,
    /// Nowhere, and nobody says so.
    Silent,
}

/// The proxy. It stops when it is dropped.
pub struct Relay {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    ways: BTreeMap<String, Way>,
    tunnels: Vec<String>,
}

impl Relay {
    /// Listens on a free port. Every name is refused until [`Relay::lead`] says otherwise.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(wire::accept(listener, move |stream| {
            let shared = Arc::clone(&shared);
            async move {
                // A tunnel that breaks has broken; the client sees it.
                let _ = tunnel(stream, &shared).await;
            }
        }));
        Ok(Self { state, address, task })
    }

    /// The value for `HTTPS_PROXY`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads `name:443` somewhere from now on. Tunnels that stand stay.
    pub fn lead(&self, name: &str, way: Way) {
        self.state().ways.insert(format!("{name}:443"), way);
    }

    /// What was asked for, in order: `name:443`.
    #[must_use]
    pub fn tunnels(&self) -> Vec<String> {
        self.state().tunnels.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel(mut stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MOST_HEAD_BYTES {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
    let way = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tunnels.push(target.clone());
        if method == "CONNECT" { state.ways.get(&target).copied().unwrap_or(Way::Refused) } else { Way::Refused }
    };
    match way {
        Way::To(address) => {
            let mut server = TcpStream::connect(address).await?;
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            tokio::io::copy_bidirectional(&mut stream, &mut server).await?;
            Ok(())
        }
        Way::Refused => stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await,
        Way::Silent => std::future::pending().await,
    }
}
