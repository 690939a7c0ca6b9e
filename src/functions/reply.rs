//! What goes back: the only table of statuses, the bodies, and what of it is logged.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, LOCATION, PRAGMA, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::config::ConfigError;
use crate::consent::{Connected, Failed, Finished, Problem};
use crate::get_token::{HandedOut, NoToken};
use crate::refresh_token::Tick;
use crate::status::Status;

use super::route::Route;

/// Seconds after which a call that took too long may be repeated.
const OVERDUE_RETRY_AFTER: i64 = 30;

/// All that can be answered.
#[derive(Debug)]
pub(super) enum Reply {
    /// To the readiness poll.
    Alive,
    /// To the timer.
    Tick(Tick),
    /// To a caller, the token.
    Token(HandedOut),
    /// To a caller, why there is none.
    NoToken {
        no_token: NoToken,
        /// Where a person connects again.
        consent_url: Option<String>,
    },
    /// To a monitor.
    Status(Box<Status>),
    /// To a person, how things stand.
    Overview(Box<Status>),
    /// To a person's browser: on to Exact's log-in page. Both headers are marked as sensitive.
    ToExact { location: HeaderValue, cookie: HeaderValue },
    /// To a person, how the consent ended.
    Finished(Finished),
    /// To a person, why there is no new chain.
    Failed(Failed),
    /// The request is not one that this program takes.
    Refused(Refused),
    /// No use case can run.
    BadSettings(Arc<ConfigError>),
    /// A use case panicked. The panic hook has logged it.
    Panicked,
    /// A use case is still running, past its time.
    Overdue,
}

