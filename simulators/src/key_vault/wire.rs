//! Plain replies over real connections: hyper below, and every way for a reply not to arrive.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::exact_online::{Delivery, Reply};

const MOST_BODY_BYTES: usize = 1024 * 1024;

/// Accepts until it is dropped, and drops every connection then.
pub(crate) async fn accept<F>(listener: TcpListener, each: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut lines = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                lines.spawn(each(stream));
            },
            Some(_) = lines.join_next() => {}
        }
    }
}

/// Answers the requests of one connection.
pub(crate) async fn serve<S>(stream: S, answer: impl Fn(&Parts, Vec<u8>) -> Reply + Send + Sync + 'static)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let answer = Arc::new(answer);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = Arc::clone(&answer);
        async move {
            let (head, body) = request.into_parts();
            let body = Limited::new(body, MOST_BODY_BYTES).collect().await.map(|it| it.to_bytes().to_vec()).unwrap_or_default();
            deliver(answer(&head, body)).await
        }
    });
    // Connections end in many ways here, none of which is news.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The parameters of a request, decoded.
pub(crate) fn query(uri: &hyper::Uri) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// The connection ends.
#[derive(Debug)]
struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection ends here")
    }
}

impl std::error::Error for Gone {}

async fn deliver(reply: Reply) -> Result<hyper::Response<Part>, Gone> {
    let arrives = match reply.delivery {
        Delivery::Whole => reply.body.len(),
        Delivery::After(delay) => {
            tokio::time::sleep(delay).await;
            reply.body.len()
        }
        Delivery::Cut => reply.body.len() / 2,
        Delivery::Reset => return Err(Gone),
        Delivery::Never => std::future::pending::<Infallible>().await as usize,
    };
    let mut response = hyper::Response::builder().status(reply.status).header("Content-Length", reply.body.len());
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let whole = arrives == reply.body.len();
    let first = Bytes::from(reply.body).slice(..arrives);
    Ok(response.body(Part { first: Some(first), whole }).expect("status and headers of a simulated reply are valid HTTP"))
}

/// A body of which only the beginning may come.
struct Part {
    first: Option<Bytes>,
    whole: bool,
}

impl Body for Part {
    type Data = Bytes;
    type Error = Gone;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Gone>>> {
        Poll::Ready(match self.first.take() {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None if self.whole => None,
            None => Some(Err(Gone)),
        })
    }
}
