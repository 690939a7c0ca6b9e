//! What the program is for: a token is imported once, and from then on whoever asks gets a living one.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use simulators::exact_online::{Config, Outcome};
use simulators::functions_host::{EventKind, TimerSample, Timers, Verdict};

use super::stage::{Stage, get_token, until};

#[tokio::test]
async fn an_imported_token_becomes_a_living_access_token() {
    let stage = Stage::start().await;
    let imported = stage.run_with(&["import"], &format!("{}\n", stage.exact.issue_chain())).await;
    assert!(imported.success && imported.stderr.is_empty(), "{imported:?}");
    stage.assert_requests(0);

    let host = stage.host().await;
    let tick = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!((tick.verdict, tick.status), (Verdict::Success, Some(200)));
    assert!(matches!(&tick.logs[..], [line] if line.starts_with("refreshed; the access token lives 5")), "{:?}", tick.logs);

    let answer = get_token(&host, "").await;
    let token = answer.token();
    let body = answer.json();
    let expires_in = body["expires_in"].as_i64().unwrap();
    let expires_at: Timestamp = body["expires_at"].as_str().unwrap().parse().unwrap();
    let exactly = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": expires_in,
        "expires_at": expires_at.to_string(), "base_url": stage.exact.base_url(),
    });
    assert_eq!(body, exactly);
    assert!((550..=600).contains(&expires_in), "{expires_in}");
    assert_eq!(expires_at.subsec_nanosecond(), 0);
    let left = expires_at.duration_since(stage.exact.now()).as_secs();
    assert!((expires_in - 5..=expires_in).contains(&left), "{left} {expires_in}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(stage.exact.is_alive(&token));

    let printed = stage.run(&["token"]).await;
    assert!(printed.success && printed.stderr.is_empty(), "{printed:?}");
    assert!(printed.stdout == format!("{token}\n"), "the command prints the same token and nothing else");

    let status = stage.status().await;
    assert_eq!((&status["state"], &status["servable"], &status["requests_today"]), (&json!("connected"), &json!(true), &json!(1)), "{status}");
    let shown = stage.run(&["status"]).await;
    assert!(shown.success && shown.stdout.contains("connected to Exact Online"), "{shown:?}");
    stage.assert_requests(1);
    assert_eq!(stage.outcomes(), [Outcome::Granted]);
}

#[cfg(unix)]
#[tokio::test]
async fn the_token_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::connected().await;
    assert!(stage.run(&["token"]).await.success);
    for entry in std::fs::read_dir(stage.folder()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn a_tick_that_finds_the_token_too_young_holds_until_exact_grants_the_next() {
    // The gate opens after 3 s, in real time.
    let stage = Stage::with(Config { access_token_lifetime: Duration::from_secs(33), ..Config::default() }).await;
    stage.import().await;
    let host = stage.host().await;
    let first = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!(first.verdict, Verdict::Success);
    stage.assert_requests(1);
    let second = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!(second.verdict, Verdict::Success);
    assert!(second.duration > Duration::from_secs(1), "{:?}", second.duration);
    stage.assert_requests(2);
    assert_eq!(stage.outcomes(), [Outcome::Granted; 2]);
    let token = get_token(&host, "").await.token();
    assert!(stage.exact.is_alive(&token));
}

#[tokio::test]
async fn the_schedule_of_the_host_drives_it() {
    let stage = Stage::connected().await;
    let mut options = stage.options();
    options.timers = Timers::Every(Duration::from_millis(100));
    let host = simulators::functions_host::FunctionsHost::start(options).await.unwrap();
    let verdicts = || -> Vec<Verdict> {
        let verdict = |event: simulators::functions_host::Event| match event.kind {
            EventKind::TimerCompleted { verdict, .. } => Some(verdict),
            _ => None,
        };
        host.events().into_iter().filter_map(verdict).collect()
    };
    until("three ticks", || verdicts().len() >= 3).await;
    assert!(verdicts().iter().all(Verdict::is_success), "{:?}", verdicts());
    stage.assert_requests(1);
}

#[tokio::test]
async fn a_caller_gets_the_next_token_when_the_last_has_died() {
    let stage = Stage::with(Config { access_token_lifetime: Duration::from_secs(3), ..Config::default() }).await;
    stage.import().await;
    let host = stage.host().await;
    let first = get_token(&host, "").await.token();
    until("the token dies", || !stage.exact.is_alive(&first)).await;
    let second = get_token(&host, "").await.token();
    assert!(first != second && stage.exact.is_alive(&second));
    stage.assert_requests(2);
}
