//! The adapter for Exact Online's token service: `request.rs` says what is sent, `response.rs` what came back means. Both are pure; what stands
//! between them sends, once.
//!
//! Nothing here logs: what is to be said about a reply is in the [`Reply`].

mod fields;
mod me;
pub mod probe;
pub mod region;
pub mod request;
pub mod response;
mod site;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap};
use reqwest::{Client, StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::ports::{ConsentEndpoint, TokenEndpoint};
use crate::token::ledger::ANSWER_WITHIN;
use crate::token::reply::{NotSent, Unclear};
use crate::token::{CodeReply, Person, Reply, Secret};
use response::Body;

/// Past this a reply is not read on. A grant takes some 2 KiB.
const MAX_BODY: usize = 64 * 1024;

/// How long `current/Me` may take: a person waits for it.
const ME_WITHIN: Duration = Duration::from_secs(10);

/// Exact Online's token service, for one app at one site.
#[derive(Debug)]
pub struct ExactOnline {
    http: Client,
    base_url: String,
    client_id: String,
    client_secret: Secret,
    answer_within: Duration,
}

impl ExactOnline {
    /// `http` comes from [`http::client`](crate::http::client) for the same `base_url`: what it forbids is what makes one call one request.
    #[must_use]
    pub fn new(http: Client, base_url: String, client_id: String, client_secret: Secret) -> Self {
        Self { http, base_url, client_id, client_secret, answer_within: ANSWER_WITHIN.unsigned_abs() }
    }

    #[cfg(test)]
    fn answering_within(self, answer_within: Duration) -> Self {
        Self { answer_within, ..self }
    }
}

/// What came back whole enough to be classified.
type Answer = (StatusCode, HeaderMap, Body);

impl ExactOnline {
    /// Sends one request to the token service; the error is what that means where no answer came.
    async fn send(&self, request: request::Request) -> Result<Answer, Reply> {
        let deadline = Instant::now() + self.answer_within;
        let mut post = self.http.post(request.url).body(request.body.reveal().to_owned());
        for (name, value) in request.headers {
            post = post.header(name, value);
        }
        match timeout_at(deadline, post.send()).await {
            Ok(Ok(mut response)) => {
                let body = read(&mut response, deadline).await;
                Ok((response.status(), response.headers().clone(), body))
            }
            // A URL that is none is found out before anything is sent.
            Ok(Err(error)) if error.is_connect() || error.is_builder() => Err(Reply::NotSent(NotSent::Unreachable)),
            Ok(Err(_)) => Err(Reply::Unclear(Unclear::ConnectionLost)),
            Err(_) => Err(Reply::Unclear(Unclear::TimedOut)),
        }
    }
}

#[async_trait]
impl TokenEndpoint for ExactOnline {
    async fn refresh(&self, refresh_token: &Secret) -> Reply {
        let request = request::refresh(&self.base_url, &self.client_id, &self.client_secret, refresh_token);
        match self.send(request).await {
            Ok((status, headers, body)) => response::classify(refresh_token, status, &headers, &body),
            Err(reply) => reply,
        }
    }
}

#[async_trait]
impl ConsentEndpoint for ExactOnline {
    fn authorize_url(&self, redirect_uri: &str, state: &str) -> String {
        request::authorize_url(&self.base_url, &self.client_id, redirect_uri, state)
    }

    async fn exchange(&self, code: &Secret, redirect_uri: &str) -> CodeReply {
        let request = request::exchange(&self.base_url, &self.client_id, &self.client_secret, code, redirect_uri);
        match self.send(request).await {
            Ok((status, headers, body)) => response::classify_code(code, status, &headers, &body),
            Err(reply) => CodeReply::Other(reply),
        }
    }

    async fn me(&self, access_token: &Secret) -> Option<Person> {
        let deadline = Instant::now() + ME_WITHIN;
        let get = self.http.get(request::me_url(&self.base_url)).bearer_auth(access_token.reveal()).header(ACCEPT, "application/json");
        let mut response = timeout_at(deadline, get.header(ACCEPT_ENCODING, "identity").send()).await.ok()?.ok()?;
        let body = read(&mut response, deadline).await;
        (response.status() == StatusCode::OK && body.cut.is_none()).then(|| me::read(&body.bytes))?
    }
}

/// Reads a body as far as it comes, and says why no further.
async fn read(response: &mut reqwest::Response, deadline: Instant) -> Body {
    let mut body = Body::default();
    loop {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => body.bytes.extend_from_slice(&chunk),
            Ok(Ok(None)) => return body,
            Ok(Err(_)) => return Body { cut: Some(Unclear::ConnectionLost), ..body },
            Err(_) => return Body { cut: Some(Unclear::TimedOut), ..body },
        }
        if body.bytes.len() > MAX_BODY {
            body.bytes.truncate(MAX_BODY);
            return Body { cut: Some(Unclear::TooLarge), ..body };
        }
    }
}
