//! What a caller gets, and how long that takes.

use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::token::Secret;
use exact_token_broker::token::schedule::Why;
use jiff::SignedDuration;
use simulators::exact_online::{Config, Fault as ExactFault, Loss, bodies};

use super::day::{at_once, connected, requests_since, undisturbed};
use super::life::{Doubles, Fault, How, Plan, live};
use super::world::World;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ask(min_validity: i64, max_wait: i64) -> Ask {
    Ask { min_validity: SignedDuration::from_secs(min_validity), max_wait: SignedDuration::from_secs(max_wait) }
}

fn retry_after(told: Result<exact_token_broker::get_token::HandedOut, NoToken>) -> i64 {
    match told {
        Err(NoToken::Unavailable { retry_after, .. }) => retry_after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn i7_a_token_has_the_life_that_was_asked_for_or_there_is_none() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        for age in (0..570).step_by(19) {
            for min_validity in [0, 30, 60, 300, 540] {
                let left = 600 - age;
                match refresher.get_token(ask(min_validity, 0)).await {
                    Ok(token) => {
                        assert!(token.expires_in >= min_validity, "{age} s after the grant");
                        assert!(doubles.world.state().exact.is_alive(token.access_token.reveal(), doubles.true_now()));
                    }
                    Err(told) => assert!(left <= min_validity, "{min_validity} s were asked for when {left} s were left: {told:?}"),
                }
            }
            tokio::time::sleep(seconds(19)).await;
        }
    });
}

#[test]
fn i7_what_is_at_hand_needs_no_waiting_and_is_not_believed_for_longer_than_a_minute() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, _| async move {
        assert!(refresher.at_hand(Ask::default()).is_none(), "nothing was read yet");
        let token = refresher.get_token(Ask::default()).await.unwrap();
        for age in 0..=600 {
            let looked = refresher.view().age.unwrap();
            let at_hand = refresher.at_hand(ask(300, 0));
            assert_eq!(at_hand.is_some(), looked < seconds(60) && age <= 300, "{age} s after the grant, {looked:?} after the look");
            if let Some(at_hand) = at_hand {
                assert!(at_hand.access_token.reveal() == token.access_token.reveal() && at_hand.warnings.is_empty());
                assert_eq!((at_hand.expires_in, at_hand.expires_at), (600 - age, token.expires_at));
            }
            if age % 100 == 99 {
                refresher.look().await.unwrap();
            }
            tokio::time::sleep(seconds(1)).await;
        }
    });
}

#[test]
fn with_540_s_asked_a_caller_is_told_when_to_come_back_and_then_gets_them() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        tokio::time::sleep(seconds(100)).await;
        let asked = doubles.true_now();
        let again = retry_after(refresher.get_token(ask(540, 200)).await);
        assert_eq!(doubles.true_now(), asked, "at once, since the wait alone would be longer than max_wait");
        assert!((470..=475).contains(&again), "the gate opens in 470 s, and {again} was said");
        tokio::time::sleep(seconds(again.unsigned_abs())).await;
        assert!(refresher.get_token(ask(540, 200)).await.unwrap().expires_in >= 540);
    });
}

#[test]
fn by_default_a_caller_waits_30_s_for_the_gate_at_most() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        for age in [0, 200, 530, 539, 541, 555, 569, 571, 599, 601] {
            let begun = doubles.true_now();
            let granted = refresher.view().head.map_or(begun, |head| head.granted_at);
            let rest = age - begun.duration_since(granted).as_secs();
            tokio::time::sleep(seconds(rest.max(0).unsigned_abs())).await;
            let asked = doubles.true_now();
            let token = refresher.get_token(Ask::default()).await.unwrap();
            let waited = doubles.true_now().duration_since(asked);
            assert!(waited <= SignedDuration::from_secs(31), "waited {waited:?} at {age} s");
            assert!(token.expires_in >= 60);
        }
    });
}

#[test]
fn with_30_s_asked_a_caller_never_waits() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        for _ in 0..600 {
            let asked = doubles.true_now();
            let token = refresher.get_token(ask(30, 200)).await.unwrap();
            assert!(token.expires_in >= 30);
            assert!(doubles.true_now().duration_since(asked) < SignedDuration::from_millis(100));
            tokio::time::sleep(seconds(7)).await;
        }
    });
}

