//! What a reply looks like, for the report of an experiment: status, names of headers, names and types of JSON members, lengths. No token, and no text
//! from outside but names and the few words that are listed here.

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::response::{classify, classify_code};
use super::{Answer, ExactOnline, request};
use crate::ports::{Looks, Probed, TokenProbe};
use crate::token::reply::Unclear;
use crate::token::{CodeReply, Reply, Secret};

/// No header's or member's name that is shown is longer, and no number.
const LONGEST_NAME: usize = 40;
const LONGEST_NUMBER: usize = 16;

/// Values that may be repeated, part by part: of `content-type`, `cache-control` and the like, of `error` (RFC 6749, section 5.2) and `token_type`, and
/// what stands before the colon in `Reason` (picqer/exact-php-client#451).
const WORDS: &[&str] = &[
    "application/json",
    "text/html",
    "text/plain",
    "charset=utf-8",
    "no-store",
    "no-cache",
    "private",
    "max-age=0",
    "must-revalidate",
    "close",
    "keep-alive",
    "chunked",
    "bearer",
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
    "tooearlytorefreshtokens",
    "unknown",
    "blockeduser",
    "inactiveuser",
    "blockedcustomer",
    "licenseexpired",
    "divisionblocked",
    "nodivisionaccess",
];

/// Headers whose value may be repeated where it is a number.
const NUMBERED: [&str; 3] = ["content-length", "ratelimit", "retry-after"];

#[async_trait]
impl TokenProbe for ExactOnline {
    async fn probe(&self, refresh_token: &Secret) -> Probed {
        let request = request::refresh(&self.base_url, &self.client_id, &self.client_secret, refresh_token);
        probed(self.send(request).await, |(status, headers, body)| classify(refresh_token, *status, headers, body))
    }

    async fn probe_code(&self, code: &Secret, redirect_uri: &str) -> Probed {
        let request = request::exchange(&self.base_url, &self.client_id, &self.client_secret, code, redirect_uri);
        probed(self.send(request).await, |(status, headers, body)| match classify_code(code, *status, headers, body) {
            CodeReply::Refused => Reply::Unclear(Unclear::Status(status.as_u16())),
            CodeReply::Other(reply) => reply,
        })
    }
}

fn probed(sent: Result<Answer, Reply>, reply: impl Fn(&Answer) -> Reply) -> Probed {
    match sent {
        Ok(answer) => Probed { reply: reply(&answer), looks: Some(looks(answer.0.as_u16(), &answer.1, &answer.2.bytes)) },
        Err(reply) => Probed { reply, looks: None },
    }
}

/// Of a reply that came, as far as it came.
pub(super) fn looks(status: u16, headers: &HeaderMap, body: &[u8]) -> Looks {
    let mut told = Vec::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter().map(|value| header(name.as_str(), value)).collect::<Vec<_>>();
        let name = if is_name(name.as_str()) { name.as_str() } else { "a header with an odd name" };
        told.push((name.to_owned(), values.join(" and ")));
    }
    let json = serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    let (body, members) = match json {
        Ok(Value::Object(object)) => {
            let name = |name: &str| if is_name(name) { name.to_owned() } else { "a member with an odd name".to_owned() };
            let mut members: Vec<_> = object.iter().map(|(key, value)| (name(key), member(key, value))).collect();
            members.sort();
            ("a JSON object".to_owned(), members)
        }
        _ if body.trim_ascii().is_empty() => ("no body".to_owned(), Vec::new()),
        _ => (format!("{} bytes that are no JSON object", body.len()), Vec::new()),
    };
    Looks { status, headers: told, body, members }
}

