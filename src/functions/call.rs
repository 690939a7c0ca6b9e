//! Which invocation a request belongs to, for the log. The host's own log of the same invocation can be found by these two.

use axum::http::HeaderMap;
use tracing::Span;
use tracing::field::Empty;
use uuid::Uuid;

use super::route::Route;

/// A span with the fields `function`, and `invocation` and `trace` where the request has them: both come from outside and are taken only in
/// their exact forms.
pub(super) fn span(route: Route, headers: &HeaderMap) -> Span {
    // At error level, so that no filter drops it while a line inside it is written.
    let span = tracing::error_span!("invocation", function = ?route, invocation = Empty, trace = Empty);
    if let Some(invocation) = invocation(headers) {
        span.record("invocation", invocation.to_string());
    }
    if let Some(trace) = trace(headers) {
        span.record("trace", trace);
    }
    span
}

/// `X-Azure-Functions-InvocationId`. When the caller has sent one too, the host appends its own, in a second header or behind a comma: the last counts.
fn invocation(headers: &HeaderMap) -> Option<Uuid> {
    let values = headers.get_all("x-azure-functions-invocationid");
    let ids = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
    // `Uuid` knows more ways to write a GUID than the host uses.
    ids.filter(|id| id.len() == 36).filter_map(|id| Uuid::try_parse(id).ok()).next_back()
}

/// The trace id of `traceparent` (W3C Trace Context): 32 lower-case hexadecimal digits that are not all zero.
fn trace(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let sound =
        lower_hex(version, 2) && version != "ff" && lower_hex(parent, 16) && lower_hex(flags, 2) && (version != "00" || parts.next().is_none());
    (sound && lower_hex(trace, 32) && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    const ONE: &str = "83a33220-a921-460a-bec0-b3f043dcf1ff";
    const TWO: &str = "5b6f0a5e-6c0b-4a53-9a32-1f1a35b0a7c1";

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_last_guid_is_the_hosts() {
        let joined = format!("{ONE}, {TWO}");
        for (values, expected) in [
            (vec![], None),
            (vec![ONE], Some(ONE)),
            (vec![ONE, TWO], Some(TWO)),
            (vec![joined.as_str()], Some(TWO)),
            (vec![ONE, "made-up"], Some(ONE)),
            (vec!["83a33220a921460abec0b3f043dcf1ff"], None),
            (vec!["{83a33220-a921-460a-bec0-b3f043dcf1ff}"], None),
            (vec!["83a33220-a921-460a-bec0-b3f043dcf1fg"], None),
        ] {
            let found = invocation(&headers("x-azure-functions-invocationid", &values)).map(|id| id.to_string());
            assert_eq!(found.as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn a_trace_id_is_taken_in_its_exact_form() {
        let id = "bb2bd5eef54cb15a1506d0326d2489e7";
        for (value, expected) in [
            ("00-bb2bd5eef54cb15a1506d0326d2489e7-d3f54c84c7034d76-00", Some(id)),
            ("cc-bb2bd5eef54cb15a1506d0326d2489e7-d3f54c84c7034d76-01-later", Some(id)),
            ("00-bb2bd5eef54cb15a1506d0326d2489e7-d3f54c84c7034d76-01-later", None),
            ("ff-bb2bd5eef54cb15a1506d0326d2489e7-d3f54c84c7034d76-00", None),
            ("00-BB2BD5EEF54CB15A1506D0326D2489E7-d3f54c84c7034d76-00", None),
            ("00-00000000000000000000000000000000-d3f54c84c7034d76-00", None),
            ("00-bb2bd5eef54cb15a1506d0326d2489e-d3f54c84c7034d76-00", None),
            ("bb2bd5eef54cb15a1506d0326d2489e7", None),
            ("", None),
        ] {
            assert_eq!(trace(&headers("traceparent", &[value])), expected, "{value}");
        }
    }

    mod fuzz {
        use fuzzing::Target;

        use super::*;

        /// One header in each line: what of it goes into the log.
        #[test]
        fn invocation_headers() {
            let words = [ONE, TWO, "00-bb2bd5eef54cb15a1506d0326d2489e7-d3f54c84c7034d76-00", "-", ",", "ff", "{", "}"];
            Target::new("invocation-headers").words(&words).run(|input| {
                let mut headers = HeaderMap::new();
                for line in input.split(|byte| *byte == b'\n') {
                    if let Ok(value) = axum::http::HeaderValue::from_bytes(line) {
                        headers.append("x-azure-functions-invocationid", value.clone());
                        headers.append("traceparent", value);
                    }
                }
                let (invocation, trace) = (invocation(&headers).map(|id| id.to_string()), trace(&headers));
                assert!(trace.is_none_or(|trace| trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit())));
                format!("{invocation:?} {trace:?}")
            });
        }
    }
}
