//! A machine whose clock is an hour off. The stored times were written by a right one.

use simulators::exact_online::Outcome;
use simulators::functions_host::TimerSample;

use super::stage::{Stage, get_token};

const HOUR: i64 = 3_600;

/// A chain with a token that was granted a moment ago.
async fn granted() -> (Stage, String) {
    let stage = Stage::connected().await;
    let token = stage.granted().await;
    stage.assert_requests(1);
    (stage, token)
}

/// Asks a new handler several times, by call and by tick, and gives the errors' descriptions.
async fn asked(stage: &Stage) -> Vec<String> {
    let host = stage.host().await;
    let mut descriptions = Vec::new();
    for query in ["?max_wait=1", "?max_wait=0", "?max_wait=1&min_validity=0", "?max_wait=1&min_validity=540"] {
        let answer = get_token(&host, query).await;
        descriptions.push(answer.error(503, "temporarily_unavailable"));
    }
    // A tick may hold; whatever it does, it does within the budget that is counted below.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), host.fire_timer(&TimerSample::normal())).await;
    descriptions
}

#[tokio::test]
async fn an_hour_ahead_no_token_is_called_dead_twice_and_exact_is_not_stormed() {
    let (mut stage, token) = granted().await;
    stage.set_clock_of_processes(HOUR);
    for _ in 0..3 {
        let descriptions = asked(&stage).await;
        assert!(descriptions.iter().all(|text| text.contains("has not expired yet")), "{descriptions:?}");
    }
    // To such a clock the token is dead; Exact said once that it is not, and was believed.
    assert_eq!(stage.outcomes(), [Outcome::Granted, Outcome::TooEarly]);

    stage.set_clock_of_processes(0);
    assert!(get_token(&stage.host().await, "").await.token() == token && stage.exact.is_alive(&token));
    assert_eq!(stage.exact.log().len(), 2);
}

#[tokio::test]
async fn an_hour_behind_a_token_of_unknown_age_is_not_handed_out_and_nothing_is_sent() {
    let (mut stage, _token) = granted().await;
    stage.set_clock_of_processes(-HOUR);
    for _ in 0..3 {
        let descriptions = asked(&stage).await;
        assert!(descriptions.iter().all(|text| text.contains("clock is behind")), "{descriptions:?}");
    }
    stage.assert_requests(1);

    // Put right, nothing tells which of the two clocks was wrong: the pair is not handed out, and it may be as young as it says, so Exact is not asked.
    stage.set_clock_of_processes(0);
    for _ in 0..3 {
        get_token(&stage.host().await, "?max_wait=1").await.error(503, "temporarily_unavailable");
    }
    stage.assert_requests(1);
}

#[tokio::test]
async fn a_dead_token_is_not_handed_out_by_a_clock_that_went_back() {
    let (mut stage, _dead) = granted().await;
    // An hour passes at Exact's, while the process's clock is put back by one.
    stage.set_clocks(HOUR);
    stage.set_clock_of_processes(-HOUR);
    let host = stage.host().await;
    let answer = get_token(&host, "?max_wait=1").await;
    answer.error(503, "temporarily_unavailable");
    stage.assert_requests(1);
    // Put right, it is renewed.
    stage.set_clocks(HOUR);
    let token = get_token(&stage.host().await, "").await.token();
    assert!(stage.exact.is_alive(&token));
    stage.assert_requests(2);
}
