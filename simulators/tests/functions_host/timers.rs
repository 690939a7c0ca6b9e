//! Timer invocations: samples, verdicts, retries, schedule.

use std::time::Duration;

use serde_json::{Value, json};
use simulators::functions_host::{EventKind, FunctionsHost, TimerSample, Timers, Verdict};
use tempfile::TempDir;

use crate::{App, tick, until};

#[tokio::test]
async fn every_sample_arrives_whole_over_one_connection() {
    let app = App::new(true);
    let host = app.start().await;
    for (name, sample) in TimerSample::all() {
        let invocation = host.fire_timer(&sample).await.unwrap();
        assert!(invocation.verdict.is_success(), "{name}: {invocation:?}");
        let sent = sample.body("RefreshToken", "timer");
        assert_eq!(invocation.logs.last(), Some(&sent), "{name}");
        host.ping().await.unwrap();
    }
    assert_eq!(host.idle_connections(), 1);
    let logs = tick(&host).await.logs;
    assert_eq!(logs[0], "transfer-encoding chunked");
    assert_eq!(logs[1], "content-length none");
    let logs = host.fire_timer(&TimerSample::content_length()).await.unwrap().logs;
    assert_eq!(logs[1], "content-length 357");
    let logs = host.fire_timer(&TimerSample::no_traceparent()).await.unwrap().logs;
    assert_eq!(logs[2], "traceparent none");
}

#[tokio::test]
async fn two_invocations_run_at_once_on_two_connections() {
    let app = App::new(true);
    let host = app.start().await;
    app.mode("slow");
    let (one, two) = tokio::join!(tick(&host), tick(&host));
    assert!(one.verdict.is_success() && two.verdict.is_success());
    assert_eq!(host.idle_connections(), 2);
}

#[tokio::test]
async fn replies_are_judged_as_by_the_host() {
    let app = App::new(false);
    let host = app.start().await;
    app.mode("fail");
    assert_eq!(tick(&host).await.status, Some(500));
    app.mode("null");
    assert!(matches!(tick(&host).await.verdict, Verdict::NeverCompletes(_)));
    // R9: a redirect is followed by a GET, and the 302 of the fallback ends in too many.
    app.mode("redirect");
    let verdict = tick(&host).await.verdict;
    assert!(verdict.failure().unwrap().contains("redirected too often"), "{verdict:?}");
    // R12
    app.mode("hang");
    let (cut, crashed) = tokio::join!(tick(&host), async {
        until(&host, |kind| matches!(kind, EventKind::Console(line) if line.text.contains("hang"))).await;
        host.crash()
    });
    crashed.unwrap();
    assert!(matches!(cut.verdict, Verdict::Failure(_)), "{:?}", cut.verdict);
    assert_eq!(cut.status, None);
}

