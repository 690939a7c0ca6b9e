//! How requests of the SDK go out: what is read may be read again, what is written is sent once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{Headers, RETRY_AFTER};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, ClientOptions, Context, HttpClient, Method, Request, RetryOptions, StatusCode, Transport};
use tokio::time::Instant;

use crate::http::AZURE_EXCHANGE_WITHIN;

/// What to say when no HTTP client can be made.
pub(super) const NO_CERTIFICATES: &str = "the system's TLS certificates could not be loaded; install the package ca-certificates";

/// How often a read is tried.
const TRIES: u32 = 3;
/// Before the second try, unless the server says otherwise; twice that before the third.
const PAUSE: Duration = Duration::from_millis(400);
/// If the server asks for more patience than this, the call ends with what the server said.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// A read that already took this long is not tried again. One that got no answer at all is: two of those are within what a call may take.
const TRIES_WITHIN: Duration = AZURE_EXCHANGE_WITHIN.saturating_add(Duration::from_secs(1));
const _: () = assert!(AZURE_EXCHANGE_WITHIN.as_secs() * 2 + 1 < super::key_vault::CALL_WITHIN.as_secs());

/// What requests to the service at `url` go out on.
pub(super) fn client(url: &str) -> Result<Arc<dyn HttpClient>, reqwest::Error> {
    Ok(Arc::new(ByMethod { reads: crate::http::azure_client(url)?, writes: crate::http::client(url)? }))
}

/// Options for a client of the SDK. One client serves reads and writes, so that one challenge and one token do.
pub(super) fn options(http: Arc<dyn HttpClient>) -> ClientOptions {
    ClientOptions {
        // The SDK's own retries make no difference between a read and a write, and wait for as long as a `Retry-After` says.
        retry: RetryOptions::none(),
        per_call_policies: vec![Arc::new(ReadAgain)],
        transport: Some(Transport::new(http)),
        ..ClientOptions::default()
    }
}

/// A read may come over a connection that was used before; a write never does, so that "not connected" means "not sent".
#[derive(Debug)]
struct ByMethod {
    reads: reqwest::Client,
    writes: reqwest::Client,
}

#[async_trait]
impl HttpClient for ByMethod {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let client = if request.method() == Method::Get { &self.reads } else { &self.writes };
        HttpClient::execute_request(client, request).await
    }
}

/// Tries a `GET` again after what passes: no connection, a lost reply, 408, 429, 5xx.
#[derive(Debug)]
struct ReadAgain;

#[async_trait]
impl Policy for ReadAgain {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let begun = Instant::now();
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            let result = next[0].send(ctx, request, &next[1..]).await;
            let wait = match &result {
                _ if request.method() != Method::Get => return result,
                Ok(response) if passes(response.status()) => retry_after(response.headers()).unwrap_or(pause).max(pause),
                Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Connection) => pause,
                Ok(_) | Err(_) => return result,
            };
            if wait > LONGEST_PAUSE || begun.elapsed() + wait > TRIES_WITHIN {
                return result;
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        next[0].send(ctx, request, &next[1..]).await
    }
}

fn passes(status: StatusCode) -> bool {
    matches!(u16::from(status), 408 | 429 | 500..=599)
}

/// The seconds of `Retry-After`. Key Vault sends no date there.
pub(super) fn retry_after(headers: &Headers) -> Option<Duration> {
    headers.get_optional_str(&RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs)
}
