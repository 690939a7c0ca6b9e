//! Connections that can be made to break: a reply is cut or never begins because the *socket* ends.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// How a connection shall end. A handler gets hold of it through axum's `ConnectInfo`.
#[derive(Clone, Default)]
pub(super) struct Ending(Arc<Mutex<End>>);

#[derive(Clone, Copy, Default)]
enum End {
    /// As HTTP has it.
    #[default]
    Regular,
    /// At the next write, with a reset.
    Reset,
    /// After the head and so many bytes of the body.
    AfterBody(usize),
    /// After so many bytes.
    After(usize),
}

impl Ending {
    /// Not another byte goes out, the peer sees a reset.
    pub(super) fn reset(&self) {
        *self.end() = End::Reset;
    }

    /// The next reply's head goes out, and so many bytes of its body; then the connection is closed.
    pub(super) fn after_body(&self, bytes: usize) {
        *self.end() = End::AfterBody(bytes);
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts [`Line`]s.
pub(super) struct Lines(pub(super) TcpListener);

/// A connection with an ending.
pub(super) struct Line {
    stream: TcpStream,
    ending: Ending,
}

impl Listener for Lines {
    type Io = Line;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Line, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (Line { stream, ending: Ending::default() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Ending {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().ending.clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

/// Vectored writes are left out, so that a reply's head arrives here in front of its body.
impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let end = *self.ending.end();
        let allowed = match end {
            End::Regular => return Pin::new(&mut self.stream).poll_write(cx, bytes),
            End::Reset => {
                self.stream.set_zero_linger()?;
                0
            }
            End::AfterBody(body) => {
                let head = bytes.windows(4).position(|it| it == b"\r\n\r\n").map_or(bytes.len(), |it| it + 4);
                head + body
            }
            End::After(allowed) => allowed,
        };
        if allowed == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..allowed.min(bytes.len())]))?;
        *self.ending.end() = End::After(allowed - written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
