//! Days in the life of a chain: set the clock, act, expect.

use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::token::reply::Refusal;
use exact_token_broker::token::schedule::{Mode, Why};
use jiff::SignedDuration;
use simulators::exact_online::{Config, Fault, Gate, bodies};

use super::day::{HOUR, calls, connected, requests_since, seconds_of, ticks, undisturbed, watch};

const DAY: i64 = 24 * HOUR;

/// A minute of life cannot be at hand for more than 540 s of each 570: Exact renews when 30 s are left.
#[test]
fn kept_warm_a_living_token_is_at_hand_95_percent_of_the_time() {
    let world = connected(Config::default());
    let since = world.state().now;
    let (alive, with_a_minute) = undisturbed(&world, |refresher, doubles| async move {
        let (ticks, alive, with_a_minute) =
            tokio::join!(ticks(&refresher, &doubles, DAY), watch(&refresher, &doubles, 0, DAY), watch(&refresher, &doubles, 60, DAY),);
        assert!(ticks.iter().all(|tick| !tick.failed), "{ticks:?}");
        (alive, with_a_minute)
    });
    assert!(alive.served * 1_000 >= alive.looks * 950, "{alive:?}");
    assert!(with_a_minute.served * 1_000 >= with_a_minute.looks * 890, "{with_a_minute:?}");
    assert_eq!(alive.dead, 0, "I7");
    let requests = requests_since(&world, since);
    assert!(requests.iter().all(|logged| logged.granted), "I4: no request is refused");
    assert!((130..=152).contains(&requests.len()), "{} grants in a day", requests.len());
}

#[test]
fn on_demand_nobody_asks_and_nothing_is_sent_for_a_week() {
    let world = connected(Config::default());
    world.state().mode = Mode::OnDemand;
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move { ticks(&refresher, &doubles, 7 * DAY - 60).await });
    assert_eq!(requests_since(&world, since).len(), 0);
    undisturbed(&world, |refresher, doubles| async move { ticks(&refresher, &doubles, DAY).await });
    let requests = requests_since(&world, since);
    assert_eq!(requests.len(), 1, "one keeps the chain alive");
    assert!(requests[0].granted);
}

#[test]
fn on_demand_a_caller_gets_a_token_at_once() {
    let world = connected(Config::default());
    world.state().mode = Mode::OnDemand;
    undisturbed(&world, |refresher, doubles| async move {
        tokio::time::sleep(Duration::from_hours(3)).await;
        let asked = doubles.true_now();
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert!(doubles.world.state().exact.is_alive(token.access_token.reveal(), doubles.true_now()));
        assert!(doubles.true_now().duration_since(asked) < SignedDuration::from_secs(1));
    });
}

#[test]
fn i4_a_revoked_chain_costs_two_requests_and_then_a_probe_after_1_6_24_h_and_daily() {
    for gate in [Gate::BeforeTokenCheck, Gate::AfterTokenCheck] {
        let world = connected(Config { gate, ..Config::default() });
        let since = revoke(&world);
        let seen = undisturbed(&world, |refresher, doubles| async move {
            let (_, seen) = tokio::join!(ticks(&refresher, &doubles, 4 * DAY), calls(&refresher, &doubles, 600, 4 * DAY));
            seen
        });
        assert_eq!(seen.told, Some(NoToken::ConsentRequired(Why::Refused(Refusal::InvalidChain).into())));
        let sent = seconds_of(&requests_since(&world, since), since);
        assert_eq!(sent.len(), 2 + 5, "two refusals, and probes after 1, 6, 24, 48 and 72 h: {sent:?}");
        assert!((60..=600).contains(&(sent[1] - sent[0])), "{sent:?}");
        let dead = sent[1];
        // A probe leaves when somebody looks next, and the daily ones are counted from it.
        for (probe, hours) in sent[2..].iter().zip([1, 6, 24, 48, 72]) {
            assert!((hours * HOUR..hours * HOUR + 600 * 3).contains(&(probe - dead)), "a probe after {hours} h: {sent:?}");
        }
    }
}

#[test]
fn a_probe_that_is_granted_brings_the_chain_back() {
    let world = connected(Config::default());
    let old_token = Fault::instead(bodies::OLD_REFRESH_TOKEN);
    world.state().exact.always(Some(old_token));
    undisturbed(&world, |refresher, doubles| async move {
        let (_, seen) = tokio::join!(ticks(&refresher, &doubles, HOUR), calls(&refresher, &doubles, 60, HOUR));
        assert!(matches!(seen.told, Some(NoToken::ConsentRequired(_))), "{seen:?}");
        doubles.world.state().exact.always(None);
        ticks(&refresher, &doubles, 2 * HOUR).await;
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.warnings, Vec::<String>::new());
    });
    let (ledger, _) = world.state().ledger.clone().unwrap();
    assert!(ledger.dead.is_none() && ledger.refusals.is_empty());
}

#[test]
fn i4_an_outage_of_two_hours_uses_up_no_budget_and_ends_within_11_minutes() {
    for offset in [0, 130, 290, 470] {
        let world = connected(Config::default());
        let (since, seen) = undisturbed(&world, |refresher, doubles| async move {
            ticks(&refresher, &doubles, 1_000 + offset).await;
            doubles.world.state().exact.always(Some(Fault::instead(bodies::HTML_503)));
            tokio::join!(ticks(&refresher, &doubles, 2 * HOUR), calls(&refresher, &doubles, 60, 2 * HOUR));
            doubles.world.state().exact.always(None);
            let since = doubles.true_now();
            let (_, seen) = tokio::join!(ticks(&refresher, &doubles, HOUR), calls(&refresher, &doubles, 10, HOUR));
            (since, seen)
        });
        let back = seen.first_served.expect("it comes back").duration_since(since).as_secs();
        assert!(back <= 660, "served {back} s after the end of the outage");
        assert!(seen.longest_gap <= 660, "and from then on");
        assert_eq!(seen.dead, 0);
        let most = world.state().exact.max_ungranted_in_an_hour();
        assert!(most <= 9, "{most} requests without a grant in an hour");
    }
}

#[test]
fn with_the_timer_alone_an_outage_ends_with_the_second_tick_at_the_latest() {
    let world = connected(Config::default());
    let back = undisturbed(&world, |refresher, doubles| async move {
        ticks(&refresher, &doubles, 1_000).await;
        doubles.world.state().exact.always(Some(Fault::instead(bodies::HTML_503)));
        ticks(&refresher, &doubles, 2 * HOUR).await;
        doubles.world.state().exact.always(None);
        let since = doubles.true_now();
        let (_, seen) = tokio::join!(ticks(&refresher, &doubles, HOUR), watch(&refresher, &doubles, 60, HOUR));
        seen.first_served.expect("it comes back").duration_since(since).as_secs()
    });
    assert!(back <= 1_200, "served {back} s after the end of the outage");
    assert!(world.state().exact.max_ungranted_in_an_hour() <= 9);
}

/// The user takes the permission away, now.
fn revoke(world: &super::world::World) -> jiff::Timestamp {
    let mut state = world.state();
    let user = state.exact.config().users[0].id.clone();
    state.exact.revoke(&user);
    state.now
}
