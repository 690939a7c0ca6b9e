//! A vault of so many versions that a list of them takes minutes. Nothing is ever deleted, so there are more every day.

use std::time::Duration;

use exact_token_broker::get_token::Ask;
use jiff::SignedDuration;
use simulators::exact_online::{Config, Fault as Exact, Loss};

use super::day::{connected, requests_since, undisturbed};
use super::life::{Fault, How, Plan, live};
use super::world::World;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A process has stored a grant, and died before the ledger knew.
fn granted_and_not_the_head(list_takes: u64) -> World {
    let world = connected(Config::default());
    let fault = Fault { op: "ledger.write", nth: 1, how: How::Before };
    live(&world, &Plan::new(None, Some(fault)), |refresher, _| async move {
        tokio::time::sleep(seconds(610)).await;
        let tick = tokio::time::timeout(seconds(5), refresher.tick()).await;
        assert!(tick.map_or(true, |tick| tick.failed));
    });
    let mut state = world.state();
    assert_eq!(state.ledger.as_ref().unwrap().0.open.len(), 1);
    state.now += SignedDuration::from_secs(200);
    state.list_takes = seconds(list_takes);
    drop(state);
    world
}

#[test]
fn a_grant_that_a_list_of_two_minutes_shows_is_taken_over() {
    let world = granted_and_not_the_head(120);
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert!(doubles.world.state().exact.is_alive(token.access_token.reveal(), doubles.true_now()));
    });
    assert!(requests_since(&world, since).is_empty());
    let state = world.state();
    let head = &state.versions[&state.head()].1;
    assert!(Some(head.refresh_token.reveal()) == state.exact.newest_refresh_token());
}

#[test]
fn a_list_without_an_end_is_given_up_and_nothing_is_sent() {
    let world = granted_and_not_the_head(1_000);
    let since = world.state().now;
    undisturbed(&world, |refresher, _| async move {
        let tick = refresher.tick().await;
        assert!(tick.failed && tick.line.contains("nothing was sent: the token store is not reachable: no answer within 130 s"), "{}", tick.line);
    });
    assert!(requests_since(&world, since).is_empty());
}

/// Where the outcome of a request is unclear, every pass lists before it sends. There is time for both.
#[test]
fn after_a_list_of_two_minutes_there_is_time_to_send() {
    let world = connected(Config::default());
    let since = world.state().now;
    world.state().list_takes = seconds(120);
    world.state().exact.script(Exact::NoCommit(Loss::Reset));
    undisturbed(&world, |refresher, _| async move {
        tokio::time::sleep(seconds(610)).await;
        let tick = refresher.tick().await;
        assert!(!tick.failed && tick.line.starts_with("refreshed"), "{}", tick.line);
    });
    let granted: Vec<bool> = requests_since(&world, since).iter().map(|logged| logged.granted).collect();
    assert_eq!(granted, [false, true]);
}

/// A write that was not confirmed is looked for, but the time of a grant in memory belongs to storing it.
#[test]
fn i1_a_grant_whose_write_was_not_confirmed_does_not_wait_for_a_long_list() {
    let world = connected(Config::default());
    let since = world.state().now;
    world.state().list_takes = seconds(120);
    let fault = Fault { op: "vault.put", nth: 0, how: How::Late };
    live(&world, &Plan::new(None, Some(fault)), |refresher, doubles| async move {
        tokio::time::sleep(seconds(610)).await;
        let begun = doubles.true_now();
        let tick = refresher.tick().await;
        assert!(!tick.failed, "{}", tick.line);
        let took = doubles.true_now().duration_since(begun).as_secs();
        assert!((60..=75).contains(&took), "30 s for the write, 30 for the list, and the write again: {took} s");
    });
    let state = world.state();
    let newest = state.exact.newest_refresh_token();
    let stored = state.versions.values().filter(|(_, credential)| Some(credential.refresh_token.reveal()) == newest).count();
    assert_eq!(stored, 2, "twice the same grant does no harm");
    assert_eq!(state.exact.log().iter().filter(|logged| logged.at > since).count(), 1);
}
