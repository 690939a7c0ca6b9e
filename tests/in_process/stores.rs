//! A store that fails: nothing is spent that could not be replaced, and nothing that was granted is lost.

use std::sync::Arc;
use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::refresh_token::Refresher;
use jiff::SignedDuration;
use simulators::exact_online::{Config, Fault, Loss};

use super::day::{HOUR, at_once, calls, connected, requests_since, ticks, undisturbed};
use super::life::{self, Doubles, How, Plan, live};
use super::world::{VaultIs, World};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn newest_is_stored(world: &World) -> bool {
    let state = world.state();
    let newest = state.exact.newest_refresh_token();
    state.versions.values().any(|(_, credential)| Some(credential.refresh_token.reveal()) == newest)
}

fn newest_is_head(world: &World) -> bool {
    let state = world.state();
    Some(state.versions[&state.head()].1.refresh_token.reveal()) == state.exact.newest_refresh_token()
}

/// A refresh is due, and what it is granted finds no place.
async fn full_when_due(doubles: &Doubles) {
    tokio::time::sleep(seconds(610)).await;
    doubles.world.state().vault = VaultIs::Full;
}

#[test]
fn with_a_vault_that_takes_no_writes_nothing_is_spent() {
    let world = connected(Config::default());
    let since = world.state().now;
    world.state().vault = VaultIs::ReadOnly;
    let seen = undisturbed(&world, |refresher, doubles| async move {
        let (all, seen) = tokio::join!(ticks(&refresher, &doubles, HOUR), calls(&refresher, &doubles, 30, HOUR));
        assert!(all[2].failed && all[2].line.contains("the token store is not writable"), "{}", all[2].line);
        assert!(requests_since(&doubles.world, since).is_empty(), "a token that could not be replaced is not spent");
        assert!(matches!(&seen.told, Some(NoToken::Unavailable { why, .. }) if why.contains("not writable")), "{seen:?}");
        doubles.world.state().vault = VaultIs::Well;
        let (_, seen) = tokio::join!(ticks(&refresher, &doubles, HOUR), calls(&refresher, &doubles, 30, HOUR));
        seen
    });
    assert!(seen.longest_gap <= 330, "it goes on when the vault does: {seen:?}");
    assert_eq!(seen.told, None);
}

#[test]
fn i1_a_grant_that_the_vault_does_not_take_for_5_minutes_is_served_and_stored_in_the_end() {
    let world = connected(Config::default());
    let since = world.state().now;
    let versions = world.state().versions.len();
    undisturbed(&world, |refresher, doubles| async move {
        full_when_due(&doubles).await;
        let other = Arc::clone(&refresher);
        let tick = tokio::spawn(async move { other.tick().await });
        tokio::time::sleep(seconds(5)).await;
        for _ in 0..29 {
            let token = refresher.get_token(Ask::default()).await.unwrap();
            assert!(doubles.world.state().exact.is_alive(token.access_token.reveal(), doubles.true_now()), "I7");
            assert!(token.warnings.iter().any(|warning| warning.contains("not stored yet")), "{:?}", token.warnings);
            tokio::time::sleep(seconds(10)).await;
        }
        doubles.world.state().vault = VaultIs::Well;
        assert!(!tick.await.unwrap().failed);
    });
    assert!(newest_is_stored(&world));
    assert_eq!(world.state().versions.len(), versions + 1, "exactly one version more");
    assert_eq!(requests_since(&world, since).len(), 1, "and no second request");
}

/// The host kills a tick at 600 s, and the grant with it; after a tick that is over, work goes on. The reply takes 3 s, and from then on the store
/// 40 s for whatever it is asked.
#[test]
fn i1_a_tick_with_a_grant_in_hand_ends_before_the_host_kills_it_however_slow_the_store_is() {
    for (held, lost) in [(0, false), (160, false), (0, true), (160, true)] {
        let world = connected(Config::default());
        world.state().exact.script(Fault::CommitThen(Loss::Late(seconds(3))));
        undisturbed(&world, |refresher, doubles| async move {
            tokio::time::sleep(seconds(571 - held)).await;
            let begun = doubles.true_now();
            let slow = async {
                tokio::time::sleep(seconds(held + 2)).await;
                doubles.world.state().store_takes = seconds(40);
                doubles.world.state().ledger_up = !lost;
                std::future::pending::<()>().await;
            };
            let tick = tokio::select! {
                tick = refresher.tick() => tick,
                () = slow => unreachable!("it waits for ever"),
            };
            assert!(tick.failed && refresher.unsaved().is_some(), "{}", tick.line);
            let took = doubles.true_now().duration_since(begun).as_secs();
            assert!((300..=570).contains(&took), "a tick that held for {held} s took {took} s");
            doubles.world.state().store_takes = Duration::ZERO;
            doubles.world.state().ledger_up = true;
            // What the tick left behind comes to its end.
            refresher.finish().await;
            assert!(!refresher.tick().await.failed && refresher.unsaved().is_none());
        });
        assert!(newest_is_head(&world));
    }
}

