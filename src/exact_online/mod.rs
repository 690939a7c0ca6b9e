//! The adapter for Exact Online's token service: `request.rs` says what is sent, `response.rs` what came back means. Both are pure; what stands
//! between them sends, once.
//!
//! Nothing here logs: what is to be said about a reply is in the [`Reply`].

mod fields;
mod me;
mod probe;
pub mod region;
pub mod request;
pub mod response;
mod site;
#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};

use crate::patience::Patience;
use crate::ports::{ConsentEndpoint, TokenEndpoint};
use crate::token::ledger::ANSWER_WITHIN;
use crate::token::reply::{NotSent, Unclear};
use crate::token::{CodeReply, Person, Reply, Secret};
use response::Body;
use wire::{Incoming, NotAnswered, Wire};

/// Past this a reply is not read on. A grant takes some 2 KiB.
const MAX_BODY: usize = 64 * 1024;

/// How long `current/Me` may take: a person waits for it.
const ME_WITHIN: Duration = Duration::from_secs(10);

/// Exact Online's token service, for one app at one site.
#[derive(Debug)]
pub struct ExactOnline {
    wire: Arc<dyn Wire>,
    base_url: String,
    client_id: String,
    client_secret: Secret,
    answer_within: Duration,
}

impl ExactOnline {
    /// `http` comes from [`http::client`](crate::http::client) for the same `base_url`: what it forbids is what makes one call one request.
    #[must_use]
    pub fn new(http: Client, base_url: String, client_id: String, client_secret: Secret) -> Self {
        Self::over(Arc::new(http), base_url, client_id, client_secret)
    }

    /// Over another wire than an HTTP client's.
    #[must_use]
    pub fn over(wire: Arc<dyn Wire>, base_url: String, client_id: String, client_secret: Secret) -> Self {
        Self { wire, base_url, client_id, client_secret, answer_within: ANSWER_WITHIN.unsigned_abs() }
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
        let mut patience = Patience::of(self.answer_within);
        // A URL that is none is found out before anything is sent.
        let Ok(url) = Url::parse(&request.url) else { return Err(Reply::NotSent(NotSent::Unreachable)) };
        let mut post = reqwest::Request::new(Method::POST, url);
        *post.body_mut() = Some(request.body.reveal().to_owned().into());
        for (name, value) in request.headers {
            post.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        match patience.wait_for(self.wire.send(post)).await {
            Some(Ok(mut incoming)) => {
                let body = read(&mut incoming, &mut patience).await;
                Ok((incoming.status, incoming.headers, body))
            }
            Some(Err(NotAnswered::NeverLeft)) => Err(Reply::NotSent(NotSent::Unreachable)),
            Some(Err(NotAnswered::Lost)) => Err(Reply::Unclear(Unclear::ConnectionLost)),
            None => Err(Reply::Unclear(Unclear::TimedOut)),
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
        let mut patience = Patience::of(ME_WITHIN);
        let mut get = get(&request::me_url(&self.base_url))?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", access_token.reveal())).ok()?;
        bearer.set_sensitive(true);
        get.headers_mut().insert(AUTHORIZATION, bearer);
        get.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut incoming = patience.wait_for(self.wire.send(get)).await?.ok()?;
        let body = read(&mut incoming, &mut patience).await;
        (incoming.status == StatusCode::OK && body.cut.is_none()).then(|| me::read(&body.bytes))?
    }
}

/// A `GET` whose reply is to come as it is. None: the URL is none.
fn get(url: &str) -> Option<reqwest::Request> {
    let mut get = reqwest::Request::new(Method::GET, Url::parse(url).ok()?);
    get.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Some(get)
}

/// Reads a body as far as it comes, and says why no further.
async fn read(incoming: &mut Incoming, patience: &mut Patience) -> Body {
    let mut body = Body::default();
    loop {
        match patience.wait_for(incoming.body.chunk()).await {
            Some(Ok(Some(chunk))) => body.bytes.extend_from_slice(&chunk),
            Some(Ok(None)) => return body,
            Some(Err(_)) => return Body { cut: Some(Unclear::ConnectionLost), ..body },
            None => return Body { cut: Some(Unclear::TimedOut), ..body },
        }
        if body.bytes.len() > MAX_BODY {
            body.bytes.truncate(MAX_BODY);
            return Body { cut: Some(Unclear::TooLarge), ..body };
        }
    }
}
