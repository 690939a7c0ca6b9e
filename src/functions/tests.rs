//! What is answered and what is logged, without sockets: `tests/handler` has those.

mod fuzz;

use std::sync::Mutex;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::telemetry::{self, Sink, Stream};
use crate::token::Secret;
use crate::token::reply::Refusal;
use crate::token::schedule::Why;

use super::*;

pub(super) const INVOCATION: &str = "83a33220-a921-460a-bec0-b3f043dcf1ff";
const ENVELOPE: &str = r#"{"Data":{"timer":{"IsPastDue":false}},"Metadata":{"sys":{}}}"#;

#[derive(Clone, Default)]
pub(super) struct Log(pub(super) Arc<Mutex<Vec<(Stream, String)>>>);

impl Sink for Log {
    fn write(&self, stream: Stream, line: &str) {
        self.0.lock().unwrap().push((stream, line.to_owned()));
    }
}

/// Says the same to everybody; None means that it hangs.
#[derive(Clone, Default)]
pub(super) struct Stub {
    pub(super) answer: Option<Result<HandedOut, NoToken>>,
    pub(super) tick: Option<Tick>,
    pub(super) at_hand: Option<HandedOut>,
    pub(super) status: Option<Status>,
    /// Of each step of a consent; a step that begins one has a place to go to unless this is an error.
    pub(super) consent: Option<Result<Finished, Failed>>,
    pub(super) consent_url: Option<&'static str>,
}

#[async_trait]
impl UseCases for Stub {
    async fn tick(&self) -> Tick {
        let Some(tick) = self.tick.clone() else { std::future::pending().await };
        tick
    }

    fn at_hand(&self, _: Ask) -> Option<HandedOut> {
        self.at_hand.clone()
    }

    async fn get_token(&self, _: Ask) -> Result<HandedOut, NoToken> {
        let Some(answer) = self.answer.clone() else { std::future::pending().await };
        answer
    }

    async fn status(&self) -> Status {
        let Some(status) = self.status.clone() else { std::future::pending().await };
        status
    }

    fn consent_url(&self) -> Option<&str> {
        self.consent_url
    }

    fn form_targets(&self) -> Vec<String> {
        vec!["https://exact.example".to_owned(), "https://made-up.example".to_owned()]
    }

    async fn begin_consent(&self, _: Option<Secret>) -> Result<Begun, Problem> {
        self.begin_again(&Secret::new(""), None).await.map_err(|failed| failed.problem)
    }

    async fn begin_again(&self, _: &Secret, _: Option<Secret>) -> Result<Begun, Failed> {
        self.finish_consent(Callback::default()).await.map(|_| Begun {
            authorize_url: Secret::new("https://exact.example/api/oauth2/auth?state=made-up-state"),
            cookie: Secret::new("made-up-cookie"),
        })
    }

    async fn finish_consent(&self, _: Callback) -> Result<Finished, Failed> {
        let Some(consent) = self.consent.clone() else { std::future::pending().await };
        consent
    }

    async fn decide_consent(&self, _: Waiting, _: Decision) -> Result<Finished, Failed> {
        self.finish_consent(Callback::default()).await
    }
}

fn tick(failed: bool, line: &str) -> State {
    State::new(Ok(Arc::new(Stub { tick: Some(Tick { failed, line: line.to_owned() }), ..Stub::default() })))
}

fn token(answer: Result<HandedOut, NoToken>) -> State {
    State::new(Ok(Arc::new(Stub { answer: Some(answer), ..Stub::default() })))
}

fn at_hand(token: HandedOut) -> State {
    State::new(Ok(Arc::new(Stub { at_hand: Some(token), ..Stub::default() })))
}

