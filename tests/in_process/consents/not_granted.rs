//! What Exact says instead of a grant, and how often it may be asked.

use std::time::Duration;

use exact_token_broker::consent::Problem;
use exact_token_broker::get_token::Ask;
use exact_token_broker::status::{State, Status};
use exact_token_broker::token::reply::{Misconfiguration, Refusal, Unclear};
use exact_token_broker::token::{CodeReply, Reply};
use jiff::SignedDuration;
use simulators::exact_online::Config;

use super::{Exact, connect, consent, problem};
use crate::day::{connected, ticks, undisturbed};
use crate::world::World;

#[test]
fn what_exact_says_of_a_code_leaves_the_stored_chain_alone() {
    for (reply, expected) in [
        (CodeReply::Refused, Problem::CodeRefused),
        (CodeReply::Other(Reply::Refused(Refusal::InvalidChain)), Problem::Overtaken),
        (CodeReply::Other(Reply::TooEarly), Problem::TooEarly),
        (CodeReply::Other(Reply::Unclear(Unclear::TimedOut)), Problem::Unclear),
    ] {
        let world = connected(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world).answers(reply);
            assert_eq!(problem(connect(&refresher, &exact).await), expected);
            let ledger = doubles.world.state().ledger.clone().unwrap().0;
            assert!(ledger.open.is_empty() && ledger.last_failure.is_none() && ledger.refusals.is_empty(), "{ledger:?}");
            assert_eq!((ledger.epoch, ledger.ungranted.len()), (1, 1), "it counts among the requests of the hour");
            assert!(refresher.get_token(Ask::default()).await.is_ok());
            assert!(ticks(&refresher, &doubles, 1_300).await.iter().all(|tick| !tick.failed));
        });
    }
}

/// What Exact says of the app holds for whoever asks next, a refresh too.
#[test]
fn what_exact_says_of_the_app_keeps_refreshes_back() {
    let app = Reply::Misconfigured(Misconfiguration::InvalidClient);
    for (reply, expected, state) in [
        (Reply::Throttled { retry_after: Some(SignedDuration::from_secs(700)) }, Problem::Throttled, State::Degraded),
        (app, Problem::App, State::Misconfigured),
    ] {
        let world = connected(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world).answers(CodeReply::Other(reply));
            assert_eq!(problem(connect(&refresher, &exact).await), expected);
            assert_eq!(Status::of(&refresher).await.state, state);
            assert!(refresher.get_token(Ask::default()).await.is_ok(), "the token at hand is as good as it was");
            let sent = doubles.world.state().exact.log().len();
            drop(ticks(&refresher, &doubles, 650).await);
            assert_eq!(doubles.world.state().exact.log().len(), sent, "and no refresh is sent");
        });
    }
}

#[test]
fn nine_requests_an_hour_and_no_more() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        for _ in 0..9 {
            exact.answers(CodeReply::Refused);
            assert_eq!(problem(connect(&refresher, &exact).await), Problem::CodeRefused);
        }
        assert!(matches!(consent(&refresher, &exact).begin(None).await, Err(Problem::Budget { .. })));
        assert_eq!(exact.exchanged(), 9);
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert!(connect(&refresher, &exact).await.is_ok());
    });
}
