//! SIGKILL while a request is on its way, which is how the host ends a handler. Exact has rotated; the reply arrives nowhere.

use std::time::Duration;

use simulators::exact_online::{Config, Fault, Grace, Loss, Outcome};
use simulators::functions_host::TimerSample;

use super::stage::{Stage, get_token};

/// Of a request: 10 s to send, 100 s to answer, 30 s to spare.
const QUARANTINE: u64 = 140;

/// A chain whose handler was killed in the middle of its request; the next one has said that it waits, and sent nothing.
async fn killed_in_the_middle(grace: Grace) -> Stage {
    // Half a minute of life means that Exact's gate is open at once.
    let stage = Stage::with(Config { access_token_lifetime: Duration::from_secs(30), grace, ..Config::default() }).await;
    stage.import().await;
    stage.exact.script(Fault::CommitThen(Loss::Never));
    let host = stage.host().await;
    tokio::select! {
        answer = get_token(&host, "") => panic!("{answer:?}"),
        () = stage.until_requests(1) => host.kill().await.unwrap(),
    }

    host.respawn().await.unwrap();
    host.wait_ready().await.unwrap();
    for _ in 0..3 {
        let answer = get_token(&host, "?max_wait=2").await;
        let description = answer.error(503, "temporarily_unavailable");
        assert!(description.contains("another request may still be waiting for its reply"), "{description}");
        let retry_after = answer.json()["retry_after"].as_u64().unwrap();
        assert!((QUARANTINE - 40..=QUARANTINE + 1).contains(&retry_after), "{retry_after}");
    }
    let tick = tokio::time::timeout(Duration::from_millis(500), host.fire_timer(&TimerSample::normal())).await;
    assert!(tick.is_err(), "the tick holds for the quarantine: {tick:?}");
    let status = stage.status().await;
    assert_eq!((&status["open_attempts"], &status["servable"]), (&1.into(), &false.into()), "{status}");
    stage.assert_requests(1);
    host.kill().await.unwrap();
    stage
}

/// What a new handler answers once so many seconds have passed for everybody.
async fn answer_after(stage: &mut Stage, seconds: i64) -> super::stage::Answer {
    stage.set_clocks(seconds);
    let host = stage.host().await;
    get_token(&host, "?max_wait=5").await
}

#[tokio::test]
async fn a_grace_of_ten_minutes_saves_the_chain() {
    let mut stage = killed_in_the_middle(Grace::Seconds(600)).await;
    let token = answer_after(&mut stage, 150).await.token();
    assert!(stage.exact.is_alive(&token));
    assert_eq!(stage.outcomes(), [Outcome::Granted, Outcome::GrantedByGrace]);
}

#[tokio::test]
async fn a_grace_until_the_successor_is_used_saves_the_chain() {
    let mut stage = killed_in_the_middle(Grace::UntilNewUsed).await;
    let token = answer_after(&mut stage, 3_600).await.token();
    assert!(stage.exact.is_alive(&token));
    assert_eq!(stage.outcomes(), [Outcome::Granted, Outcome::GrantedByGrace]);
}

#[tokio::test]
async fn without_a_grace_the_truth_is_told_and_a_new_consent_helps() {
    let mut stage = killed_in_the_middle(Grace::None).await;
    // One odd answer is not death: it is asked again when a grace of ten minutes would be sure to show.
    answer_after(&mut stage, 150).await.error(503, "temporarily_unavailable");
    assert_eq!(stage.outcomes(), [Outcome::Granted, Outcome::OldToken]);
    let twice = answer_after(&mut stage, 760).await;
    assert!(twice.error(409, "consent_required").contains("used before"), "{twice:?}");
    assert_eq!(stage.outcomes(), [Outcome::Granted, Outcome::OldToken, Outcome::OldToken]);
    assert_eq!(stage.status().await["state"], "consent_required");
    // Nobody hammers on a dead chain.
    for seconds in [761, 900, 1_200] {
        answer_after(&mut stage, seconds).await.error(409, "consent_required");
    }
    stage.assert_requests(3);

    stage.import().await;
    let token = answer_after(&mut stage, 1_300).await.token();
    assert!(stage.exact.is_alive(&token));
    assert_eq!(stage.status().await["state"], "connected");
}

#[tokio::test]
async fn what_was_handed_out_is_stored_before_it_is_answered() {
    let stage = Stage::connected().await;
    let host = stage.host().await;
    let token = get_token(&host, "").await.token();
    host.kill().await.unwrap();
    let printed = stage.run(&["token", "--max-wait", "0"]).await;
    assert!(printed.success && printed.stdout == format!("{token}\n"), "{}", printed.stderr);
    stage.assert_requests(1);
    assert!(stage.exact.is_chain_alive(&stage.exact.newest_refresh_token().unwrap()));
}

#[tokio::test]
async fn a_crash_is_survived_under_the_hosts_own_respawn() {
    let stage = Stage::connected().await;
    let host = stage.host().await;
    let token = get_token(&host, "").await.token();
    for _ in 0..2 {
        host.crash().unwrap();
        host.wait_ready().await.unwrap();
        assert!(get_token(&host, "").await.token() == token);
    }
    stage.assert_requests(1);
}
