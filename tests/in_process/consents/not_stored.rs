//! A store that takes nothing, and a process that dies with the pair in its hands.

use std::sync::Arc;
use std::time::Duration;

use exact_token_broker::consent::{Finished, Problem};
use exact_token_broker::get_token::Ask;
use jiff::SignedDuration;
use simulators::exact_online::Config;

use super::{Exact, back, connect, connect_after, consent, person, problem};
use crate::day::{connected, ticks, undisturbed};
use crate::life::{Plan, live};
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

/// Killed at each step in turn. What was granted is stored or was in the hands of a dead process; whatever it left, the next person connects.
#[test]
fn a_process_that_is_killed_anywhere_leaves_nothing_that_stands_in_the_way() {
    for from_nothing in [true, false] {
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