fn header(name: &str, value: &HeaderValue) -> String {
    let Ok(text) = value.to_str() else { return "not text".to_owned() };
    let counts = NUMBERED.iter().any(|numbered| name.contains(numbered));
    let known = text.split([';', ',']).map(str::trim).all(is_known) || (counts && is_number(text));
    let reason = text.split_once(':').map(|(reason, _)| reason.trim()).filter(|reason| is_known(reason));
    match reason {
        _ if known => text.to_owned(),
        Some(reason) => format!("{reason}: and {} characters", text.len() - reason.len() - 1),
        None => format!("{} characters", text.chars().count()),
    }
}

/// Its type, and what of it may be told.
fn member(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) if name == "expires_in" && is_number(text) => format!("string \"{text}\""),
        Value::String(text) if is_known(text) => format!("string \"{text}\""),
        Value::String(text) => format!("string of {} characters", text.chars().count()),
        Value::Number(number) if name == "expires_in" => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

fn is_known(text: &str) -> bool {
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn is_number(text: &str) -> bool {
    (1..=LONGEST_NUMBER).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A token is longer, or has other characters.
fn is_name(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let sound = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'));
    sound && digits <= 2 && (1..=LONGEST_NAME).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    fn of(headers: &[(&'static str, &str)], body: &str) -> Looks {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        looks(400, &headers, body.as_bytes())
    }

    fn told(pairs: &[(String, String)]) -> Vec<String> {
        pairs.iter().map(|(name, told)| format!("{name}: {told}")).collect()
    }

    #[test]
    fn types_are_told_and_tokens_are_not() {
        let looks = of(
            &[],
            r#"{"access_token":"MADEUPcanary","expires_in":"600","token_type":"Bearer","refresh_token":"MADEUPcanary","id":1,"error":"invalid_grant"}"#,
        );
        let expected = [
            "access_token: string of 12 characters",
            "error: string \"invalid_grant\"",
            "expires_in: string \"600\"",
            "id: number",
            "refresh_token: string of 12 characters",
            "token_type: string \"Bearer\"",
        ];
        assert_eq!((told(&looks.members).as_slice(), looks.body.as_str()), (expected.map(str::to_owned).as_slice(), "a JSON object"));
        assert_eq!(told(&of(&[], r#"{"expires_in":600}"#).members), ["expires_in: number 600"]);
        assert_eq!(of(&[], " ").body, "no body");
        assert_eq!(of(&[], "[\"MADEUPcanary\"]").body, "16 bytes that are no JSON object");
    }

    #[test]
    fn headers_are_named_and_few_values_told() {
        let looks = of(
            &[
                ("content-type", "application/json; charset=utf-8"),
                ("retry-after", "60"),
                ("reason", "TooEarlyToRefreshTokens: MADEUPcanary"),
                ("x-ratelimit-reset", "1700000000000"),
            ],
            "",
        );
        let mut told = told(&looks.headers);
        told.sort();
        let expected = [
            "content-type: application/json; charset=utf-8",
            "reason: TooEarlyToRefreshTokens: and 13 characters",
            "retry-after: 60",
            "x-ratelimit-reset: 1700000000000",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn nothing_that_could_be_a_secret_is_told() {
        let header = |name: &'static str, value: &str| format!("{:?}", of(&[(name, value)], ""));
        let body = |body: &str| format!("{:?}", of(&[], body));
        for looks in [
            header("set-cookie", "canary=MADEUPcanary; HttpOnly"),
            header("reason", "MADEUPcanary: x"),
            header("reason", "MADEUPcanary"),
            header("content-type", "canary/canary"),
            header("x-123-canary", "1"),
            header("x-session", "123456").replace("123456", "canary"),
            body(r#"{"refresh_token":"123456"}"#).replace("123456", "canary"),
            body(r#"{"MADEUPcanary":1}"#),
            body(r#"{"expires_in":"MADEUPcanary"}"#),
            body(r#"{"error":"MADEUPcanary"}"#),
            body(r#"{"error":{"canary":["canary"]}}"#),
            body("<title>canary</title>"),
        ] {
            assert!(!looks.contains("canary"), "{looks}");
        }
    }
}
