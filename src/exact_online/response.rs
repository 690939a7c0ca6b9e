//! What a reply of the token service means. Pure, and no text of a reply leaves this file except a token, locked away.
//!
//! Order matters, and goes from what would be lost for ever to what can be asked again: a refresh token first, then the words of the reply, then
//! its error code, then its status.

use jiff::SignedDuration;
use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use super::fields::Fields;
use crate::token::reply::{Misconfiguration, Refusal, Unclear};
use crate::token::{CodeReply, Reply, Secret};

/// Why the reply is what it is, in Exact's words: the error description, after a code of their own.
const REASON: &str = "reason";

/// The bytes that came after the headers.
#[derive(Default)]
pub struct Body {
    /// As far as they came.
    pub bytes: Vec<u8>,
    /// Why there are no more, if the server did not say that these are all.
    pub cut: Option<Unclear>,
}

/// Names a reply to a request that sent the refresh token `sent`. An echo of that token is no new one.
#[must_use]
pub fn classify(sent: &Secret, status: StatusCode, headers: &HeaderMap, body: &Body) -> Reply {
    let mut fields = Fields::read(&body.bytes);
    let whole = body.cut.is_none();
    if whole
        && status == StatusCode::OK
        && let Some(grant) = fields.grant()
    {
        return Reply::Granted(grant);
    }
    let problem = body.cut.unwrap_or_else(|| unsettled(status, &body.bytes));
    if let Some(refresh_token) = fields.new_refresh_token(sent) {
        return Reply::OddGrant { refresh_token, problem };
    }
    // Only a 4xx says that the request was turned down. Whatever a gateway's 5xx quotes, the token may be spent behind it
    // (exactonline/exactonline-api-dotnet-client#152).
    let turned_down = if whole && status.is_client_error() { turned_down(status, headers, &fields) } else { None };
    turned_down.unwrap_or(Reply::Unclear(problem))
}

/// Names a reply to a request that sent a code. Beside what a refresh can bring, any other JSON error of a 4xx turns the code down: it is used, too
/// old, altered or another app's (bare `invalid_request`, `picqer/exact-php-client#553`; "Signed data extraction has failed", `#579`).
#[must_use]
pub fn classify_code(sent: &Secret, status: StatusCode, headers: &HeaderMap, body: &Body) -> CodeReply {
    match classify(sent, status, headers, body) {
        Reply::Unclear(_) if body.cut.is_none() && status.is_client_error() && Fields::read(&body.bytes).words().next().is_some() => {
            CodeReply::Refused
        }
        other => CodeReply::Other(other),
    }
}

fn unsettled(status: StatusCode, body: &[u8]) -> Unclear {
    match status {
        StatusCode::OK if body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii().is_empty() => Unclear::Empty,
        StatusCode::OK => Unclear::NotAGrant,
        other => Unclear::Status(other.as_u16()),
    }
}

/// The replies that are known to leave the token unspent, or dead. Words are found in the fields of a JSON body and in the `Reason` header, never
/// in a page that happens to quote them.
fn turned_down(status: StatusCode, headers: &HeaderMap, fields: &Fields) -> Option<Reply> {
    let reasons: Vec<String> =
        headers.get_all(HeaderName::from_static(REASON)).iter().map(|value| lower(&String::from_utf8_lossy(value.as_bytes()))).collect();
    let words: Vec<String> = fields.words().map(lower).chain(reasons.iter().cloned()).collect();
    let says = |text: &str| words.iter().any(|words| words.contains(text));
    let is = |code: &str| fields.error().is_some_and(|error| error.eq_ignore_ascii_case(code));
    let about_access = |words: &String| words.contains("access_token") || words.contains("access token") || is("access_denied");

    // Documented as 401, sent as 400, and once with `invalid_request` (websmurf/laravel-exact-online#31): the words count.
    if reasons.iter().any(|reason| reason.trim_start().starts_with("tooearlytorefreshtokens"))
        || words.iter().any(|words| words.contains("not expired") && about_access(words))
    {
        Some(Reply::TooEarly)
    // picqer/exact-php-client#549
    } else if says("old refresh token used") {
        Some(Reply::Refused(Refusal::OldTokenUsed))
    // picqer/exact-php-client#471
    } else if says("invalid or empty chainid") {
        Some(Reply::Refused(Refusal::InvalidChain))
    // websmurf/laravel-exact-online#22
    } else if says("refresh token expired at") {
        Some(Reply::Refused(Refusal::Expired))
    } else if is("invalid_client") {
        Some(Reply::Misconfigured(Misconfiguration::InvalidClient))
    // picqer/exact-php-client#488, #617
    } else if (is("unauthorized_client") && !says("old refresh token"))
        || words.iter().any(|words| words.contains("client with identifier") && words.contains("not found"))
    {
        Some(Reply::Misconfigured(Misconfiguration::UnauthorizedClient))
    } else if status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && reasons.iter().any(|reason| !reason.trim().is_empty())) {
        Some(Reply::Throttled { retry_after: retry_after(headers) })
    } else {
        None
    }
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// Seconds, or a date, which is measured against the reply's own `Date`: the server's clock on both sides. A date gone by is zero.
fn retry_after(headers: &HeaderMap) -> Option<SignedDuration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(SignedDuration::from_secs);
    }
    let parser = rfc2822::DateTimeParser::new();
    let now = parser.parse_timestamp(headers.get(DATE)?.as_bytes()).ok()?;
    let then = parser.parse_timestamp(text).ok()?;
    Some(then.duration_since(now).max(SignedDuration::ZERO))
}
