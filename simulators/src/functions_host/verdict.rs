//! How the host judges a handler's reply: pure.
//!
//! Source: azure-functions-host `DefaultHttpWorkerService.ProcessDefaultInvocationRequest`, and for the reading of bodies
//! `HttpContentExtensions.ReadAsAsync` of ASP.NET's `System.Net.Http.Formatting`.

use serde_json::{Map, Value};

use super::wire::Reply;

/// What becomes of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host counts it as succeeded.
    Success,
    /// The host counts it as failed; the text is the exception's.
    Failure(String),
    /// The host waits until `functionTimeout`, then kills the handler. The text says which reply does that.
    NeverCompletes(String),
    /// No whole reply within `functionTimeout`: the handler was killed and started again.
    TimedOut,
}

impl Verdict {
    /// Whether the host counts it as succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Success
    }

    /// The failure's text.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Failure(text) | Self::NeverCompletes(text) => Some(text),
            Self::TimedOut => Some("functionTimeout was exceeded"),
            Self::Success => None,
        }
    }
}

/// `HttpScriptInvocationResult`: the JSON object that a handler answers in the default protocol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScriptResult {
    /// Values for output bindings, by name; `None` if absent or null.
    pub outputs: Option<Map<String, Value>>,
    /// Lines for the invocation's log.
    pub logs: Vec<String>,
    /// The value for a `$return` binding.
    pub return_value: Value,
}

/// Judges a reply in the default protocol: timers always, HTTP functions that are not forwarded.
#[must_use]
pub fn judge(reply: &Reply) -> (Verdict, Option<ScriptResult>) {
    if !(200..300).contains(&reply.status) {
        let reason = reason_phrase(reply);
        let text = format!("HttpRequestException: Response status code does not indicate success: {}{reason}.", reply.status);
        return (Verdict::Failure(text), None);
    }
    let never = |which: &str| (Verdict::NeverCompletes(which.to_owned()), None);
    // .NET gives a 204 a Content-Length of 0, and a body of length 0 reads as null.
    if reply.status == 204 {
        return never("204: the host never sets a result");
    }
    if reply.content_length() == Some(0) {
        return never("an empty body: the host never sets a result");
    }
    let text = String::from_utf8_lossy(&reply.body);
    let media_type = media_type(reply);
    if !matches!(media_type.as_deref(), Some("application/json" | "text/json")) {
        let named = media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        let text = format!(
            "InvalidOperationException: Invalid HttpResponseMessage: UnsupportedMediaTypeException: no MediaTypeFormatter is available to read an object of type 'HttpScriptInvocationResult' from content with media type '{named}': {text}"
        );
        return (Verdict::Failure(text), None);
    }
    if matches!(text.trim(), "" | "null") {
        return never("a body of null: the host never sets a result");
    }
    match parse(&text) {
        Ok(result) => (Verdict::Success, Some(result)),
        Err(why) => {
            let text = format!("InvalidOperationException: Invalid HttpResponseMessage: {why}: {text}");
            (Verdict::Failure(text), None)
        }
    }
}

/// Stricter than Newtonsoft in one respect: comments, single quotes and trailing text are refused here.
fn parse(text: &str) -> Result<ScriptResult, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(members) = json else {
        return Err("the body is not a JSON object".to_owned());
    };
    let mut result = ScriptResult::default();
    for (name, value) in members {
        match (name.to_ascii_lowercase().as_str(), value) {
            ("outputs", Value::Null) => result.outputs = None,
            ("outputs", Value::Object(outputs)) => result.outputs = Some(outputs),
            ("outputs", _) => return Err("Outputs is not an object".to_owned()),
            ("logs", Value::Null) => result.logs.clear(),
            ("logs", Value::Array(lines)) => {
                result.logs = lines.into_iter().map(log_line).collect::<Result<_, _>>()?;
            }
            ("logs", _) => return Err("Logs is not an array".to_owned()),
            ("returnvalue", value) => result.return_value = value,
            _ => {}
        }
    }
    Ok(result)
}

