//! Whatever the host forwards, for the fuzzer.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method};
use fuzzing::Target;
use serde_json::Value;

use super::super::reply::{Refused, Reply};
use super::super::route::Route;
use super::super::{ask, consent, envelope};
use super::*;
use crate::consent::{Callback, Waiting};

/// A refusal, and all that is made of it.
fn refused(refused: Refused) -> String {
    format!("{refused:?} {}", Reply::Refused(refused).description())
}

#[test]
fn timer_envelope() {
    let words = ["Data", "Metadata", "timer", "sys", "IsPastDue", "ScheduleStatus", "Schedule", "Last", "0001-01-01T00:00:00", "MethodName"];
    Target::new("timer-envelope").words(&words).run(|input| match envelope::read(input) {
        Ok(tick) => {
            let value: Value = serde_json::from_slice(input).unwrap_or_default();
            if value.is_object() {
                assert_eq!(value["Data"]["timer"]["IsPastDue"], tick.past_due);
                assert!(value["Metadata"]["sys"].is_object() || value["Metadata"]["sys"].is_array());
            }
            format!("{tick:?}")
        }
        Err(why) => refused(why),
    });
}

#[test]
fn get_token_query() {
    let words = ["min_validity", "max_wait", "code", "&", "=", "%6d%69n_validity", "Max_Wait", "200", "201", "540", "541"];
    Target::new("get-token-query").words(&words).run(|input| {
        let query = String::from_utf8_lossy(input);
        match ask::read(Some(&query)) {
            Ok(ask) => {
                assert!((0..=540).contains(&ask.min_validity.as_secs()) && (0..=200).contains(&ask.max_wait.as_secs()));
                format!("{ask:?}")
            }
            Err(why) => refused(why),
        }
    });
}

/// Method and target in the first line, then headers, and the form's body after an empty line.
#[test]
fn consent_request() {
    let words = [
        "/api/ConsentCallback?",
        "/api/Consent",
        "/API/consent/",
        "GET ",
        "POST ",
        "code=",
        "state=",
        "error=",
        "confirm=",
        "again=",
        "discard=",
        "\n\n",
        "access_denied",
        "cookie: __Host-exact-token-broker-consent=",
        "MADEUPcanary-cookie_0123456789-0123456789-012",
        "sec-fetch-site: cross-site",
        "&",
        "x-azure-functions-invocationid: ",
        "83a33220-a921-460a-bec0-b3f043dcf1ff",
    ];
    Target::new("consent-request").words(&words).run(|input| {
        let text = String::from_utf8_lossy(input);
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or(("GET", ""));
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        let Ok(mut request) = Request::builder().method(&method).uri(target).body(Body::empty()) else { return String::new() };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.trim().as_bytes())) {
                request.headers_mut().append(name, value);
            }
        }
        let route = match Route::of(request.uri().path(), &method) {
            Ok(route) if route.is_for_a_browser() => route,
            Ok(_) => return String::new(),
            Err(why) => return refused(why),
        };
        match consent::Wish::of(route, &request.into_parts().0, body.as_bytes()) {
            Ok(wish) => {
                if let consent::Wish::Finish(Callback { code, error, .. }) = &wish {
                    assert!(code.is_none() || error.is_none());
                }
                // The name of a version is no secret: the status tells it.
                let named = matches!(&wish, consent::Wish::Decide(Waiting::Named(_), _));
                if named { String::new() } else { format!("{wish:?} {wish:#?}") }
            }
            Err(why) => refused(why),
        }
    });
}
