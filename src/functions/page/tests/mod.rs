//! What the pages say, what is logged of them, and what neither ever holds.

mod outcome;
mod overview;

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use expect_test::Expect;
use tokio::sync::mpsc;

use crate::consent::{Connected, Failed, Finished, Problem};
use crate::status::{PendingConsent, State as Chain, Status};
use crate::telemetry::{self, Stream};
use crate::token::{Person, Secret};

use super::super::tests::{Log, Stub, wrong_settings};
use super::super::{State, answer};
use super::*;

const NOW: &str = "2026-11-23T17:20:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn connected_status() -> Status {
    Status {
        state: Chain::Connected,
        summary: "connected to Exact Online".to_owned(),
        servable: true,
        base_url: Some("https://start.exactonline.nl".to_owned()),
        access_token_seconds_left: 412,
        access_token_expires_at: Some(now() + SignedDuration::from_secs(412)),
        refresh_token_expires_at: Some(now() + minutes(30 * 1440 - 3)),
        refresh_token_days_left: Some(29),
        company: Some("Made-up Trading B.V.".to_owned()),
        user: Some("Made Up".to_owned()),
        last_grant_at: Some(now() - minutes(3)),
        recent_grants: vec![now() - minutes(23), now() - minutes(13), now() - minutes(3)],
        next: "no refresh before 2026-11-23T17:26:30Z: Exact gives none earlier".to_owned(),
        at: Some(now()),
        ..Status::unknown()
    }
}

fn person(name: &str) -> Person {
    Person {
        id: "made-up-id".to_owned(),
        name: name.to_owned(),
        login: "made.up@exact.example".to_owned(),
        company: "Made-up Trading B.V.".to_owned(),
        division: 123_456,
    }
}

fn overview(status: Status) -> State {
    State::new(Ok(Arc::new(Stub { status: Some(status), ..Stub::default() })))
}

fn consent(consent: Result<Finished, Failed>) -> State {
    State::new(Ok(Arc::new(Stub { consent: Some(consent), ..Stub::default() })))
}

fn failed(problem: Problem, again: Option<&str>) -> State {
    consent(Err(Failed { problem, again: again.map(Secret::new) }))
}

struct Got {
    status: u16,
    headers: HeaderMap,
    html: String,
    lines: Vec<(Stream, String)>,
}

/// One request, at the log level that everything shows at. What holds for every page is asserted here.
async fn ask(state: State, method: &str, target: &str) -> Got {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(telemetry::subscriber(Some("trace"), log.clone()));
    let request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
    let (running, _) = mpsc::channel(1);
    let (head, body) = answer(state, running, request).await.into_parts();
    let html = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let lines = log.0.lock().unwrap().clone();
    assert_eq!(head.headers["content-type"], "text/html; charset=utf-8");
    for wrong in ["action=", "<script", "style=", "http://", "href=", "src=", "\u{2014}"] {
        assert!(!html.contains(wrong), "{wrong} {html}");
    }
    for once in ["<h1>", "<main>", "<title>", "<html lang=\"en\">", "name=\"viewport\"", "</html>"] {
        assert_eq!(html.matches(once).count(), 1, "{once} {html}");
    }
    assert!(!format!("{html}{lines:?}").contains("canary"), "{html}{lines:?}");
    Got { status: head.status.as_u16(), headers: head.headers, html, lines }
}

fn check(got: &str, expected: &Expect) {
    // One element a line, and the style is not what is compared.
    let (before, after) = got.split_once("<style>").unwrap();
    let (_, after) = after.split_once("</style>").unwrap();
    let build = concat!("Build ", env!("CARGO_PKG_VERSION"));
    expected.assert_eq(&format!("{before}{after}").replace(build, "Build").replace("><", ">\n<"));
}

#[tokio::test]
async fn the_policy_names_the_hash_of_the_style_that_the_page_has() {
    let got = ask(overview(connected_status()), "GET", "/api/Consent?code=canary-key").await;
    let style = got.html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert!(style.contains("focus-visible"));
    let hash = BASE64.encode(&Sha256::digest(style));
    let expected = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self' https://exact.example https://made-up.example"
    );
    assert_eq!(got.headers["content-security-policy"], expected.as_str());
    for (name, value) in [("referrer-policy", "no-referrer"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
        assert_eq!(got.headers[name], value);
    }
}