#[tokio::test]
async fn a_manual_run_is_accepted_and_runs() {
    let app = App::new(true);
    let host = app.start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let run = |name: &str, key: &str, body: &'static str| {
        let url = format!("{}/admin/functions/{name}", host.url());
        client.post(url).header("x-functions-key", key).body(body).send()
    };
    let input = r#"{"input":""}"#;
    assert_eq!(run("RefreshToken", "FAKE-HOST-KEY", input).await.unwrap().status(), 401);
    assert_eq!(run("Other", "FAKE-MASTER-KEY", input).await.unwrap().status(), 404);
    assert_eq!(run("RefreshToken", "FAKE-MASTER-KEY", "").await.unwrap().status(), 400);
    assert_eq!(run("RefreshToken", "FAKE-MASTER-KEY", input).await.unwrap().status(), 202);
    until(
        &host,
        |kind| matches!(kind, EventKind::TimerCompleted { verdict: Verdict::Success, logs, .. } if logs[6].contains(r#""ScheduleStatus":null"#)),
    )
    .await;
}

#[tokio::test]
async fn retries_keep_the_id_and_count() {
    let app = App::new(true);
    let retry = json!({"strategy": "fixedDelay", "maxRetryCount": 2, "delayInterval": "00:01:00"});
    app.write_timer(&json!({"schedule": "0 */9 * * * *"}), &retry);
    let mut options = app.options();
    options.retry_delay = Some(Duration::from_millis(5));
    let host = FunctionsHost::start(options).await.unwrap();
    app.mode("fail first");
    let invocation = host.fire_scheduled().await.unwrap();
    assert_eq!((invocation.attempts, invocation.logs[4].as_str()), (2, "retry 1"));
    assert!(invocation.logs[6].contains("500 (Internal Server Error)"));
    app.mode("fail");
    assert_eq!(host.fire_scheduled().await.unwrap().attempts, 3);
    let mut ids: Vec<String> = host
        .events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::TimerFired { invocation_id, .. } => Some(invocation_id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 5);
    ids.dedup();
    assert_eq!(ids.len(), 2, "one id for each invocation");
}

#[tokio::test]
async fn a_missed_tick_is_past_due_at_the_next_start() {
    let app = App::new(true);
    let statuses = TempDir::new().unwrap();
    let mut options = app.options();
    options.status_folder = Some(statuses.path().to_owned());
    let file = statuses.path().join("Host.Functions.RefreshToken/status");

    let host = FunctionsHost::start(options.clone()).await.unwrap();
    host.fire_scheduled().await.unwrap();
    let mut status: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(status["Last"].as_str().unwrap().ends_with("+00:00"));
    drop(host);

    status["Last"] = json!("2026-01-01T00:00:00+00:00");
    status["Next"] = json!("2026-01-01T00:09:00+00:00");
    std::fs::write(&file, status.to_string()).unwrap();
    options.timers = Timers::OnSchedule;
    let host = FunctionsHost::start(options).await.unwrap();
    until(&host, |kind| matches!(kind, EventKind::TimerFired { past_due: true, .. })).await;
    until(&host, |kind| matches!(kind, EventKind::NextTick { .. })).await;
    let stored = std::fs::read_to_string(&file).unwrap();
    assert!(!stored.contains("2026-01-01T"), "{stored}");
}

#[tokio::test]
async fn a_scaled_timer_ticks_one_at_a_time() {
    let app = App::new(true);
    app.mode("slow");
    let mut options = app.options();
    options.timers = Timers::Every(Duration::from_millis(100));
    let host = FunctionsHost::start(options).await.unwrap();
    let mut events = host.subscribe();
    let mut running = 0;
    let mut fired = 0;
    while fired < 3 {
        match events.recv().await.unwrap().kind {
            EventKind::TimerFired { past_due, .. } => {
                assert!(!past_due, "an overrun is not past due");
                assert_eq!(running, 0, "one at a time");
                running += 1;
                fired += 1;
            }
            EventKind::TimerCompleted { .. } => running = 0,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_tick_cut_by_the_hosts_death_is_past_due_again() {
    let app = App::new(true);
    let statuses = TempDir::new().unwrap();
    let file = statuses.path().join("Host.Functions.RefreshToken/status");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let date = "2026-01-01T00:00:00+00:00";
    let status = json!({"Last": date, "Next": "2026-01-01T00:09:00+00:00", "LastUpdated": date});
    std::fs::write(&file, status.to_string()).unwrap();
    let mut options = app.options();
    options.status_folder = Some(statuses.path().to_owned());
    options.timers = Timers::OnSchedule;
    app.mode("hang");
    let host = FunctionsHost::start(options).await.unwrap();
    let hung = |kind: &EventKind| matches!(kind, EventKind::Console(line) if line.text.contains("hang"));
    until(&host, hung).await;
    host.kill().await.unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().contains("2026-01-01T00:09:00"));
    app.mode("");
    host.respawn().await.unwrap();
    host.start_timers();
    let done = |kind: &EventKind| matches!(kind, EventKind::TimerCompleted { verdict: Verdict::Success, .. });
    until(&host, done).await;
    let fired = host.events();
    let past_due = fired.iter().filter(|event| matches!(event.kind, EventKind::TimerFired { past_due: true, .. }));
    assert_eq!(past_due.count(), 2);
}

#[tokio::test]
async fn manual_attempts_have_an_id_each() {
    let app = App::new(true);
    let retry = json!({"strategy": "fixedDelay", "maxRetryCount": 1, "delayInterval": "00:01:00"});
    app.write_timer(&json!({"schedule": "0 */9 * * * *"}), &retry);
    app.mode("fail first");
    let mut options = app.options();
    options.retry_delay = Some(Duration::ZERO);
    let host = FunctionsHost::start(options).await.unwrap();
    let url = format!("{}/admin/functions/RefreshToken", host.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let run = client.post(url).header("x-functions-key", "FAKE-MASTER-KEY").body(r#"{"input":""}"#);
    assert_eq!(run.send().await.unwrap().status(), 202);
    until(&host, |kind| matches!(kind, EventKind::TimerCompleted { verdict: Verdict::Success, .. })).await;
    let fired = host.events().into_iter().filter_map(|event| match event.kind {
        EventKind::TimerFired { invocation_id, retry, .. } => Some((invocation_id, retry)),
        _ => None,
    });
    let fired: Vec<(String, u32)> = fired.collect();
    assert_eq!((fired[0].1, fired[1].1), (0, 1));
    assert_ne!(fired[0].0, fired[1].0);
}