fn handed_out(warnings: &[&str]) -> HandedOut {
    HandedOut {
        access_token: Secret::new("made-up-access-token"),
        expires_in: 412,
        expires_at: "2026-11-23T17:25:31.987654321Z".parse::<Timestamp>().unwrap(),
        base_url: "https://start.exactonline.nl".to_owned(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn wrong_settings() -> State {
    let problems = vec!["EXACT_CLIENT_ID: is missing; set it".to_owned(), "REFRESH_POLICY: is not a policy; set it".to_owned()];
    State::new(Err::<Arc<Stub>, _>(ConfigError { problems }))
}

/// One request, at the log level that everything shows at.
async fn ask(state: State, method: &str, path: &str, body: &str) -> (StatusCode, HeaderMap, Value, Vec<(Stream, String)>) {
    ask_at("trace", state, method, path, body).await
}

async fn ask_at(level: &str, state: State, method: &str, path: &str, body: &str) -> (StatusCode, HeaderMap, Value, Vec<(Stream, String)>) {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(telemetry::subscriber(Some(level), log.clone()));
    let request = Request::builder().method(method).uri(path).header("x-azure-functions-invocationid", INVOCATION);
    let (running, _) = mpsc::channel(1);
    let response = answer(state, running, request.body(Body::from(body.to_owned())).unwrap()).await;
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let lines = log.0.lock().unwrap().clone();
    (head.status, head.headers, serde_json::from_slice(&body).unwrap(), lines)
}

async fn get_token(state: State) -> (StatusCode, HeaderMap, Value, Vec<(Stream, String)>) {
    ask(state, "GET", "/api/GetToken?code=made-up-key", "").await
}

fn errors(lines: &[(Stream, String)]) -> Vec<&str> {
    lines.iter().filter(|(stream, _)| *stream == Stream::Err).map(|(_, line)| line.as_str()).collect()
}

#[tokio::test]
async fn a_tick_that_went_well_is_in_the_hosts_log_alone() {
    let (status, headers, body, lines) = ask(tick(false, "next refresh at 17:25"), "POST", "/RefreshToken", ENVELOPE).await;
    assert_eq!((status, body), (StatusCode::OK, json!({"Outputs": {}, "Logs": ["next refresh at 17:25"], "ReturnValue": null})));
    assert_eq!(headers["content-type"], "application/json");
    assert!(lines.iter().all(|(_, line)| line.starts_with("debug ")), "{lines:?}");
}

#[tokio::test]
async fn a_failed_tick_is_one_error_line() {
    let (status, _, body, lines) = ask(tick(true, "Exact refused\nthe token: Warning!"), "POST", "/RefreshToken", ENVELOPE).await;
    assert_eq!((status, &body["Logs"][0]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("Exact refused\nthe token: Warning!")));
    let expected = format!("error functions::reply: Exact refused\\nthe token: W-arning! function=RefreshToken invocation={INVOCATION}");
    assert_eq!(errors(&lines), [expected]);
}

#[tokio::test]
async fn a_request_that_is_no_timer_is_one_error_line() {
    let (status, _, body, lines) = ask(tick(false, ""), "POST", "/RefreshToken", "{\"made-up-canary\":1}").await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")));
    assert_eq!(errors(&lines).len(), 1);
    assert!(!format!("{body}{lines:?}").contains("canary"));
}

#[tokio::test]
async fn wrong_settings_fail_each_invocation_and_nothing_else() {
    let (status, _, body, lines) = ask(wrong_settings(), "POST", "/RefreshToken", ENVELOPE).await;
    assert_eq!((status, &body["error"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("server_error")));
    assert_eq!(errors(&lines).len(), 1);
    assert!(errors(&lines)[0].contains("EXACT_CLIENT_ID: ") && errors(&lines)[0].contains("REFRESH_POLICY: "));

    let (status, _, body, lines) = get_token(wrong_settings()).await;
    assert_eq!((status, &body["error"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("server_error")));
    let description = body["error_description"].as_str().unwrap();
    assert!(description.contains("EXACT_CLIENT_ID: ") && description.contains("REFRESH_POLICY: "));
    assert_eq!(errors(&lines).len(), 1);

    let (status, _, body, lines) = ask(wrong_settings(), "GET", "/?checkHealth=1", "").await;
    assert_eq!((status, body, lines), (StatusCode::OK, json!({"status": "ok"}), vec![]));
}

#[tokio::test]
async fn a_token_is_handed_out_and_never_logged() {
    let (plain, warned) = (handed_out(&[]), handed_out(&["a refresh failed"]));
    for (state, warnings, level) in [
        (at_hand(plain.clone()), &[][..], "debug "),
        (token(Ok(plain)), &[], "debug "),
        (at_hand(warned.clone()), &["a refresh failed"], "warn "),
        (token(Ok(warned)), &["a refresh failed"], "warn "),
    ] {
        let (status, headers, mut body, lines) = get_token(state).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!((&headers["cache-control"], &headers["pragma"]), (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap()));
        assert_eq!(body.as_object_mut().unwrap().remove("warnings"), (!warnings.is_empty()).then(|| json!(warnings)));
        let expected = json!({"access_token": "made-up-access-token", "token_type": "Bearer", "expires_in": 412,
            "expires_at": "2026-11-23T17:25:31Z", "base_url": "https://start.exactonline.nl"});
        assert_eq!(body, expected);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].1.starts_with(level) && !lines[0].1.contains("made-up"), "{lines:?}");
        assert!(lines[0].1.ends_with(&format!("expires_in=412 function=GetToken invocation={INVOCATION}")), "{lines:?}");
    }
}

#[tokio::test]
async fn a_token_that_was_at_hand_is_a_line_only_where_somebody_reads_it() {
    for (level, warnings, expected) in [
        ("info", &[][..], 0),
        ("exact_token_broker::functions::reply=debug,error", &[], 1),
        ("info", &["a refresh failed"], 1),
        ("error", &["a refresh failed"], 0),
    ] {
        let (status, _, _, lines) = ask_at(level, at_hand(handed_out(warnings)), "GET", "/api/GetToken", "").await;
        assert_eq!((status, lines.len()), (StatusCode::OK, expected), "{level} {warnings:?} {lines:?}");
    }
}

#[tokio::test]
async fn what_is_at_hand_is_for_callers_without_a_body_who_ask_soundly() {
    let state = at_hand(handed_out(&[]));
    assert_eq!(ask(state.clone(), "GET", "/api/GetToken?max_wait=x", "").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(ask(state.clone(), "POST", "/api/GetToken", "").await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ask(state, "GET", "/api/GetToken", &"x".repeat(1024 * 1024 + 1)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn invocations_wait_for_what_is_opened_and_readiness_does_not() {
    let state = State::opening();
    assert_eq!(ask(state.clone(), "GET", "/", "").await.0, StatusCode::OK);
    state.asked().await;
    let (waiting, opened) = tokio::join!(get_token(state.clone()), async {
        state.asked().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        state.opened(Ok(Arc::new(Stub { answer: Some(Ok(handed_out(&[]))), ..Stub::default() })));
        tokio::time::Instant::now()
    });
    assert_eq!((waiting.0, opened), (StatusCode::OK, tokio::time::Instant::now()));

    let never = State::opening();
    assert_eq!(get_token(never.clone()).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ask(never, "POST", "/RefreshToken", ENVELOPE).await.0.is_server_error());
}

#[tokio::test]
async fn every_reason_has_its_status_and_its_level() {
    let unavailable = |retry_after| NoToken::Unavailable { why: "too young".to_owned(), retry_after };
    for (no, status, error, level, retry_after) in [
        (unavailable(25), 503, "temporarily_unavailable", "warn ", Some(25)),
        (unavailable(0), 503, "temporarily_unavailable", "warn ", Some(1)),
        (NoToken::ServerError("the ledger is damaged".to_owned()), 500, "server_error", "error ", None),
        (NoToken::ConsentRequired(Why::NeverConnected.into()), 409, "consent_required", "error ", None),
        (NoToken::ConsentRequired(Why::Refused(Refusal::OldTokenUsed).into()), 409, "consent_required", "error ", None),
        (NoToken::ConsentRequired(Why::OtherApp.into()), 409, "consent_required", "error ", None),
        (NoToken::ConsentRequired(Why::OtherLock.into()), 409, "consent_required", "error ", None),
    ] {
        let (got, headers, body, lines) = get_token(token(Err(no))).await;
        assert_eq!((got.as_u16(), &body["error"]), (status, &json!(error)));
        assert!(body["error_description"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(body.get("retry_after").cloned(), retry_after.map(Value::from));
        assert_eq!(headers.get("retry-after").map(|seconds| seconds.to_str().unwrap().to_owned()), retry_after.map(|seconds| seconds.to_string()));
        assert_eq!(headers["cache-control"], "no-store");
        assert!(lines.len() == 1 && lines[0].1.starts_with(level) && lines[0].1.contains(INVOCATION), "{lines:?}");
        assert!(!format!("{body}{lines:?}").contains("made-up-key"));
    }
}

#[tokio::test]
async fn who_must_connect_again_is_told_where() {
    for consent_url in [Some("https://made-up.example/api/Consent"), None] {
        let tell = |no| State::new(Ok(Arc::new(Stub { answer: Some(Err(no)), consent_url, ..Stub::default() })));
        let (_, _, body, _) = get_token(tell(NoToken::ConsentRequired(Why::NeverConnected.into()))).await;
        assert_eq!(body.get("consent_url").cloned(), consent_url.map(Value::from));
        let (_, _, body, _) = get_token(tell(NoToken::ServerError("the ledger is damaged".to_owned()))).await;
        assert!(body.get("consent_url").is_none(), "a log-in would not help");
    }
}

#[tokio::test]
async fn a_status_is_good_for_a_monitor_and_not_logged_as_trouble() {
    for (servable, expected) in [(true, StatusCode::OK), (false, StatusCode::SERVICE_UNAVAILABLE)] {
        let known = Status { servable, ..Status::unknown() };
        let stub = Stub { status: Some(known), ..Stub::default() };
        let (status, headers, body, lines) = ask(State::new(Ok(Arc::new(stub))), "GET", "/api/Status?code=made-up-key", "").await;
        assert_eq!((status, &body["version"], &body["servable"], &body["state"]), (expected, &json!(1), &json!(servable), &json!("degraded")));
        assert_eq!((&headers["cache-control"], &headers["content-type"]), (&"no-store".parse().unwrap(), &"application/json".parse().unwrap()));
        assert!(body.get("problems").is_none());
        assert!(lines.iter().all(|(_, line)| line.starts_with("debug ") && !line.contains("made-up-key")), "{lines:?}");
    }
}

#[tokio::test]
async fn a_status_has_its_form_with_wrong_settings_as_well() {
    let (status, headers, body, lines) = ask(wrong_settings(), "GET", "/api/Status", "").await;
    assert_eq!((status, &headers["cache-control"]), (StatusCode::SERVICE_UNAVAILABLE, &"no-store".parse().unwrap()));
    assert_eq!((&body["version"], &body["state"], &body["servable"]), (&json!(1), &json!("misconfigured"), &json!(false)));
    assert_eq!(body["problems"], json!(["EXACT_CLIENT_ID: is missing; set it", "REFRESH_POLICY: is not a policy; set it"]));
    assert_eq!(body["build"], env!("CARGO_PKG_VERSION"));
    assert!(errors(&lines).is_empty(), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_status_is_answered_within_seconds_whatever_hangs() {
    for hanging in [State::new(Ok(Arc::new(Stub::default()))), State::opening()] {
        let begun = tokio::time::Instant::now();
        let (status, _, body, _) = ask(hanging, "GET", "/api/Status", "").await;
        assert_eq!((status, &body["version"], &body["state"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(1), &json!("degraded")));
        assert!(begun.elapsed() <= STATUS_LIMIT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_use_case_that_hangs_is_answered_all_the_same() {
    let hanging = State::new(Ok(Arc::new(Stub::default())));
    let (status, headers, _, lines) = ask(hanging.clone(), "GET", "/api/GetToken?max_wait=0", "").await;
    assert_eq!((status, &headers["retry-after"]), (StatusCode::SERVICE_UNAVAILABLE, &"30".parse().unwrap()));
    assert_eq!(errors(&lines).len(), 1);
    let (status, _, _, lines) = ask(hanging, "POST", "/RefreshToken", ENVELOPE).await;
    assert_eq!((status.is_success(), errors(&lines).len()), (false, 1));
}

#[tokio::test]
async fn a_refused_request_names_the_parameter_and_not_its_value() {
    let (status, _, body, lines) = ask(token(Ok(handed_out(&[]))), "GET", "/api/GetToken?min_validity=made-up-canary", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let expected = "min_validity must be given once, as a whole number of seconds from 0 to 540";
    assert_eq!(body, json!({"error": "invalid_request", "error_description": expected}));
    assert!(lines.len() == 1 && lines[0].1.starts_with("info ") && !lines[0].1.contains("canary"), "{lines:?}");
}