/// Why a request is not taken. No variant carries anything of the request: it can contain the caller's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NotFound,
    Method { allow: &'static str },
    Malformed(&'static str),
    NotATimer,
    MinValidity { most: i64 },
    MaxWait { most: i64 },
    CrossSite,
    BodyTooLarge,
    BodyTooSlow,
}

impl Reply {
    /// The status and, for an error, its RFC 6749 style code.
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Alive | Self::Token(_) | Self::Tick(Tick { failed: false, .. }) | Self::Overview(_) | Self::Finished(_) => (StatusCode::OK, ""),
            // The one redirect: the host passes it on to the browser, which is not the host's to follow.
            Self::ToExact { .. } => (StatusCode::SEE_OTHER, ""),
            Self::Failed(failed) => (status_of(&failed.problem), ""),
            Self::Tick(Tick { failed: true, .. }) => (StatusCode::INTERNAL_SERVER_ERROR, ""),
            Self::Status(status) if status.servable => (StatusCode::OK, ""),
            Self::Status(_) => (StatusCode::SERVICE_UNAVAILABLE, ""),
            Self::NoToken { no_token: NoToken::ConsentRequired(_), .. } => (StatusCode::CONFLICT, "consent_required"),
            Self::NoToken { no_token: NoToken::Unavailable { .. }, .. } | Self::Overdue => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
            Self::NoToken { no_token: NoToken::ServerError(_), .. } | Self::BadSettings(_) | Self::Panicked => {
                (StatusCode::INTERNAL_SERVER_ERROR, "server_error")
            }
            Self::Refused(Refused::NotFound) => (StatusCode::NOT_FOUND, "invalid_request"),
            Self::Refused(Refused::Method { .. }) => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request"),
            Self::Refused(Refused::CrossSite) => (StatusCode::FORBIDDEN, "invalid_request"),
            Self::Refused(Refused::BodyTooSlow) => (StatusCode::REQUEST_TIMEOUT, "invalid_request"),
            Self::Refused(Refused::BodyTooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"),
            Self::Refused(Refused::Malformed(_) | Refused::NotATimer | Refused::MinValidity { .. } | Refused::MaxWait { .. }) => {
                (StatusCode::BAD_REQUEST, "invalid_request")
            }
        }
    }

    /// For a person: what is wrong, and what to do about it.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Alive | Self::Token(_) => String::new(),
            Self::Tick(tick) => tick.line.clone(),
            Self::NoToken { no_token: NoToken::ConsentRequired(needed), .. } => needed.to_string(),
            Self::NoToken { no_token: NoToken::ServerError(what) | NoToken::Unavailable { why: what, .. }, .. } => what.clone(),
            Self::Status(status) | Self::Overview(status) => status.summary.clone(),
            Self::ToExact { .. } => "a consent was begun, and the browser goes to Exact Online".to_owned(),
            Self::Finished(Finished::Connected(Connected { epoch, replaced, .. })) => {
                let before = if *replaced { "in place of the chain before" } else { "for the first time" };
                format!("connected to Exact Online by consent, {before}: epoch {epoch}")
            }
            Self::Finished(Finished::Confirm { .. }) => "somebody else consented than before; it waits to be confirmed".to_owned(),
            Self::Finished(Finished::LeftAsItWas) => "a consent by another user was not confirmed; all stays as it was".to_owned(),
            Self::Failed(Failed { problem, .. }) => format!("{problem}. {}", problem.remedy()),
            Self::Refused(refused) => refused.description(),
            Self::BadSettings(error) => format!("settings are missing or wrong: {error}"),
            Self::Panicked => "internal error; the log of the function app says where".to_owned(),
            Self::Overdue => "it took too long to answer; the work goes on".to_owned(),
        }
    }

    /// Says it once, at the level that the operator should see it at. The host throws the body of a failed timer invocation away, so that nobody
    /// else will; a tick that went well is in the host's log already, through `Logs`.
    pub(super) fn log(&self, route: Route) {
        let (status, _) = self.status();
        let said = self.description();
        match self {
            Self::Alive | Self::Panicked => {}
            Self::Tick(tick) if tick.failed => tracing::error!("{said}"),
            Self::Tick(_) => tracing::debug!("{said}"),
            Self::Token(token) if !token.warnings.is_empty() => {
                tracing::warn!(expires_in = token.expires_in, "a token was handed out: {}", token.warnings.join("; "));
            }
            Self::Token(token) => tracing::debug!(expires_in = token.expires_in, "a token was handed out"),
            // Whoever watches it asks often; what is wrong is said by those who fail of it.
            Self::Status(status) => tracing::debug!(state = ?status.state, "the status was asked for: {said}"),
            Self::NoToken { no_token: NoToken::Unavailable { retry_after, .. }, .. } => {
                tracing::warn!(retry_after, "no token was handed out: {said}");
            }
            Self::NoToken { no_token: NoToken::ConsentRequired(_) | NoToken::ServerError(_), .. } => {
                tracing::error!("no token was handed out: {said}");
            }
            Self::Overview(_) => tracing::debug!("the page was shown: {said}"),
            Self::ToExact { .. } | Self::Finished(_) => tracing::info!("{said}"),
            // Anybody can call the callback with anything.
            Self::Failed(_) if status.is_client_error() => tracing::info!(status = status.as_u16(), "a consent brought nothing: {said}"),
            Self::Failed(_) if status == StatusCode::SERVICE_UNAVAILABLE => tracing::warn!("a consent brought nothing: {said}"),
            Self::Failed(_) => tracing::error!("a consent went wrong: {said}"),
            Self::BadSettings(_) => tracing::error!("{said}"),
            Self::Refused(_) if route != Route::RefreshToken => tracing::info!(status = status.as_u16(), "a request was refused: {said}"),
            Self::Refused(_) => tracing::error!(status = status.as_u16(), "a timer invocation was refused: {said}"),
            Self::Overdue => tracing::error!("{said}"),
        }
    }

    /// Whether [`log`](Self::log) would write a line. What it belongs to need not be known where it would not.
    pub(super) fn has_something_to_log(&self) -> bool {
        match self {
            Self::Alive | Self::Panicked => false,
            Self::Token(token) => !token.warnings.is_empty() || tracing::enabled!(tracing::Level::DEBUG),
            _ => true,
        }
    }

    fn body(&self) -> String {
        match self {
            Self::Alive => json!({ "status": "ok" }).to_string(),
            Self::Tick(tick) => json!({ "Outputs": {}, "Logs": [tick.line], "ReturnValue": null }).to_string(),
            Self::Token(token) => token_body(token),
            Self::Status(status) => json_text(status),
            _ => {
                let mut body = json!({ "error": self.status().1, "error_description": self.description() });
                if let Some(seconds) = self.retry_after() {
                    body["retry_after"] = seconds.into();
                }
                if let Self::NoToken { no_token: NoToken::ConsentRequired(_), consent_url: Some(url) } = self {
                    body["consent_url"] = url.as_str().into();
                }
                body.to_string()
            }
        }
    }

    /// Status and headers that do not depend on what the body is.
    pub(super) fn dress(&self, response: &mut Response) {
        *response.status_mut() = self.status().0;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Self::ToExact { location, cookie } = self {
            headers.insert(LOCATION, location.clone());
            headers.insert(SET_COOKIE, cookie.clone());
        }
        if let Self::Refused(Refused::Method { allow }) = self {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        // The rest of the body is not read, so the server closes: unsaid, the host's next invocation could meet that on the connection it kept.
        if let Self::Refused(Refused::BodyTooLarge | Refused::BodyTooSlow) = self {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    fn retry_after(&self) -> Option<i64> {
        match self {
            Self::NoToken { no_token: NoToken::Unavailable { retry_after, .. }, .. } => Some((*retry_after).max(1)),
            Self::Overdue => Some(OVERDUE_RETRY_AFTER),
            _ => None,
        }
    }
}

/// A consent that brought nothing: 400 what the browser brought, 409 what another consent did, 503 what passes, 500 what a person has to mend.
fn status_of(problem: &Problem) -> StatusCode {
    match problem {
        Problem::Forged
        | Problem::OtherBrowser
        | Problem::Expired
        | Problem::Used
        | Problem::NoCode
        | Problem::Denied
        | Problem::EndedByExact
        | Problem::CodeRefused => StatusCode::BAD_REQUEST,
        Problem::Overtaken | Problem::NothingToConfirm => StatusCode::CONFLICT,
        Problem::TooEarly
        | Problem::Unreachable
        | Problem::Throttled
        | Problem::Unclear
        | Problem::Budget { .. }
        | Problem::Busy
        | Problem::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        Problem::NotThisApp | Problem::App | Problem::NotSaved(_) | Problem::Settings(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Refused {
    fn description(self) -> String {
        match self {
            Self::NotFound => "there is nothing at this path".to_owned(),
            Self::Method { allow } => format!("this path takes {allow}"),
            Self::Malformed(what) => what.to_owned(),
            Self::NotATimer => "the body is not the JSON object that the Functions host sends for a timer".to_owned(),
            Self::MinValidity { most } => format!("min_validity must be given once, as a whole number of seconds from 0 to {most}"),
            Self::MaxWait { most } => format!("max_wait must be given once, as a whole number of seconds from 0 to {most}"),
            Self::CrossSite => "the request came from a page of another site".to_owned(),
            Self::BodyTooLarge => "the body is larger than 1 MiB".to_owned(),
            Self::BodyTooSlow => "the body did not arrive within 30 s".to_owned(),
        }
    }
}

/// The one place where an access token becomes text for a caller.
///
/// The token stands first, and goes in as it is where JSON allows that: to look at its 900 characters one by one took a third of a warm call.
fn token_body(token: &HandedOut) -> String {
    let access_token = token.access_token.reveal();
    let rest = json_text(&BesideToken::of(token));
    let mut body = String::with_capacity(access_token.len() + rest.len() + 32);
    body.push_str(r#"{"access_token":"#);
    if stands_as_it_is(access_token) {
        body.extend(["\"", access_token, "\""]);
    } else {
        body.push_str(&json_text(&access_token));
    }
    body.push(',');
    body.push_str(&rest[1..]);
    body
}

/// Whether a JSON string needs no escape for it (RFC 8259, section 7). All bytes are looked at, without an early end, so that it is done many at a time.
fn stands_as_it_is(text: &str) -> bool {
    text.bytes().fold(0, |found, byte| found | u8::from(matches!(byte, ..b' ' | b'"' | b'\\'))) == 0
}

fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, whole numbers and yes or no can be written as JSON")
}

#[derive(Serialize)]
struct BesideToken<'a> {
    token_type: &'static str,
    /// An integer, unlike Exact's: Data Factory's expressions do not convert.
    expires_in: i64,
    expires_at: String,
    base_url: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

impl<'a> BesideToken<'a> {
    fn of(token: &'a HandedOut) -> Self {
        // Whole seconds, rounded down like `expires_in`.
        let expires_at = Timestamp::from_second(token.expires_at.as_second()).unwrap_or(token.expires_at);
        Self {
            token_type: "Bearer",
            expires_in: token.expires_in,
            expires_at: expires_at.to_string(),
            base_url: &token.base_url,
            warnings: &token.warnings,
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        self.dress(&mut response);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::token::Secret;

    use super::*;

    #[test]
    fn any_token_is_the_string_that_it_is() {
        for access_token in ["", "gAAAAmade-up_~.!", "a\"b", "\\", "\u{0}", "\n", "\u{1f}", " ", "\u{7f}ünï\u{2028}", &"x\\".repeat(500)] {
            let token = HandedOut {
                access_token: Secret::new(access_token),
                expires_in: 412,
                expires_at: Timestamp::UNIX_EPOCH,
                base_url: "https://start.exactonline.nl/\"".to_owned(),
                warnings: vec!["\"".to_owned()],
            };
            let body: Value = serde_json::from_str(&token_body(&token)).unwrap();
            let expected = json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 412, "expires_at": "1970-01-01T00:00:00Z",
                "base_url": token.base_url, "warnings": token.warnings});
            assert_eq!(body, expected);
        }
    }
}
