//! What the pages say, what is logged of them, and what neither ever holds.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use expect_test::{Expect, expect};
use tokio::sync::mpsc;

use crate::consent::{Connected, Failed, Finished, Problem};
use crate::status::{State as Chain, Status};
use crate::telemetry::{self, Stream};
use crate::token::Person;

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
        ..Status::unknown(now())
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
    consent(Err(Failed { problem, again: again.map(str::to_owned) }))
}

fn every_problem() -> Vec<(Problem, u16, &'static str)> {
    let text = || "made-up reason".to_owned();
    vec![
        (Problem::Forged, 400, "info "),
        (Problem::OtherBrowser, 400, "info "),
        (Problem::Expired, 400, "info "),
        (Problem::Used, 400, "info "),
        (Problem::NoCode, 400, "info "),
        (Problem::Denied, 400, "info "),
        (Problem::EndedByExact, 400, "info "),
        (Problem::CodeRefused, 400, "info "),
        (Problem::Overtaken, 409, "info "),
        (Problem::NothingToConfirm, 409, "info "),
        (Problem::TooEarly, 503, "warn "),
        (Problem::Unreachable, 503, "warn "),
        (Problem::Unclear, 503, "warn "),
        (Problem::Budget { until: now() }, 503, "warn "),
        (Problem::Busy, 503, "warn "),
        (Problem::Store(text()), 503, "warn "),
        (Problem::NotThisApp, 500, "error "),
        (Problem::App, 500, "error "),
        (Problem::NotSaved(text()), 500, "error "),
        (Problem::Settings(text()), 500, "error "),
    ]
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
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    let expected = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self' https://exact.example"
    );
    assert_eq!(got.headers["content-security-policy"], expected.as_str());
    for (name, value) in [("referrer-policy", "no-referrer"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
        assert_eq!(got.headers[name], value);
    }
}

#[test]
fn an_origin_that_would_change_the_policy_is_left_out() {
    for origin in [Some("https://a; script-src *"), Some("https://a https://b"), Some("https://a\r\nX: y"), None] {
        assert!(policy(origin).to_str().unwrap().ends_with("; form-action 'self'"), "{origin:?}");
    }
}