/// Seed 12740 of the simulation: a request for the lock that arrived when nobody waited for it any more kept its own process out for a minute.
#[test]
fn a_lock_that_comes_late_does_not_keep_its_own_process_out() {
    let world = connected(Config::default());
    let late = Plan::new(None, Some(life::Fault { op: "ledger.lock", nth: 0, how: How::Late }));
    let work = |refresher: Arc<Refresher>, _| async move {
        tokio::time::sleep(seconds(610)).await;
        let patient = Ask { max_wait: SignedDuration::from_secs(35), ..Ask::default() };
        assert!(matches!(refresher.get_token(patient).await, Err(NoToken::Unavailable { .. })));
        tokio::time::sleep(seconds(10)).await;
        refresher.get_token(Ask { max_wait: SignedDuration::from_secs(5), ..Ask::default() }).await
    };
    let token = live(&world, &late, work).unwrap();
    assert!(token.is_ok(), "{token:?}");
}

#[test]
fn i1_a_grant_that_outlives_its_pass_unsaved_is_saved_by_the_next_tick() {
    let world = connected(Config::default());
    let since = world.state().now;
    let versions = world.state().versions.len();
    undisturbed(&world, |refresher, doubles| async move {
        full_when_due(&doubles).await;
        let tick = refresher.tick().await;
        assert!(tick.failed && tick.line.contains("kept in memory"), "{}", tick.line);
        tokio::time::sleep(seconds(300)).await;
        assert!(requests_since(&doubles.world, since).len() == 1, "nothing is sent before it is stored");
        doubles.world.state().vault = VaultIs::Well;
        refresher.tick().await;
    });
    assert!(newest_is_stored(&world));
    let granted = requests_since(&world, since).iter().filter(|logged| logged.granted).count();
    assert_eq!(world.state().versions.len(), versions + granted, "one version for each grant");
}

#[test]
fn i1_a_grant_that_outlives_its_pass_unsaved_is_saved_by_the_next_call_although_it_can_be_served() {
    let world = connected(Config::default());
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        full_when_due(&doubles).await;
        refresher.tick().await;
        assert!(!newest_is_stored(&doubles.world));
        assert!(refresher.get_token(at_once()).await.is_ok(), "served from memory");
        doubles.world.state().vault = VaultIs::Well;
        tokio::time::sleep(seconds(60)).await;
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert!(newest_is_stored(&doubles.world), "the first thing that the next invocation does");
        assert_eq!(token.warnings, Vec::<String>::new(), "and then there is nothing to warn of");
    });
    assert_eq!(requests_since(&world, since).len(), 1);
}

#[test]
fn i1_a_grant_in_hand_is_stored_without_the_lock_while_the_ledger_is_away() {
    let world = connected(Config::default());
    let since = world.state().now;
    let versions = world.state().versions.len();
    undisturbed(&world, |refresher, doubles| async move {
        full_when_due(&doubles).await;
        assert!(refresher.tick().await.failed);
        doubles.world.state().ledger_up = false;
        doubles.world.state().vault = VaultIs::Well;
        // Now the process may be killed: what it was granted is in the vault, with its attempt's name.
        let other = Arc::clone(&refresher);
        let tick = tokio::spawn(async move { other.tick().await });
        tokio::time::sleep(seconds(30)).await;
        assert!(newest_is_stored(&doubles.world));
        doubles.world.state().ledger_up = true;
        let tick = tick.await.unwrap();
        assert!(!tick.failed, "{}", tick.line);
    });
    assert!(newest_is_stored(&world));
    assert_eq!(world.state().versions.len(), versions + 1, "exactly one version more");
    assert_eq!(requests_since(&world, since).len(), 1);
    assert!(newest_is_head(&world));
}