fn log_line(value: Value) -> Result<String, String> {
    match value {
        Value::String(line) => Ok(line),
        Value::Null => Ok(String::new()),
        Value::Bool(flag) => Ok(if flag { "True" } else { "False" }.to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Array(_) | Value::Object(_) => Err("Logs has an element that is no text".to_owned()),
    }
}

fn media_type(reply: &Reply) -> Option<String> {
    let value = reply.header("content-type")?;
    let bare = value.split(';').next().unwrap_or_default();
    Some(bare.trim().to_ascii_lowercase())
}

fn reason_phrase(reply: &Reply) -> String {
    axum::http::StatusCode::from_u16(reply.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, content_type: &str, body: &str) -> Reply {
        let headers = [("content-type", content_type), ("content-length", &body.len().to_string())]
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Reply { status, headers, body: body.as_bytes().to_vec() }
    }

    fn verdict(status: u16, content_type: &str, body: &str) -> Verdict {
        judge(&reply(status, content_type, body)).0
    }

    const JSON: &str = "application/json";

    #[test]
    fn r1_an_empty_object_succeeds() {
        assert!(verdict(200, JSON, "{}").is_success());
        assert!(verdict(299, "text/json; charset=utf-8", "{}").is_success());
    }

    #[test]
    fn r2_logs_are_read() {
        let body = r#"{"Outputs":null,"Logs":["a"],"ReturnValue":null,"Other":[]}"#;
        let (verdict, result) = judge(&reply(200, JSON, body));
        assert!(verdict.is_success());
        assert_eq!(result.unwrap().logs, ["a"]);
    }

    #[test]
    fn r3_to_r5_nothing_never_completes() {
        for (status, content_type, body) in [(200, JSON, ""), (200, "", ""), (204, "", ""), (200, JSON, "null"), (200, JSON, "  ")] {
            let verdict = verdict(status, content_type, body);
            assert!(matches!(verdict, Verdict::NeverCompletes(_)), "{status} {content_type} {body:?}");
        }
    }

    #[test]
    fn r6_plain_text_fails() {
        for content_type in ["text/plain", ""] {
            let verdict = verdict(200, content_type, "ok");
            assert!(verdict.failure().unwrap().contains("UnsupportedMediaType"));
        }
    }

    #[test]
    fn r7_json_that_is_none_fails_and_is_quoted() {
        let verdict = verdict(200, JSON, "Hello World");
        let text = verdict.failure().unwrap();
        assert!(text.contains("Invalid HttpResponseMessage") && text.contains("Hello World"));
    }

    #[test]
    fn r8_a_500_fails_and_its_body_is_lost() {
        let (verdict, result) = judge(&reply(500, JSON, r#"{"Logs":["why"]}"#));
        assert_eq!(result, None);
        assert_eq!(verdict.failure(), Some("HttpRequestException: Response status code does not indicate success: 500 (Internal Server Error)."));
    }

    #[test]
    fn r9_a_redirect_that_is_not_followed_fails() {
        assert!(matches!(verdict(302, JSON, "{}"), Verdict::Failure(_)));
    }

    #[test]
    fn r10_a_log_line_that_is_no_text_fails() {
        assert!(matches!(verdict(200, JSON, r#"{"Logs":[{"a":1}]}"#), Verdict::Failure(_)));
        assert!(matches!(verdict(200, JSON, r#"{"Logs":"a"}"#), Verdict::Failure(_)));
        assert!(verdict(200, JSON, r#"{"Logs":[1,true,null]}"#).is_success());
    }

    #[test]
    fn r13_names_are_read_without_case() {
        let (verdict, result) = judge(&reply(200, JSON, r#"{"outputs":{},"logs":[]}"#));
        assert!(verdict.is_success());
        assert_eq!(result.unwrap().outputs, Some(Map::new()));
    }

    #[test]
    fn a_body_that_is_no_object_fails() {
        for body in ["[]", "\"ok\"", "7"] {
            assert!(matches!(verdict(200, JSON, body), Verdict::Failure(_)), "{body}");
        }
    }
}
