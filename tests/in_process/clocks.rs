//! Clocks that jump by an hour, in the life of a process and between two.

use jiff::SignedDuration;
use simulators::exact_online::Config;

use super::day::{HOUR, Seen, calls, connected, requests_since, ticks, undisturbed};
use super::world::World;

/// The timer ticks and somebody asks every 15 s for two hours.
fn two_hours(world: &World) -> Seen {
    undisturbed(world, |refresher, doubles| async move {
        let (_, seen) = tokio::join!(ticks(&refresher, &doubles, 2 * HOUR), calls(&refresher, &doubles, 15, 2 * HOUR));
        seen
    })
}

fn is_harmless(world: &World, since: jiff::Timestamp, seen: &Seen, what: &str) {
    assert_eq!(seen.dead, 0, "{what}: a dead token was handed out");
    assert!(seen.longest_gap <= 720, "{what}: out of service for {} s", seen.longest_gap);
    assert!(seen.told.is_none(), "{what}: {:?}", seen.told);
    let requests = requests_since(world, since);
    let ungranted = requests.iter().filter(|logged| !logged.granted).count();
    assert!(ungranted <= 5, "{what}: {ungranted} of {} requests brought nothing", requests.len());
    assert!(requests.len() <= 20, "{what}: {} requests in two hours", requests.len());
    let state = world.state();
    assert!(state.stored_chain_lives(state.now), "{what}");
}

#[test]
fn a_clock_that_jumps_between_two_processes_does_no_harm() {
    for hours in [-1, 1] {
        for age in [0, 300, 569, 590, 700, 3_000] {
            let world = connected(Config::default());
            let since = world.state().now;
            world.state().now += SignedDuration::from_secs(age);
            world.state().skew = SignedDuration::from_hours(hours);
            let seen = two_hours(&world);
            is_harmless(&world, since, &seen, &format!("{hours} h, {age} s after a grant"));
        }
    }
}

#[test]
fn a_clock_that_jumps_under_a_living_process_does_no_harm() {
    for hours in [-1, 1] {
        for second in [1, 100, 430, 569, 575, 800] {
            let world = connected(Config::default());
            let since = world.state().now;
            let seen = undisturbed(&world, |refresher, doubles| async move {
                let jump = async {
                    tokio::time::sleep(std::time::Duration::from_secs(second)).await;
                    doubles.world.state().skew = SignedDuration::from_hours(hours);
                };
                let (_, seen, ()) = tokio::join!(ticks(&refresher, &doubles, 2 * HOUR), calls(&refresher, &doubles, 15, 2 * HOUR), jump);
                seen
            });
            is_harmless(&world, since, &seen, &format!("{hours} h, {second} s into a process"));
        }
    }
}

#[test]
fn a_clock_that_is_put_right_again_does_no_harm() {
    for hours in [-1, 1] {
        for wrong_for in [30, 200, 1_000, 3_000] {
            let world = connected(Config::default());
            let since = world.state().now;
            let seen = undisturbed(&world, |refresher, doubles| async move {
                let jump = async {
                    tokio::time::sleep(std::time::Duration::from_secs(100)).await;
                    doubles.world.state().skew = SignedDuration::from_hours(hours);
                    tokio::time::sleep(std::time::Duration::from_secs(wrong_for)).await;
                    doubles.world.state().skew = SignedDuration::ZERO;
                };
                let (_, seen, ()) = tokio::join!(ticks(&refresher, &doubles, 2 * HOUR), calls(&refresher, &doubles, 15, 2 * HOUR), jump);
                seen
            });
            assert_eq!(seen.dead, 0, "{hours} h for {wrong_for} s: a dead token was handed out");
            assert!(seen.longest_gap <= 720, "{hours} h for {wrong_for} s: out of service for {} s", seen.longest_gap);
            let ungranted = requests_since(&world, since).iter().filter(|logged| !logged.granted).count();
            assert!(ungranted <= 8, "{hours} h for {wrong_for} s: {ungranted} requests brought nothing");
        }
    }
}

/// A pair was granted under a clock that was ahead, and is dead when the right clock reaches the time of that grant.
#[test]
fn i7_a_pair_of_a_clock_that_ran_ahead_is_not_taken_for_fresh_when_its_time_comes() {
    for ahead in [120, 300, 3_600] {
        let world = World::new(Config::default());
        world.state().skew = SignedDuration::from_secs(ahead);
        let first = {
            let mut state = world.state();
            let now = state.now;
            state.exact.issue_chain(now)
        };
        undisturbed(&world, |refresher, _| async move {
            refresher.import(exact_token_broker::token::Secret::new(first), false).await.unwrap();
            refresher.tick().await
        });
        world.state().skew = SignedDuration::ZERO;
        world.state().mode = exact_token_broker::token::schedule::Mode::OnDemand;
        // The timer looks, in a process of its own, and finds the clock wrong. Nobody asks.
        undisturbed(&world, |refresher, _| async move { refresher.tick().await });
        world.state().now += SignedDuration::from_secs(ahead.max(600));
        let seen = undisturbed(&world, |refresher, doubles| async move { calls(&refresher, &doubles, 15, 1_200).await });
        assert_eq!(seen.dead, 0, "a clock {ahead} s ahead: {seen:?}");
        assert!(seen.served > 0, "{seen:?}");
    }
}
