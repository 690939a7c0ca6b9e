//! A door between the program and a server: open, shut, or answered by nobody. The server keeps what it has meanwhile.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// It has one address all its life.
pub(crate) struct Gate {
    /// Bound and never listening: while nobody listens beside it a connection is refused, and nobody else gets the port.
    _port: TcpSocket,
    address: SocketAddr,
    to: SocketAddr,
    task: Option<JoinHandle<()>>,
}

impl Gate {
    /// Open.
    pub(crate) fn to(to: SocketAddr) -> Self {
        let port = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = port.local_addr().unwrap();
        Self { task: Some(listen(address, Some(to))), _port: port, address, to }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn open(&mut self) {
        self.shut().await;
        self.task = Some(listen(self.address, Some(self.to)));
    }

    /// From now on a connection is refused, and those that stand are broken.
    pub(crate) async fn shut(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // Until it has ended it may still listen.
            drop(task.await);
        }
    }

    /// From now on a connection is taken, and nothing ever comes back.
    pub(crate) async fn mute(&mut self) {
        self.shut().await;
        self.task = Some(listen(self.address, None));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

fn listen(address: SocketAddr, to: Option<SocketAddr>) -> JoinHandle<()> {
    let listener = socket(address).listen(64).unwrap();
    tokio::spawn(async move {
        let mut lines = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            lines.spawn(async move {
                let Some(to) = to else { return std::future::pending().await };
                if let Ok(mut far) = TcpStream::connect(to).await {
                    // A line that breaks has broken; both ends see it.
                    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                }
            });
            while lines.try_join_next().is_some() {}
        }
    })
}
