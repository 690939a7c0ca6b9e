//! What the adapter sends through: an HTTP client, or what a simulation puts in its place. Bounds in time and size, and what a reply means, stand above it.

use std::fmt;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Client, Request, StatusCode};

/// Sends one request once: no retry, no redirect.
#[async_trait]
pub trait Wire: fmt::Debug + Send + Sync {
    /// Ends when the head of a reply is there.
    async fn send(&self, request: Request) -> Result<Incoming, NotAnswered>;
}

/// A reply whose body is still to come.
pub struct Incoming {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Box<dyn Chunks>,
}

/// A body, piece by piece.
#[async_trait]
pub trait Chunks: Send {
    /// None: that was all, by the server's own word.
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken>;
}

/// Why there is no reply. No text from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnswered {
    /// There was no connection: nothing was sent.
    NeverLeft,
    /// It may have been sent.
    Lost,
}

/// The connection broke in the middle of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

#[async_trait]
impl Wire for Client {
    async fn send(&self, request: Request) -> Result<Incoming, NotAnswered> {
        let sent = self.execute(request).await;
        let mut response = sent.map_err(|error| if error.is_connect() || error.is_builder() { NotAnswered::NeverLeft } else { NotAnswered::Lost })?;
        let headers = std::mem::take(response.headers_mut());
        Ok(Incoming { status: response.status(), headers, body: Box::new(response) })
    }
}

#[async_trait]
impl Chunks for reqwest::Response {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        // Its own method of that name.
        match reqwest::Response::chunk(self).await {
            Ok(chunk) => Ok(chunk.map(Into::into)),
            Err(_) => Err(Broken),
        }
    }
}
