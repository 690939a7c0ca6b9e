//! How a chain begins, and which of two is the one that counts.

use exact_token_broker::consent::{Connected, Failed, Finished, Problem};
use exact_token_broker::get_token::Ask;
use exact_token_broker::token::reply::{Refusal, Unclear};
use exact_token_broker::token::{CodeReply, Reply, Secret};
use simulators::exact_online::Config;

use super::{Exact, connect, is_connected, person, problem};
use crate::day::{connected, ticks, undisturbed};
use crate::life::Plan;
use crate::world::World;

#[test]
fn a_chain_begins_is_served_at_once_and_lives_on() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        let finished = connect(&refresher, &exact).await;
        assert_eq!(is_connected(finished), Connected { person: Some(Box::new(person("one"))), epoch: 1, replaced: false, meanwhile: false });
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.access_token.reveal(), "made-up-access-of-code-0");
        assert!((595..=600).contains(&token.expires_in), "{}", token.expires_in);
        assert!(ticks(&refresher, &doubles, 1_300).await.iter().all(|tick| !tick.failed));
        let state = doubles.world.state();
        let ledger = &state.ledger.as_ref().unwrap().0;
        assert_eq!(ledger.consents.person, Some(person("one")));
        assert_eq!((ledger.epoch, ledger.recent_grants.len()), (1, 3));
        assert_eq!(
            state.versions[&state.head()].1.chain.user.as_deref(),
            Some("one"),
            "from the first refresh on the version itself says whose it is"
        );
        assert_eq!(state.exact.log().len(), 2);
    });
}

#[test]
fn a_refresh_token_that_came_alone_is_the_chain() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let now = doubles.true_now();
        let refresh_token = Secret::new(doubles.world.state().exact.issue_chain(now));
        let exact = Exact::of(&doubles.world).answers(CodeReply::Other(Reply::OddGrant { refresh_token, problem: Unclear::NotAGrant }));
        assert!(matches!(connect(&refresher, &exact).await, Ok(Finished::Connected(Connected { person: None, .. }))));
        assert!(refresher.get_token(Ask::default()).await.is_ok());
    });
}

#[test]
fn the_stored_token_that_is_imported_again_is_as_old_as_it_was() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        refresher.look().await.unwrap();
        let head = refresher.view().head.unwrap();
        refresher.import(head.refresh_token.clone(), true).await.unwrap();
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.access_token.reveal(), head.access.as_ref().unwrap().value.reveal());
        assert!(ticks(&refresher, &doubles, 1_200).await.iter().all(|tick| !tick.failed));
        assert_eq!(doubles.world.state().exact.violations(), []);
    });
}

#[test]
fn of_two_browsers_at_once_both_are_told_the_truth() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        let other = doubles.beside(&Plan::new(None, None));
        let finished = tokio::join!(connect(&refresher, &exact), connect(&other, &exact));
        let epoch = |finished: Result<Finished, Failed>| match finished {
            Ok(Finished::Connected(Connected { epoch, replaced: true, .. })) => epoch,
            other => panic!("{other:?}"),
        };
        let mut epochs = [epoch(finished.0), epoch(finished.1)];
        epochs.sort_unstable();
        assert_eq!(epochs, [2, 3]);
        // Exact says which of them is overtaken by the other.
        let exact = Exact::of(&doubles.world).answers(CodeReply::Other(Reply::Refused(Refusal::InvalidChain)));
        assert_eq!(problem(connect(&refresher, &exact).await), Problem::Overtaken);
    });
}
