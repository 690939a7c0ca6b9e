//! The chain before, from the button on: when it is refreshed and when it is left alone.

use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::status::{State, Status};
use exact_token_broker::token::schedule::{Due, Wait, due};
use simulators::exact_online::{Config, Fault, Loss};

use super::{Exact, back, connect, consent, is_connected};
use crate::day::{HOUR, at_once, connected, ticks, undisturbed};

/// The button is no reason to miss the moment at which a lost reply can be made good.
#[test]
fn a_retry_goes_before_the_button() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        doubles.world.state().exact.script(Fault::CommitThen(Loss::Reset));
        tokio::time::sleep(Duration::from_secs(575)).await;
        let _lost = refresher.tick().await;
        tokio::time::sleep(Duration::from_secs(500)).await;
        consent(&refresher, &Exact::of(&doubles.world)).begin(None).await.unwrap();
        let next = doubles.world.state().ledger.clone().unwrap().0;
        let due = due(&next, refresher.view().head.as_deref(), doubles.true_now(), &doubles.world.policy());
        assert!(matches!(due, Due::NotYet { why: Wait::UnclearOutcome, .. }), "{due:?}");
    });
}

#[test]
fn refreshes_keep_away_from_the_button_on_and_not_for_long() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        tokio::time::sleep(Duration::from_secs(560)).await;
        consent(&refresher, &exact).begin(None).await.unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
        consent(&refresher, &exact).begin(None).await.unwrap();
        assert!(matches!(refresher.get_token(at_once()).await, Err(NoToken::Unavailable { .. })));
        tokio::time::sleep(Duration::from_secs(118)).await;
        assert_eq!(doubles.world.state().exact.log().len(), 1);
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(refresher.get_token(Ask::default()).await.is_ok(), "the second button did not make it longer");
    });
}

/// By Exact's rule it is the log-in that ends the chain before, not the exchange that comes minutes later.
#[test]
fn the_chain_before_that_the_log_in_ended_is_not_asked_and_not_missed() {
    for comes_back in [true, false] {
        let world = connected(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world);
            tokio::time::sleep(Duration::from_secs(500)).await;
            let consent = consent(&refresher, &exact);
            let begun = consent.begin(None).await.unwrap();
            let user = doubles.world.state().exact.config().users[0].id.clone();
            doubles.world.state().exact.revoke(&user);
            if comes_back {
                let sent = doubles.world.state().exact.log().len();
                let back = async {
                    tokio::time::sleep(Duration::from_secs(170)).await;
                    consent.finish(back(&begun)).await
                };
                let (_, finished) = tokio::join!(ticks(&refresher, &doubles, 600), back);
                assert!(is_connected(finished).replaced);
                assert_eq!(doubles.world.state().exact.log().len(), sent, "the refresh that was due would have been refused");
            } else {
                drop(ticks(&refresher, &doubles, HOUR).await);
                assert_eq!(Status::of(&refresher).await.state, State::ConsentRequired);
                assert!(connect(&refresher, &exact).await.is_ok());
            }
            assert_eq!(Status::of(&refresher).await.state, State::Connected);
            assert!(ticks(&refresher, &doubles, 1_300).await.iter().all(|tick| !tick.failed));
        });
    }
}