#[test]
fn without_patience_a_caller_is_answered_at_once_and_the_refresh_goes_on() {
    let world = connected(Config::default());
    world.state().exact.script(ExactFault::CommitThen(Loss::Late(seconds(20))));
    undisturbed(&world, |refresher, doubles| async move {
        tokio::time::sleep(seconds(610)).await;
        let asked = doubles.true_now();
        assert!(retry_after(refresher.get_token(at_once()).await) >= 1);
        assert_eq!(doubles.true_now(), asked);
        tokio::time::sleep(seconds(25)).await;
        assert!(refresher.get_token(at_once()).await.is_ok());
    });
}

/// A process dies at each step of its refresh. What it had stored serves the next caller, although the lock is given back slowly, later than he waits.
#[test]
fn what_a_dead_process_had_stored_serves_as_soon_as_it_is_found() {
    let slow = Fault { op: "ledger.unlock", nth: 0, how: How::Never };
    let mut found = 0;
    for kill_at in 1.. {
        let world = connected(Config::default());
        let lived = live(&world, &Plan::new(Some(kill_at), None), |refresher, _| async move {
            tokio::time::sleep(seconds(571)).await;
            refresher.tick().await
        });
        if lived.is_some() {
            break;
        }
        let stored = {
            let state = world.state();
            let head = &state.versions[&state.head()].1.refresh_token;
            let newest = state.exact.newest_refresh_token();
            newest != Some(head.reveal()) && state.versions.values().any(|(_, credential)| Some(credential.refresh_token.reveal()) == newest)
        };
        live(&world, &Plan::new(None, Some(slow)), |refresher, _| async move {
            tokio::time::sleep(seconds(61)).await;
            let told = refresher.get_token(ask(60, 10)).await;
            assert!(!stored || told.is_ok(), "killed at step {kill_at}: {told:?}");
        });
        found += u32::from(stored);
    }
    assert!(found > 1, "{found} steps at which it was stored and not the head yet");
}

#[test]
fn a_reply_that_takes_36_s_is_waited_for() {
    let world = connected(Config::default());
    world.state().exact.script(ExactFault::CommitThen(Loss::Late(seconds(36))));
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        tokio::time::sleep(seconds(610)).await;
        let asked = doubles.true_now();
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(doubles.true_now().duration_since(asked).as_secs(), 36);
        assert_eq!(token.expires_in, 564, "its life is counted from before it was sent");
    });
    assert_eq!(requests_since(&world, since).len(), 1);
}

#[test]
fn memory_answers_for_a_minute_and_then_all_callers_share_one_look() {
    let world = connected(Config::default());
    let plan = Plan::new(None, None);
    let looks = |plan: &Plan| plan.calls().iter().filter(|call| **call == "ledger.read").count();
    live(&world, &plan, |refresher, _| {
        let plan = std::sync::Arc::clone(&plan);
        async move {
            refresher.get_token(Ask::default()).await.unwrap();
            assert_eq!(looks(&plan), 1);
            tokio::time::sleep(seconds(59)).await;
            refresher.get_token(Ask::default()).await.unwrap();
            assert_eq!(looks(&plan), 1, "memory answers for a minute");
            tokio::time::sleep(seconds(2)).await;
            let one = || refresher.get_token(Ask::default());
            let (a, b, c) = tokio::join!(one(), one(), one());
            assert!(a.is_ok() && b.is_ok() && c.is_ok());
            assert_eq!(looks(&plan), 2, "three callers, one look");
        }
    });
}

/// Another process is given a new chain.
async fn another_chain(doubles: &Doubles, replace: bool) {
    let token = {
        let mut state = doubles.world.state();
        let now = doubles.true_now();
        state.exact.issue_chain(now)
    };
    doubles.beside(&Plan::new(None, None)).import(Secret::new(token), replace).await.unwrap();
}