#[test]
fn i8_a_grant_in_hand_becomes_the_head_of_a_ledger_that_was_lost_meanwhile() {
    let world = connected(Config::default());
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        full_when_due(&doubles).await;
        assert!(refresher.tick().await.failed);
        {
            let mut state = doubles.world.state();
            state.ledger = None;
            state.vault = VaultIs::Well;
        }
        let tick = refresher.tick().await;
        assert!(tick.line.starts_with("refreshed"), "{}", tick.line);
        let served = refresher.get_token(at_once()).await.unwrap();
        assert!(doubles.world.state().exact.is_alive(served.access_token.reveal(), doubles.true_now()));
    });
    assert!(newest_is_head(&world));
    assert_eq!(requests_since(&world, since).len(), 1, "the token that was spent is not sent again");
}

#[test]
fn i1_a_ledger_that_is_damaged_does_not_keep_a_grant_out_of_the_vault_and_that_is_said() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        full_when_due(&doubles).await;
        assert!(refresher.tick().await.failed);
        doubles.world.state().ledger_damaged = true;
        let tick = refresher.tick().await;
        assert!(tick.failed && tick.line.contains("kept in memory"), "{}", tick.line);
        doubles.world.state().vault = VaultIs::Well;
        let tick = refresher.tick().await;
        assert!(tick.failed, "{}", tick.line);
    });
    assert!(newest_is_stored(&world));
}

#[test]
fn with_a_ledger_that_cannot_be_read_memory_serves_and_nothing_is_sent() {
    let world = connected(Config::default());
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        refresher.get_token(Ask::default()).await.unwrap();
        doubles.world.state().ledger_up = false;
        tokio::time::sleep(seconds(300)).await;
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert!(token.warnings.iter().any(|warning| warning.starts_with("the token comes from memory")), "{:?}", token.warnings);
        tokio::time::sleep(seconds(400)).await;
        assert!(matches!(refresher.get_token(Ask::default()).await, Err(NoToken::Unavailable { .. })));
        assert!(refresher.tick().await.failed);
        assert!(requests_since(&doubles.world, since).is_empty());
        doubles.world.state().ledger_up = true;
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.warnings, Vec::<String>::new());
    });
}

#[test]
fn with_a_ledger_that_cannot_be_read_a_new_process_serves_the_latest_version() {
    let world = connected(Config::default());
    let since = world.state().now;
    world.state().ledger_up = false;
    undisturbed(&world, |refresher, doubles| async move {
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert!(doubles.world.state().exact.is_alive(token.access_token.reveal(), doubles.true_now()));
        assert!(!token.warnings.is_empty());
        ticks(&refresher, &doubles, 2 * HOUR).await;
        assert!(matches!(refresher.get_token(at_once()).await, Err(NoToken::Unavailable { .. })));
    });
    assert!(requests_since(&world, since).is_empty(), "nothing is sent");
}

#[test]
fn a_ledger_that_is_gone_is_rebuilt_and_nothing_is_sent_for_140_s() {
    let world = connected(Config::default());
    world.state().now += SignedDuration::from_secs(700);
    world.state().ledger = None;
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        let tick = refresher.tick().await;
        assert!(!tick.failed, "{}", tick.line);
        assert!(refresher.get_token(Ask::default()).await.is_ok());
        let first = requests_since(&doubles.world, since)[0].at.duration_since(since).as_secs();
        assert!((140..150).contains(&first), "the first request came after {first} s");
    });
    let (ledger, _) = world.state().ledger.clone().unwrap();
    assert_eq!(ledger.epoch, 2);
}

#[test]
fn a_ledger_that_is_gone_takes_no_living_token_away_and_is_said() {
    let world = connected(Config::default());
    world.state().ledger = None;
    undisturbed(&world, |refresher, doubles| async move {
        let token = refresher.get_token(at_once()).await.unwrap();
        assert!(doubles.world.state().exact.is_alive(token.access_token.reveal(), doubles.true_now()), "I8");
        refresher.tick().await;
        let (ledger, _) = doubles.world.state().ledger.clone().expect("a tick rebuilds it");
        assert!(ledger.rebuilt_at.is_some(), "until the next grant it says so");
    });
}

#[test]
fn i6_no_version_ever_goes() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let mut before = doubles.world.state().versions.len();
        for _ in 0..12 {
            ticks(&refresher, &doubles, HOUR).await;
            let after = doubles.world.state().versions.len();
            assert!(after > before);
            before = after;
        }
    });
    let state = world.state();
    assert_eq!(state.versions.len(), state.exact.log().len() + 1, "one for the import and one for each grant");
}
