//! A store that takes nothing, and a process that dies with the pair in its hands.

use std::sync::Arc;
use std::time::Duration;

use exact_token_broker::consent::{Decision, Finished, Problem, Waiting};
use exact_token_broker::get_token::Ask;
use exact_token_broker::refresh_token::Refresher;
use exact_token_broker::status::{State, Status};
use exact_token_broker::token::reply::Unclear;
use exact_token_broker::token::schedule::Mode;
use exact_token_broker::token::{CodeReply, Grant, Reply, Secret};
use jiff::SignedDuration;
use simulators::exact_online::Config;

use super::{Exact, back, connect, connect_after, consent, person, problem};
use crate::day::{HOUR, connected, ticks, undisturbed};
use crate::life::{Doubles, Plan, live};
use crate::world::{VaultIs, World};

#[test]
fn a_store_that_takes_nothing_costs_no_code() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        doubles.world.state().vault = VaultIs::ReadOnly;
        assert!(matches!(problem(connect(&refresher, &exact).await), Problem::Store(_)));
        assert_eq!(exact.exchanged(), 0);
        doubles.world.state().vault = VaultIs::Well;
        doubles.world.state().ledger_up = false;
        assert!(matches!(consent(&refresher, &exact).begin(None).await, Err(Problem::Store(_))), "nobody logs in for nothing");
        doubles.world.state().ledger_up = true;
        let begun = consent(&refresher, &exact).begin(None).await.unwrap();
        doubles.world.state().ledger_up = false;
        assert!(matches!(problem(consent(&refresher, &exact).finish(back(&begun)).await), Problem::Store(_)));
        assert_eq!(exact.exchanged(), 0);
        doubles.world.state().ledger_up = true;
        assert!(connect(&refresher, &exact).await.is_ok());
    });
}

#[test]
fn a_pair_that_could_not_be_stored_is_served_and_saved_by_the_next_tick_or_by_itself() {
    for by_tick in [true, false] {
        let world = World::new(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world);
            doubles.world.state().vault = VaultIs::Full;
            assert!(matches!(problem(connect(&refresher, &exact).await), Problem::NotSaved(_)));
            assert!(refresher.unsaved().is_some());
            // Another consent would have no place to be kept. Whoever asks is told soon, although the pair is being tried for minutes meanwhile.
            let asked = doubles.true_now();
            assert!(matches!(problem(connect(&refresher, &exact).await), Problem::NotSaved(_)), "nobody is sent to log in");
            assert!(doubles.true_now().duration_since(asked) <= SignedDuration::from_mins(1));
            assert_eq!(exact.exchanged(), 1);
            doubles.world.state().vault = VaultIs::Well;
            assert!(refresher.get_token(Ask::default()).await.is_ok());
            if by_tick {
                assert!(!refresher.tick().await.failed);
            } else {
                tokio::time::sleep(Duration::from_mins(2)).await;
            }
            assert!(refresher.unsaved().is_none());
            let state = doubles.world.state();
            let ledger = &state.ledger.as_ref().unwrap().0;
            assert_eq!((ledger.epoch, ledger.consents.person.clone()), (1, Some(person("one"))));
            assert!(state.stored_chain_lives(doubles.true_now()));
        });
    }
}

/// Seed 12838 of the simulation: a tick had taken the lock and was saving the pair when Exact had told whose it is, and it was kept as a stranger's.
#[test]
fn whose_a_pair_is_counts_although_another_pass_was_saving_it_already() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        connect(&refresher, &exact).await.unwrap();
        let connecting = {
            let (refresher, exact) = (Arc::clone(&refresher), Arc::clone(&exact));
            tokio::spawn(async move { connect(&refresher, &exact).await })
        };
        tokio::time::sleep(Duration::from_millis(30_100)).await;
        doubles.world.state().vault = VaultIs::Full;
        tokio::time::sleep(Duration::from_secs(2)).await;
        // Somebody breaks the lease.
        doubles.world.state().lock = None;
        let tick = {
            let refresher = Arc::clone(&refresher);
            tokio::spawn(async move { refresher.tick().await })
        };
        assert!(matches!(problem(connecting.await.unwrap()), Problem::NotSaved(_)));
        doubles.world.state().vault = VaultIs::Well;
        assert!(!tick.await.unwrap().failed);
        let state = doubles.world.state();
        let ledger = &state.ledger.as_ref().unwrap().0;
        assert_eq!((ledger.epoch, ledger.consents.person.clone(), &ledger.consents.pending), (2, Some(person("one")), &None));
    });
}

/// Killed at each step in turn. What was granted is stored, and then it serves or waits for a confirmation, or it was in the hands of a dead process,
/// and then that is said. Whatever it left, the next person connects.
#[test]
fn a_process_that_is_killed_anywhere_leaves_nothing_that_stands_in_the_way() {
    for (from_nothing, ticks_between) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut kept = 0;
        for kill_at in 1.. {
            let world = if from_nothing { World::new(Config::default()) } else { connected(Config::default()) };
            let exact = Exact::of(&world);
            let plan = Plan::new(Some(kill_at), None);
            let lived = live(&world, &plan, |refresher, _| {
                let exact = Arc::clone(&exact);
                async move { connect(&refresher, &exact).await.is_ok() }
            });
            let granted = exact.exchanged() > 0;
            let stored =
                world.state().versions.values().any(|(_, credential)| {
                    credential.access.as_ref().is_some_and(|access| access.value.reveal().starts_with("made-up-access-of-code"))
                });
            assert!(granted || !stored);
            kept += u32::from(stored);
            // A lease of a dead process ends by itself; its quarantine keeps no person away.
            undisturbed(&world, |refresher, doubles| async move {
                tokio::time::sleep(Duration::from_secs(61)).await;
                let exact = Exact::of(&doubles.world);
                if lived.is_none() && ticks_between {
                    is_found_or_said(&refresher, &doubles, &exact, stored, from_nothing, granted).await;
                }
                assert!(matches!(connect_after(&refresher, &exact, 1).await, Ok(Finished::Connected(_))), "after a kill at step {kill_at}");
                assert!(refresher.get_token(Ask::default()).await.is_ok());
                assert!(ticks(&refresher, &doubles, 1_200).await.last().is_some_and(|tick| !tick.failed));
            });
            if lived == Some(true) {
                assert!(kill_at > 20 && kept > 3, "{kill_at} steps, in {kept} of which the pair was stored");
                break;
            }
        }
    }
}

