//! Several callers in one process, and several processes over one chain.

use std::sync::Arc;
use std::time::Duration;

use exact_token_broker::get_token::Ask;
use exact_token_broker::refresh_token::Outcome;
use exact_token_broker::token::schedule::{Mode, Wait};
use jiff::SignedDuration;
use simulators::exact_online::{Config, Fault, Grace, Loss};

use super::day::{calls, connected, requests_since, undisturbed};
use super::life::{Plan, live};
use super::world::World;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn i2_callers_of_one_process_share_one_request() {
    let world = connected(Config::default());
    let since = world.state().now;
    undisturbed(&world, |refresher, _| async move {
        tokio::time::sleep(seconds(610)).await;
        let one = || refresher.get_token(Ask::default());
        let (a, b, c, tick) = tokio::join!(one(), one(), one(), refresher.tick());
        let tokens = [a, b, c].map(|token| token.unwrap().access_token.reveal().to_owned());
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert!(!tick.failed, "{}", tick.line);
    });
    assert_eq!(requests_since(&world, since).len(), 1);
}

#[test]
fn i2_two_processes_make_one_request_and_neither_waits_longer_than_it_takes() {
    for late in [0, 1, 36] {
        let world = connected(Config::default());
        let since = world.state().now;
        world.state().exact.script(Fault::CommitThen(Loss::Late(seconds(late))));
        undisturbed(&world, |refresher, doubles| async move {
            let other = doubles.beside(&Plan::new(None, None));
            tokio::time::sleep(seconds(610)).await;
            let asked = doubles.true_now();
            let (mine, theirs, tick) = tokio::join!(refresher.get_token(Ask::default()), other.get_token(Ask::default()), other.tick());
            assert_eq!(mine.unwrap().access_token.reveal(), theirs.unwrap().access_token.reveal());
            assert!(!tick.failed, "{}", tick.line);
            let waited = doubles.true_now().duration_since(asked);
            assert!(waited <= SignedDuration::from_secs(3 + late.cast_signed()), "waited {waited:?}");
        });
        assert_eq!(requests_since(&world, since).len(), 1, "a reply that takes {late} s");
    }
}

#[test]
fn on_demand_a_caller_who_meets_the_timer_in_one_process_gets_a_token() {
    let world = connected(Config::default());
    let since = world.state().now;
    world.state().mode = Mode::OnDemand;
    undisturbed(&world, |refresher, doubles| async move {
        tokio::time::sleep(seconds(700)).await;
        doubles.world.state().store_takes = seconds(1);
        let timers = refresher.pass(Mode::OnDemand, seconds(2_000));
        let (outcome, token) = tokio::join!(timers, refresher.get_token(Ask::default()));
        assert!(matches!(outcome, Outcome::NotDue { why: Wait::NobodyAsks, .. }), "{outcome:?}");
        assert!(token.is_ok(), "{token:?}");
    });
    assert_eq!(requests_since(&world, since).len(), 1);
}

/// A process is frozen in the middle of its request while another is awake and asks every 10 s; then it wakes up and is invoked again.
fn frozen_for(grace: Grace, frozen: i64, after: impl FnOnce(&World, &str)) {
    let world = connected(Config { grace, ..Config::default() });
    world.state().exact.script(Fault::CommitThen(Loss::Late(seconds(30))));
    let plan = Plan::new(None, None);
    let lost = live(&world, &plan, |refresher, doubles| {
        let plan = Arc::clone(&plan);
        async move {
            let other = doubles.beside(&Plan::new(None, None));
            tokio::time::sleep(seconds(610)).await;
            let same = Arc::clone(&refresher);
            let tick = tokio::spawn(async move { same.tick().await });
            tokio::time::sleep(seconds(10)).await;
            let lost = doubles.world.state().exact.newest_refresh_token().unwrap().to_owned();
            plan.freeze();
            calls(&other, &doubles, 10, frozen).await;
            plan.thaw();
            tick.await.unwrap();
            refresher.finish().await;
            let stored = doubles.world.state().versions.values().any(|(_, credential)| credential.refresh_token.reveal() == lost);
            assert!(stored, "frozen for {frozen} s: it waits for no other invocation to be stored");
            refresher.tick().await;
            lost
        }
    });
    after(&world, &lost.expect("it was frozen, not killed"));
    let seen = undisturbed(&world, |refresher, doubles| async move { calls(&refresher, &doubles, 10, 1_200).await });
    assert_eq!((seen.dead, seen.told), (0, None), "and all goes on from there");
    assert!(world.state().exact.max_ungranted_in_an_hour() <= 9);
}

#[test]
fn i3_the_grant_of_a_process_that_was_frozen_becomes_the_head() {
    for frozen in [70, 200, 400, 1_500] {
        frozen_for(Grace::None, frozen, |world, lost| {
            let state = world.state();
            let (ledger, _) = state.ledger.clone().unwrap();
            assert!(ledger.dead.is_none() && ledger.open.is_empty(), "frozen for {frozen} s: {ledger:?}");
            assert!(state.versions.values().any(|(_, credential)| credential.refresh_token.reveal() == lost), "frozen for {frozen} s");
            let head = &state.versions[&ledger.head.as_ref().unwrap().version].1;
            assert!(Some(head.refresh_token.reveal()) == state.exact.newest_refresh_token(), "frozen for {frozen} s");
        });
    }
}

#[test]
fn i3_a_grant_that_others_have_gone_on_from_is_kept_to_fall_back_to() {
    // Long enough for the other's aims: by its grace Exact grants the old token once more.
    frozen_for(Grace::UntilNewUsed, 900, |world, lost| {
        let state = world.state();
        let (ledger, _) = state.ledger.clone().unwrap();
        let token = |version| state.versions[version].1.refresh_token.reveal();
        assert!(Some(token(&ledger.head.as_ref().unwrap().version)) == state.exact.newest_refresh_token());
        assert!(token(&ledger.head.as_ref().unwrap().version) != lost);
        assert!(ledger.candidates.iter().any(|candidate| token(&candidate.version) == lost), "{ledger:?}");
    });
}
