//! Whatever comes: no panic, and nothing of it in what can be printed.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// Names of fields and things, which both a reply and the core have.
const TRIVIAL: [&str; 5] = ["refresh_token", "access_token", " refresh token ", " access token ", "Exact Online"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,60}",
        "stampNL001\\.[A-Za-z0-9_+/-]{20,60}",
        Just(SENT.to_owned()),
        Just("Rate limit exceeded: access_token not expired".to_owned()),
        Just("Old refresh token used.".to_owned()),
        Just("Token is not allowed, because of invalid or empty chainId".to_owned()),
        Just("The refresh token expired at 10/11/2022".to_owned()),
        Just("unauthorized_client".to_owned()),
        Just("invalid_client".to_owned()),
        Just("bearer".to_owned()),
        Just("600".to_owned()),
    ]
}

fn object() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec!["access_token", "refresh_token", "token_type", "expires_in", "error", "error_description", "other"]);
    let value = prop_oneof![
        8 => text().prop_map(serde_json::Value::from),
        2 => any::<i64>().prop_map(serde_json::Value::from),
        1 => any::<f64>().prop_map(serde_json::Value::from),
        1 => vec(text(), 0..3).prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
    ];
    (vec((key, value), 0..8), 0..200_usize).prop_map(|(fields, keep)| {
        let fields: Vec<_> = fields.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let mut body = format!("{{{}}}", fields.join(",")).into_bytes();
        if keep < 100 {
            body.truncate(keep);
        }
        body
    })
}

fn header_value() -> impl Strategy<Value = String> {
    prop_oneof![text(), Just("TooEarlyToRefreshTokens: x".to_owned()), Just("Mon, 23 Nov 2026 17:25:31 GMT".to_owned()), "[0-9]{1,25}"]
}

fn cut() -> impl Strategy<Value = Option<Unclear>> {
    option::of(prop::sample::select(vec![Unclear::TimedOut, Unclear::ConnectionLost, Unclear::TooLarge]))
}

proptest! {
    #[test]
    fn nothing_of_a_body_can_be_printed(
        status in 100..1000_u16,
        headers in vec((prop::sample::select(vec!["reason", "retry-after", "date", "content-type"]), header_value()), 0..4),
        body in prop_oneof![3 => object(), 1 => vec(any::<u8>(), 0..300)],
        cut in cut(),
    ) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.trim())).collect();
        let reply = classified(status, &headers, &body, cut);
        let mut printed = format!("{reply:?} {reply:#?} {}", displayed(&reply));
        for trivial in TRIVIAL {
            printed = printed.replace(trivial, "|");
        }
        for window in body.windows(12) {
            prop_assert!(!printed.as_bytes().windows(12).any(|printed| printed == window), "{printed}");
        }
    }
}

pub(super) fn displayed(reply: &Reply) -> String {
    match reply {
        Reply::Granted(grant) => format!("{} {}", grant.access_token, grant.refresh_token),
        Reply::OddGrant { refresh_token, problem } => format!("{refresh_token} {problem}"),
        Reply::NotSent(what) => what.to_string(),
        Reply::Unclear(what) => what.to_string(),
        Reply::Refused(what) => what.to_string(),
        Reply::Misconfigured(what) => what.to_string(),
        Reply::TooEarly | Reply::Throttled { .. } => String::new(),
    }
}
