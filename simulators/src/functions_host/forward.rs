//! A forwarded HTTP call: what the handler receives, and what the caller gets back. Pure.
//!
//! Source: azure-functions-host `HttpRequestExtensions.ToHttpRequestMessage` and `DefaultHttpWorkerService.AddHeaders`.

use std::fmt::Write as _;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode},
};

use super::{
    host::HOST_VERSION,
    wire::{Framing, Reply, Request},
};

/// A call as the front end received it.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    /// `None` unless the caller sent a `Content-Length` above 0: a chunked body is dropped.
    pub(super) body: Option<Vec<u8>>,
}

/// Headers that belong to one connection or to the body's framing.
const HOP_BY_HOP: [&str; 6] = ["connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"];

/// Content headers other than these two are not copied.
const CONTENT_HEADERS: [&str; 9] = [
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-md5",
    "content-range",
    "allow",
    "expires",
    "last-modified",
];

pub(super) fn request(incoming: &Incoming, invocation_id: &str) -> Request {
    let agent = format!("Azure-Functions-Host/{HOST_VERSION}");
    let mut headers = Vec::new();
    let mut agent_sent = false;
    for (name, value) in &incoming.headers {
        let name = name.as_str();
        let own_framing = name == "content-length";
        let dropped = HOP_BY_HOP.contains(&name) || CONTENT_HEADERS.contains(&name) || own_framing;
        if dropped || (name == "content-type" && incoming.body.is_none()) {
            continue;
        }
        let mut value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if name == "user-agent" {
            value = format!("{value} {agent}");
            agent_sent = true;
        }
        headers.push((name.to_owned(), value));
    }
    if !agent_sent {
        headers.push(("User-Agent".to_owned(), agent));
    }
    // Appended: a caller's value of the same name stays, and comes first.
    for (name, value) in [("X-Azure-Functions-HostVersion", HOST_VERSION), ("X-Azure-Functions-InvocationId", invocation_id)] {
        headers.push((name.to_owned(), value.to_owned()));
    }
    let takes_body = matches!(incoming.method.as_str(), "POST" | "PUT" | "PATCH");
    let body = match &incoming.body {
        Some(body) => Some(body.clone()),
        None => takes_body.then(Vec::new),
    };
    let query = rebuilt(&incoming.query);
    let mark = if query.is_empty() { "" } else { "?" };
    Request {
        method: incoming.method.to_string(),
        target: format!("{}{mark}{query}", incoming.path),
        headers,
        body: body.map(|body| (body, Framing::ContentLength)),
    }
}

/// The query as pairs, decoded; values of a repeated name are joined by commas.
pub(super) fn query_pairs(query: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (unescape(name), unescape(value));
        match pairs.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(&name)) {
            Some((_, joined)) => {
                joined.push(',');
                joined.push_str(&value);
            }
            None => pairs.push((name, value)),
        }
    }
    pairs
}

fn rebuilt(query: &str) -> String {
    let pairs: Vec<String> = query_pairs(query).iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let code = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Status, headers and body unchanged; only the framing is the front end's own.
pub(super) fn response(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        let lower = name.to_ascii_lowercase();
        if HOP_BY_HOP.contains(&lower.as_str()) || lower == "content-length" {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(lower.as_bytes()), HeaderValue::from_str(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(method: Method, query: &str, headers: &[(&'static str, &'static str)]) -> Incoming {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Incoming { method, path: "/api/GetToken".to_owned(), query: query.to_owned(), headers: map, body: None }
    }

    #[test]
    fn a_get_is_forwarded_with_the_hosts_marks() {
        let incoming = incoming(
            Method::GET,
            "code=FAKE%2FKEY&a=1&a=2&b=x%21+y",
            &[
                ("host", "app.example"),
                ("user-agent", "curl/8.5.0"),
                ("x-azure-functions-invocationid", "mine"),
                ("content-type", "text/plain"),
                ("connection", "close"),
            ],
        );
        let request = request(&incoming, "theirs");
        assert_eq!(request.target, "/api/GetToken?code=FAKE%2FKEY&a=1%2C2&b=x%21%20y");
        assert!(request.body.is_none());
        let header = |name: &str| -> Vec<&str> {
            let named = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(header("host"), ["app.example"]);
        assert_eq!(header("user-agent"), ["curl/8.5.0 Azure-Functions-Host/4.1037.0.0"]);
        assert_eq!(header("x-azure-functions-invocationid"), ["mine", "theirs"]);
        assert!(header("content-type").is_empty() && header("connection").is_empty());
    }

    #[test]
    fn a_post_without_a_body_says_so() {
        let request = request(&incoming(Method::POST, "", &[]), "id");
        assert_eq!(request.body, Some((Vec::new(), Framing::ContentLength)));
        assert_eq!(request.target, "/api/GetToken");
    }
}