#[test]
fn an_origin_that_would_change_the_policy_is_left_out() {
    for origins in [&["https://a; script-src *"][..], &["https://a https://b"], &["https://a\r\nX: y"], &[]] {
        let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        assert!(policy(&origins).to_str().unwrap().ends_with("; form-action 'self'"), "{origins:?}");
    }
    let origins = ["https://start.exactonline.nl".to_owned(), "https://made-up.example".to_owned()];
    let expected = "; form-action 'self' https://start.exactonline.nl https://*.exactonline.nl https://made-up.example";
    assert!(policy(&origins).to_str().unwrap().ends_with(expected));
}

#[tokio::test]
async fn names_are_text_whatever_they_hold() {
    for hostile in ["<script>alert(1)</script>", "\"><img src=x onerror='y'>", "\u{202e}\u{202b}gnorw", "&amp;<b>", "</bdi></main>", "' onfocus='x"] {
        let escaped = hostile.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        let whole = format!("<bdi>{escaped}</bdi>");
        let person = Person { login: hostile.to_owned(), company: hostile.to_owned(), ..person(hostile) };
        let connected = Finished::Connected(Connected { person: Some(Box::new(person.clone())), epoch: 1, replaced: false, meanwhile: false });
        let confirm = Finished::Confirm { stored: Some(Box::new(person.clone())), new: Some(Box::new(person)), confirm: Secret::new(hostile) };
        let status = Status { company: Some(hostile.to_owned()), user: Some(hostile.to_owned()), ..connected_status() };
        for (state, target, times) in [
            (consent(Ok(connected)), "/api/ConsentCallback?code=a", 3),
            (consent(Ok(confirm)), "/api/ConsentCallback?code=a", 6),
            (overview(status), "/api/Consent", 2),
        ] {
            let got = ask_hostile(state, target).await;
            assert_eq!(got.matches(&whole).count(), times, "{got}");
            assert_eq!((got.contains("<script"), got.contains("<img"), got.contains("<b>")), (false, false, false), "{got}");
        }
        let again = ask_hostile(failed(Problem::Expired, Some(hostile)), "/api/ConsentCallback?code=a").await;
        assert!(again.contains(&format!("<input type=\"hidden\" name=\"again\" value=\"{escaped}\">")), "{again}");
    }
}

/// Without what [`ask`] asserts of a page: a name may hold it, escaped.
async fn ask_hostile(state: State, target: &str) -> String {
    let (running, _) = mpsc::channel(1);
    let response = answer(state, running, Request::builder().uri(target).body(Body::empty()).unwrap()).await;
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn wrong_settings_are_a_page_that_names_them() {
    for (method, target) in [("GET", "/api/Consent?code=canary"), ("POST", "/api/Consent"), ("GET", "/api/ConsentCallback?code=canary&state=b")] {
        let got = ask(wrong_settings(), method, target).await;
        assert_eq!(got.status, 500);
        assert!(got.html.contains("<li>EXACT_CLIENT_ID: is missing; set it.</li><li>REFRESH_POLICY: "), "{}", got.html);
        assert!(matches!(&got.lines[..], [(Stream::Err, line)] if line.starts_with("error ")), "{:?}", got.lines);
        assert!(got.headers["content-security-policy"].to_str().unwrap().ends_with("form-action 'self'"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_use_case_that_hangs_is_a_page_and_one_line() {
    for (method, target) in [("GET", "/api/Consent"), ("POST", "/api/Consent"), ("GET", "/api/ConsentCallback?again=canary")] {
        let since = tokio::time::Instant::now();
        let got = ask(State::new(Ok(Arc::new(Stub::default()))), method, target).await;
        assert_eq!((got.status, since.elapsed().as_secs()), (StatusCode::SERVICE_UNAVAILABLE.as_u16(), 215));
        assert!(got.html.contains("The work goes on.") && got.lines.len() == 1, "{}", got.html);
    }
}