#[tokio::test]
async fn the_whole_overview() {
    let got = ask(overview(connected_status()), "GET", "/api/Consent").await;
    assert_eq!(got.status, 200);
    assert!(matches!(&got.lines[..], [(_, line)] if line.starts_with("debug ") && line.contains("function=Consent")), "{:?}", got.lines);
    check(
        &got.html,
        &expect![[r#"
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Exact Online is connected | exact-token-broker</title>
            </head>
            <body>
            <header>exact-token-broker</header>
            <main>
            <h1>Exact Online is connected</h1>
            <h2>What needs doing</h2>
            <p>Nothing.</p>
            <form method="post">
            <button>Connect again</button>
            </form>
            <p>You log in at Exact Online and come back here, within 10 minutes and in this browser.</p>
            <h2>Time line</h2>
            <figure>
            <svg viewBox="0 0 360 92" role="img" aria-labelledby="time-line" aria-describedby="time-line-in-words">
            <title id="time-line">The last refreshes, now, and the 30 days ahead</title>
            <line class="axis" x1="10" y1="50" x2="350" y2="50">
            </line>
            <line class="grant" x1="10" y1="38" x2="10" y2="62">
            </line>
            <line class="grant" x1="58" y1="38" x2="58" y2="62">
            </line>
            <line class="grant" x1="106" y1="38" x2="106" y2="62">
            </line>
            <line class="life" x1="120" y1="50" x2="349" y2="50">
            </line>
            <line class="now" x1="349" y1="38" x2="349" y2="62">
            </line>
            <text x="349" y="22" text-anchor="end">29 days left</text>
            <line class="now" x1="120" y1="30" x2="120" y2="70">
            </line>
            <text x="120" y="22" text-anchor="middle">now</text>
            <text x="10" y="86">23 minutes ago</text>
            <text x="350" y="86" text-anchor="end">in 30 days</text>
            </svg>
            <figcaption id="time-line-in-words">The last 3 refreshes: the first of them 23 minutes ago, the latest 3 minutes ago. The refresh token is good for 29 days more if it is not used; each use brings a new one, good for 30 days.</figcaption>
            </figure>
            <h2>Details</h2>
            <dl>
            <dt>Company</dt>
            <dd>
            <bdi>Made-up Trading B.V.</bdi>
            </dd>
            <dt>User</dt>
            <dd>
            <bdi>Made Up</bdi>
            </dd>
            <dt>Exact Online site</dt>
            <dd>start.exactonline.nl</dd>
            <dt>Access token</dt>
            <dd>valid until <time datetime="2026-11-23T17:26:52Z">2026-11-23 17:26</time>, for 6 minutes</dd>
            <dt>Refresh token</dt>
            <dd>good until <time datetime="2026-12-23T17:17:00Z">2026-12-23 17:17</time>, 29 days left</dd>
            <dt>Last refresh</dt>
            <dd>
            <time datetime="2026-11-23T17:17:00Z">2026-11-23 17:17</time>, it went well</dd>
            <dt>What comes next</dt>
            <dd>no refresh before 2026-11-23T17:26:30Z: Exact gives none earlier</dd>
            </dl>
            </main>
            <footer>Build. All times are UTC.</footer>
            </body>
            </html>"#]],
    );
}

#[tokio::test]
async fn each_state_has_its_heading_and_its_button() {
    let of = |state, left: Option<i64>| Status { state, summary: "made-up summary".to_owned(), refresh_token_days_left: left, ..connected_status() };
    let never = Status { state: Chain::NeverConnected, ..Status::unknown(now()) };
    for (status, heading, button, to_do) in [
        (of(Chain::Connected, Some(29)), "Exact Online is connected", "Connect again", "Nothing."),
        (of(Chain::Degraded, Some(29)), "connected, but something is wrong", "Connect again", "tried again by itself"),
        (of(Chain::Degraded, Some(1)), "connected, but something is wrong", "Connect again", "within 1 day,"),
        (of(Chain::ConsentRequired, Some(0)), "has to be connected again", "Connect again", "Press the button"),
        (of(Chain::Misconfigured, None), "set up wrongly", "Connect again", "First look"),
        (never, "not connected yet", "Connect to Exact Online", "Press the button"),
        (Status::unknown(now()), "not known whether", "Connect again", "tried again by itself"),
    ] {
        let got = ask(overview(status), "GET", "/api/Consent").await;
        assert_eq!((got.status, got.html.matches("<button>").count()), (200, 1));
        let inside = |tag: &str| got.html.split(&format!("<{tag}>")).nth(1).unwrap().split(&format!("</{tag}>")).next().unwrap().to_owned();
        assert!(inside("h1").contains(heading) && inside("title").contains(heading), "{}", got.html);
        assert!(got.html.contains(&format!("<form method=\"post\"><button>{button}</button></form>")), "{}", got.html);
        assert!(inside("main").contains(to_do), "{to_do} {}", got.html);
    }
}

#[tokio::test]
async fn failures_since_the_last_refresh_are_told() {
    let status = Status { failures_in_a_row: 3, last_failure: Some("made-up failure".to_owned()), ..connected_status() };
    let got = ask(overview(status), "GET", "/api/Consent").await;
    assert!(got.html.contains(", it went well; since then 3 without success, the last: made-up failure</dd>"), "{}", got.html);
    let ended = Status { access_token_seconds_left: 0, refresh_token_expires_at: Some(now()), ..connected_status() };
    let got = ask(overview(ended), "GET", "/api/Consent").await;
    assert_eq!(got.html.matches("<dd>ended <time").count(), 2, "{}", got.html);
}

#[tokio::test]
async fn names_are_text_whatever_they_hold() {
    for hostile in ["<script>alert(1)</script>", "\"><img src=x onerror='y'>", "\u{202e}\u{202b}gnorw", "&amp;<b>", "</bdi></main>", "' onfocus='x"] {
        let escaped = hostile.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        let whole = format!("<bdi>{escaped}</bdi>");
        let person = Person { login: hostile.to_owned(), company: hostile.to_owned(), ..person(hostile) };
        let connected = Finished::Connected(Connected { person: Some(Box::new(person.clone())), epoch: 1, replaced: false });
        let confirm = Finished::Confirm { stored: Box::new(person.clone()), new: Some(Box::new(person)), confirm: hostile.to_owned() };
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
async fn whose_permissions_the_tokens_carry() {
    for (person, replaced, said) in [
        (Some(person("Made Up")), false, ["<bdi>Made Up</bdi>", "division 123456", "first connection"]),
        (Some(person(" ")), true, ["<strong>not told</strong>", "made.up@exact.example", "took the place"]),
        (None, true, ["did not say whose", "lacks the right", "took the place"]),
    ] {
        let connected = Finished::Connected(Connected { person: person.map(Box::new), epoch: 7, replaced });
        let got = ask(consent(Ok(connected)), "GET", "/api/ConsentCallback?code=canary&state=canary").await;
        assert!(got.html.contains("<h1>Connected to Exact Online</h1>"));
        assert!(said.iter().all(|said| got.html.contains(said)), "{said:?} {}", got.html);
        let [(_, line)] = &got.lines[..] else { panic!("{:?}", got.lines) };
        assert!(line.starts_with("info ") && line.contains("epoch 7") && line.ends_with("function=ConsentCallback"), "{line}");
        assert!(!line.contains("Made Up") && !line.contains('@'), "{line}");
    }
}

#[tokio::test]
async fn the_whole_page_that_asks_whether_another_user_is_meant() {
    let confirm = Finished::Confirm {
        stored: Box::new(person("Made Up")),
        new: Some(Box::new(Person { division: 654_321, company: "Other B.V.".to_owned(), ..person("Other One") })),
        confirm: "made.up-confirm".to_owned(),
    };
    let got = ask(consent(Ok(confirm)), "GET", "/api/ConsentCallback?code=canary&state=canary").await;
    assert_eq!(got.status, 200);
    assert!(matches!(&got.lines[..], [(_, line)] if line.starts_with("info ") && !line.contains("made.up-confirm")), "{:?}", got.lines);
    check(
        &got.html,
        &expect![[r#"
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Connect as another user than before? | exact-token-broker</title>
            </head>
            <body>
            <header>exact-token-broker</header>
            <main>
            <h1>Connect as another user than before?</h1>
            <p>Somebody else logged in than before. Nothing was changed: the new tokens are stored and not used yet.</p>
            <table>
            <thead>
            <tr>
            <th scope="col">Detail</th>
            <th scope="col">Connected now</th>
            <th scope="col">Just logged in</th>
            </tr>
            </thead>
            <tbody>
            <tr>
            <th scope="row">Company</th>
            <td>
            <bdi>Made-up Trading B.V.</bdi>
            </td>
            <td>
            <bdi>Other B.V.</bdi>
            </td>
            </tr>
            <tr>
            <th scope="row">User</th>
            <td>
            <bdi>Made Up</bdi>
            </td>
            <td>
            <bdi>Other One</bdi>
            </td>
            </tr>
            <tr>
            <th scope="row">Log-in</th>
            <td>
            <bdi>made.up@exact.example</bdi>
            </td>
            <td>
            <bdi>made.up@exact.example</bdi>
            </td>
            </tr>
            <tr>
            <th scope="row">Division</th>
            <td>123456</td>
            <td>654321</td>
            </tr>
            </tbody>
            </table>
            <p>What is loaded from then on is what the new user may see. It has to be said within 10 minutes and in this browser.</p>
            <form method="get">
            <input type="hidden" name="confirm" value="made.up-confirm">
            <button>Connect as this user</button>
            </form>
            <p>To leave everything as it was, close this page.</p>
            </main>
            <footer>Build. All times are UTC.</footer>
            </body>
            </html>"#]],
    );

    let nobody = Finished::Confirm { stored: Box::new(person("Made Up")), new: None, confirm: "made.up-confirm".to_owned() };
    let got = ask(consent(Ok(nobody)), "GET", "/api/ConsentCallback?confirm=canary").await;
    assert_eq!(got.html.matches("<td>not told</td>").count(), 4, "{}", got.html);
}

#[tokio::test]
async fn each_problem_is_a_page_with_its_remedy_its_status_and_one_line() {
    for (problem, status, level) in every_problem() {
        for again in [None, Some("made.up-again")] {
            let got = ask(failed(problem.clone(), again), "GET", "/api/ConsentCallback?code=canary&state=canary").await;
            assert_eq!(got.status, status, "{problem:?}");
            let said = html! { p { (sentence(&problem.to_string())) } }.into_string();
            let remedy = html! { p { (problem.remedy()) } }.into_string();
            assert!(got.html.contains(&said) && got.html.contains(&remedy), "{}", got.html);
            let button = r#"<form method="get"><input type="hidden" name="again" value="made.up-again"><button>Try again</button></form>"#;
            assert_eq!((got.html.contains(button), got.html.contains("<form")), (again.is_some(), again.is_some()), "{}", got.html);
            let [(_, line)] = &got.lines[..] else { panic!("{:?}", got.lines) };
            assert!(line.starts_with(level) && line.contains(&problem.to_string().replace("warn", "w-arn")), "{line}");
            assert!(!line.contains("made.up-again"), "{line}");
        }
        // Where the button itself brought nothing, it is there again.
        let got = ask(failed(problem.clone(), None), "POST", "/api/Consent?code=canary").await;
        assert_eq!((got.status, got.lines.len()), (status, 1));
        assert!(got.html.contains(r#"<form method="post"><button>Try again</button></form>"#), "{}", got.html);
        assert!(got.headers.get("set-cookie").is_none());
    }
    let got = ask(failed(Problem::Budget { until: now() }, None), "POST", "/api/Consent").await;
    assert!(got.html.contains(r#"<time datetime="2026-11-23T17:20:00Z">2026-11-23 17:20</time>"#), "{}", got.html);
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