async fn is_found_or_said(refresher: &Arc<Refresher>, doubles: &Arc<Doubles>, exact: &Arc<Exact>, stored: bool, from_nothing: bool, granted: bool) {
    refresher.tick().await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    let ledger = doubles.world.state().ledger.clone().map(|(ledger, _)| ledger);
    let status = Status::of(refresher).await;
    let served = || async { refresher.get_token(Ask { min_validity: SignedDuration::ZERO, ..Ask::default() }).await };
    let of_the_code = |token: &str| token.starts_with("made-up-access-of-code");
    match ledger.and_then(|ledger| ledger.consents.pending) {
        Some(pending) => {
            assert!(stored && !from_nothing && status.summary.contains("the page Consent asks"), "{status}");
            let decided = consent(refresher, exact).decide(Waiting::Named(pending.pointer.version), Decision::Connect).await;
            assert!(matches!(decided, Ok(Finished::Connected(_))));
            assert!(of_the_code(served().await.unwrap().access_token.reveal()));
        }
        None if stored => assert!(of_the_code(served().await.unwrap().access_token.reveal()), "{status}"),
        None if granted => {
            assert!(status.summary.contains("was cut off before its tokens were stored"), "{status}");
            assert!(matches!(status.state, State::Degraded | State::NeverConnected | State::ConsentRequired), "{status}");
        }
        None => {}
    }
}

/// Nobody refreshes until somebody asks, so what was cut off is not settled for hours: that takes no token away, and is said.
#[test]
fn on_demand_a_log_in_that_was_cut_off_keeps_nobody_from_being_served() {
    let mut cut_off = 0;
    for kill_at in 1.. {
        let world = connected(Config::default());
        world.state().mode = Mode::OnDemand;
        let exact = Exact::of(&world).answers(CodeReply::Other(Reply::Unclear(Unclear::TimedOut)));
        let lived = live(&world, &Plan::new(Some(kill_at), None), |refresher, _| {
            let exact = Arc::clone(&exact);
            async move { connect(&refresher, &exact).await.is_ok() }
        });
        if lived.is_some() {
            break;
        }
        cut_off += undisturbed(&world, |refresher, doubles| async move {
            ticks(&refresher, &doubles, 20 * HOUR).await;
            let status = Status::of(&refresher).await;
            assert!(status.servable, "killed at step {kill_at}: {status}");
            let cut_off = status.summary.contains("was cut off before its tokens were stored");
            assert_eq!((status.state == State::Degraded, status.open_attempts), (cut_off, usize::from(cut_off)), "{status}");
            assert!(refresher.get_token(Ask::default()).await.is_ok());
            assert_eq!(Status::of(&refresher).await.state, State::Connected, "the next grant settles it");
            u32::from(cut_off)
        });
    }
    assert!(cut_off > 2);
}

/// The process of a log-in is frozen in the exchange for minutes. Another refreshes the chain before, and then the first wakes up.
#[test]
fn i3_a_log_in_whose_process_slept_is_overtaken_by_no_refresh() {
    for who in ["one", "two"] {
        let world = connected(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            connect(&refresher, &Exact::of(&doubles.world)).await.unwrap();
            tokio::time::sleep(Duration::from_secs(400)).await;
            let exact = Exact::of(&doubles.world);
            exact.is(Some(person(who)));
            if who == "two" {
                // Another's log-in leaves the chain before as it is.
                exact.answers(CodeReply::Other(Reply::Granted(Grant {
                    access_token: Secret::new("made-up-access-of-code-of-two"),
                    refresh_token: Secret::new("made-up-refresh-of-code-of-two"),
                    expires_in: SignedDuration::from_secs(600),
                })));
            }
            let plan = Plan::new(None, None);
            let sleeper = doubles.beside(&plan);
            let begun = consent(&sleeper, &exact).begin(None).await.unwrap();
            let log_in = consent(&sleeper, &exact);
            let finished = tokio::spawn(async move { log_in.finish(back(&begun)).await });
            tokio::time::sleep(Duration::from_millis(150)).await;
            plan.freeze();
            tokio::time::sleep(Duration::from_secs(170)).await;
            ticks(&refresher, &doubles, 900).await;
            plan.thaw();
            drop(finished.await.unwrap());
            ticks(&refresher, &doubles, 700).await;
            let ledger = doubles.world.state().ledger.clone().unwrap().0;
            let head = doubles.world.state().versions[&ledger.head.clone().unwrap().version].1.clone();
            let of_two = |pointer: &exact_token_broker::token::Pointer| {
                doubles.world.state().versions[&pointer.version].1.refresh_token.reveal() == "made-up-refresh-of-code-of-two"
            };
            if who == "two" {
                assert!(ledger.consents.pending.as_ref().is_some_and(|pending| of_two(&pending.pointer)), "{ledger:?}");
            } else {
                assert_eq!(ledger.epoch, 3, "the log-in before, and this one: {ledger:?}");
                assert!(doubles.world.state().exact.is_chain_alive(head.refresh_token.reveal(), doubles.true_now()));
            }
        });
    }
}
