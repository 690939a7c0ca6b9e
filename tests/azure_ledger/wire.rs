//! What goes over the wire: each request is noted, and can be lost, refused or answered by somebody else.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, HttpClient, Request, StatusCode};

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Goes through.
    None,
    /// Takes effect, and the reply is lost.
    ReplyLost,
    /// Takes effect, and the reply is another.
    ReplyIs(u16),
    /// Does not take effect, and is answered so.
    Answer(u16, &'static [(&'static str, &'static str)], &'static str),
    /// There is no connection.
    NoConnection,
    /// Nothing ever comes.
    Silence,
}

const REVOKED: Fault = Fault::Answer(
    401,
    &[
        ("x-ms-error-code", "InvalidAuthenticationInfo"),
        (
            "www-authenticate",
            "Bearer authorization_uri=https://login.microsoftonline.com/made-up/oauth2/authorize resource_id=https://storage.azure.com",
        ),
    ],
    "",
);

pub(crate) struct Wire {
    inner: Option<reqwest::Client>,
    seen: Mutex<Vec<String>>,
    next: Mutex<VecDeque<Fault>>,
    /// For all that no fault was planned for.
    always: Mutex<Fault>,
    /// What the service refuses as its own token.
    revoked: Mutex<Vec<String>>,
}

impl Wire {
    pub(crate) fn to(inner: reqwest::Client) -> Self {
        Self { inner: Some(inner), seen: Mutex::default(), next: Mutex::default(), always: Mutex::new(Fault::None), revoked: Mutex::default() }
    }

    /// Without a server: no sockets, so that time can be paused.
    pub(crate) fn nowhere(always: Fault) -> Self {
        Self { inner: None, seen: Mutex::default(), next: Mutex::default(), always: Mutex::new(always), revoked: Mutex::default() }
    }

    pub(crate) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.next.lock().unwrap().extend(faults);
    }

    /// From now on these bearer tokens are refused, as Microsoft Learn has it in "Authorize with Microsoft Entra ID".
    pub(crate) fn revoke(&self, tokens: &[String]) {
        self.revoked.lock().unwrap().extend(tokens.iter().map(|token| format!("Bearer {token}")));
    }

    fn refuses(&self, request: &Request) -> bool {
        let bearer = request.headers().get_optional_str(&"authorization".into()).unwrap_or_default();
        self.revoked.lock().unwrap().iter().any(|token| token == bearer)
    }

    /// The requests since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Method, what of the resource, and the lease's action and seconds: `PUT lease acquire 60`, `PUT container`, `PUT blob`, `GET blob`.
fn describe(request: &Request) -> String {
    let url = request.url();
    let query = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let what = query("comp").or_else(|| query("restype")).unwrap_or_else(|| "blob".to_owned());
    let header = |name: &'static str| request.headers().get_optional_str(&name.into()).unwrap_or_default();
    format!("{} {what} {} {}", request.method().as_ref(), header("x-ms-lease-action"), header("x-ms-lease-duration")).trim_end().to_owned()
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.seen.lock().unwrap().push(describe(request));
        let planned = self.next.lock().unwrap().pop_front();
        let fault = match planned {
            Some(planned) => planned,
            None if self.refuses(request) => REVOKED,
            None => self.always.lock().unwrap().clone(),
        };
        let lost = || azure_core::Error::with_message(ErrorKind::Io, "made-up: the connection was lost");
        match fault {
            Fault::None => self.inner.as_ref().unwrap().execute_request(request).await,
            Fault::ReplyLost => {
                self.inner.as_ref().unwrap().execute_request(request).await?;
                Err(lost())
            }
            Fault::ReplyIs(status) => {
                self.inner.as_ref().unwrap().execute_request(request).await?;
                Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), Headers::new(), ""))
            }
            Fault::Answer(status, pairs, body) => {
                let mut headers = Headers::new();
                for (name, value) in pairs {
                    headers.insert(*name, *value);
                }
                Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), headers, body))
            }
            Fault::NoConnection => Err(azure_core::Error::with_message(ErrorKind::Connection, "made-up: no connection")),
            Fault::Silence => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}