#[test]
fn another_consent_is_noticed_within_a_minute() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let first = refresher.get_token(Ask::default()).await.unwrap();
        another_chain(&doubles, true).await;
        tokio::time::sleep(seconds(61)).await;
        let second = refresher.get_token(Ask::default()).await.unwrap();
        assert_ne!(first.access_token.reveal(), second.access_token.reveal());
        assert!(doubles.world.state().exact.is_alive(second.access_token.reveal(), doubles.true_now()));
    });
}

#[test]
fn a_slow_store_delays_nobody_whose_token_is_at_hand() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        refresher.get_token(Ask::default()).await.unwrap();
        for (store_takes, most) in [(2, 2), (40, 2)] {
            doubles.world.state().store_takes = seconds(store_takes);
            tokio::time::sleep(seconds(90)).await;
            let asked = doubles.true_now();
            let token = refresher.get_token(Ask::default()).await.unwrap();
            let waited = doubles.true_now().duration_since(asked).as_secs();
            assert!(waited <= most, "waited {waited} s for a store that takes {store_takes} s");
            assert_eq!(token.warnings.is_empty(), store_takes <= 1, "{:?}", token.warnings);
            tokio::time::sleep(seconds(60)).await;
        }
    });
}

#[test]
fn i8_after_a_failure_the_token_at_hand_is_handed_out_with_a_warning() {
    let world = connected(Config::default());
    world.state().exact.always(Some(ExactFault::instead(bodies::HTML_503)));
    undisturbed(&world, |refresher, _| async move {
        tokio::time::sleep(seconds(575)).await;
        // A tick in the last seconds of the token fails.
        let tick = tokio::time::timeout(seconds(1), refresher.tick()).await;
        assert!(tick.is_err(), "it holds for the next try");
        let token = refresher.get_token(ask(0, 0)).await.unwrap();
        assert!(token.expires_in > 0);
        assert!(token.warnings.iter().any(|warning| warning.contains("the last refresh failed (1 in a row)")), "{:?}", token.warnings);
    });
}

#[test]
fn before_the_first_consent_a_caller_is_told_so() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, _| async move {
        assert_eq!(refresher.get_token(Ask::default()).await.unwrap_err(), NoToken::ConsentRequired(Why::NeverConnected.into()));
        assert!(refresher.tick().await.failed);
    });
    assert!(world.state().exact.log().is_empty());
}

#[test]
fn after_a_consent_nobody_has_to_wait_for_memory_to_forget() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        assert!(refresher.get_token(Ask::default()).await.is_err());
        another_chain(&doubles, false).await;
        tokio::time::sleep(seconds(2)).await;
        assert!(refresher.get_token(Ask::default()).await.is_ok());
    });
}

#[test]
fn a_caller_who_hangs_up_does_not_cost_the_grant() {
    let world = connected(Config::default());
    world.state().exact.script(ExactFault::CommitThen(Loss::Late(seconds(36))));
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        tokio::time::sleep(seconds(610)).await;
        let gone = tokio::time::timeout(seconds(5), refresher.get_token(Ask::default())).await;
        assert!(gone.is_err(), "the caller hangs up in the middle of the request");
        tokio::time::sleep(seconds(40)).await;
        let state = doubles.world.state();
        let newest = state.exact.newest_refresh_token().unwrap();
        assert!(state.versions.values().any(|(_, credential)| credential.refresh_token.reveal() == newest), "I1");
        assert!(state.ledger.as_ref().unwrap().0.open.is_empty());
    });
    assert_eq!(requests_since(&world, since).len(), 1);
}

#[test]
fn an_app_that_is_not_accepted_is_said_to_be_so() {
    let world = connected(Config::default());
    world.state().exact.always(Some(ExactFault::instead(bodies::INVALID_CLIENT)));
    let since = world.state().now;
    undisturbed(&world, |refresher, _| async move {
        tokio::time::sleep(seconds(610)).await;
        for _ in 0..50 {
            match refresher.get_token(Ask::default()).await {
                Err(NoToken::ServerError(what)) => assert!(what.contains("EXACT_CLIENT_ID"), "{what}"),
                other => panic!("{other:?}"),
            }
            tokio::time::sleep(seconds(60)).await;
        }
    });
    assert_eq!(requests_since(&world, since).len(), 1, "one an hour");
}
