//! A request's body, sized or chunked, within bounds.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};

use super::reply::Refused;

/// A timer's envelope has under 1 KB, with a serialised exception in it some 100 KB.
const MOST: usize = 1024 * 1024;
/// What is too large is read on up to here, and dropped, so that a sender that reads only after writing gets the answer.
const MOST_DROPPED: usize = 8 * 1024 * 1024;
/// The host has the whole body at hand before it begins.
const LIMIT: Duration = Duration::from_secs(30);

/// Reads it to its end.
pub(super) async fn read(body: Body) -> Result<Vec<u8>, Refused> {
    tokio::time::timeout(LIMIT, collect(body)).await.unwrap_or(Err(Refused::BodyTooSlow))
}

async fn collect(mut body: Body) -> Result<Vec<u8>, Refused> {
    let announced = body.size_hint().lower();
    if announced > MOST_DROPPED as u64 {
        return Err(Refused::BodyTooLarge);
    }
    let mut kept = Vec::new();
    let mut seen = 0;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Refused::Malformed("the body could not be read"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > MOST_DROPPED {
            break;
        }
        if seen <= MOST {
            kept.extend_from_slice(&data);
        } else {
            kept = Vec::new();
        }
    }
    if seen <= MOST { Ok(kept) } else { Err(Refused::BodyTooLarge) }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use axum::body::Bytes;
    use hyper::body::Frame;

    use super::*;

    /// Never ends, and sends a block whenever it is asked, or nothing at all.
    struct Endless(Option<Bytes>);

    impl HttpBody for Endless {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.0.clone().map_or(Poll::Pending, |block| Poll::Ready(Some(Ok(Frame::data(block)))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        assert_eq!(read(Body::new(Endless(None))).await, Err(Refused::BodyTooSlow));
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_given_up() {
        assert_eq!(read(Body::new(Endless(Some(Bytes::from(vec![0; 100_000]))))).await, Err(Refused::BodyTooLarge));
    }

    #[tokio::test]
    async fn the_bound_is_exact() {
        assert_eq!(read(Body::from(vec![b' '; MOST])).await.map(|body| body.len()), Ok(MOST));
        assert_eq!(read(Body::from(vec![b' '; MOST + 1])).await, Err(Refused::BodyTooLarge));
        assert_eq!(read(Body::empty()).await, Ok(Vec::new()));
    }
}
