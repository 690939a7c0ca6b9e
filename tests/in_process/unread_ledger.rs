//! The ledger cannot be read: what memory or the vault still allows is served, nothing is sent, and what is said is why.

use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::refresh_token::Tick;
use exact_token_broker::status::{State, Status};
use exact_token_broker::token::{Secret, VersionId};
use jiff::SignedDuration;
use simulators::exact_online::Config;

use super::day::{at_once, connected, requests_since, ticks, undisturbed};
use super::life::Plan;
use super::world::{VaultIs, World};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn unavailable(told: Result<exact_token_broker::get_token::HandedOut, NoToken>) -> String {
    match told {
        Err(NoToken::Unavailable { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

fn assert_failed(tick: &Tick, begins: &str, says: &[&str]) {
    assert!(tick.failed && tick.line.starts_with(begins), "{}", tick.line);
    for part in says {
        assert!(tick.line.contains(part), "{part:?} in {}", tick.line);
    }
}

/// A pair that has been dead for a while, and no ledger.
fn dead_and_unread() -> World {
    let world = connected(Config::default());
    let mut state = world.state();
    state.now += SignedDuration::from_secs(700);
    state.ledger_up = false;
    drop(state);
    world
}

#[test]
fn a_new_process_says_why_and_not_what_it_made_up() {
    let world = dead_and_unread();
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        for _ in 0..3 {
            let begun = doubles.true_now();
            assert_eq!(unavailable(refresher.get_token(Ask::default()).await), "the ledger is not reachable: made up");
            assert_eq!(doubles.true_now(), begun, "no wait would help");
            tokio::time::sleep(seconds(60)).await;
        }
        let status = Status::of(&refresher).await;
        assert_eq!((status.state, status.servable, status.open_attempts), (State::Degraded, false, 0));
        assert_eq!(status.summary, "the ledger is not reachable: made up");
        assert_eq!(status.next, "nothing, until the store can be read");
        let tick = refresher.tick().await;
        assert_failed(&tick, "nothing was sent: the ledger is not reachable: made up", &["no living access token", "nothing is known of the chain"]);
    });
    assert!(requests_since(&world, since).is_empty());
}

#[test]
fn a_tick_of_a_new_process_goes_on_as_soon_as_it_can_be_read() {
    let world = dead_and_unread();
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        let (tick, ()) = tokio::join!(refresher.tick(), async {
            tokio::time::sleep(seconds(20)).await;
            doubles.world.state().ledger_up = true;
        });
        assert!(!tick.failed && tick.line.starts_with("refreshed"), "{}", tick.line);
        let took = doubles.true_now().duration_since(since).as_secs();
        assert!((20..=40).contains(&took), "{took} s");
    });
}

#[test]
fn a_tick_of_a_new_process_waits_no_longer_than_any_other() {
    let world = dead_and_unread();
    world.state().vault = VaultIs::Away;
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        let tick = refresher.tick().await;
        assert_failed(&tick, "nothing was sent: the ledger is not reachable", &[]);
        let took = doubles.true_now().duration_since(since).as_secs();
        assert!((100..=160).contains(&took), "{took} s");
        doubles.world.state().ledger_up = true;
        let tick = refresher.tick().await;
        assert_failed(&tick, "nothing was sent: the token store is not reachable", &["nothing is known of the chain"]);
        doubles.world.state().vault = VaultIs::Well;
        assert!(!refresher.tick().await.failed);
    });
}

#[test]
fn a_vault_that_nobody_reaches_costs_no_token_and_takes_none_away() {
    let world = connected(Config::default());
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        refresher.get_token(Ask::default()).await.unwrap();
        doubles.world.state().vault = VaultIs::Away;
        tokio::time::sleep(seconds(300)).await;
        assert_eq!(refresher.get_token(Ask::default()).await.unwrap().warnings, Vec::<String>::new());
        let other = doubles.beside(&Plan::new(None, None));
        assert_eq!(unavailable(other.get_token(at_once()).await), "the token store is not reachable: made up");
        tokio::time::sleep(seconds(310)).await;
        let not_spent = "the token store is not writable, so the refresh token was not spent";
        let soon = Ask { max_wait: SignedDuration::from_secs(4), ..Ask::default() };
        assert_eq!(unavailable(refresher.get_token(soon).await), not_spent);
        let tick = refresher.tick().await;
        assert_failed(&tick, &format!("the refresh failed: {not_spent}"), &["there is no living access token"]);
        assert!(requests_since(&doubles.world, since).is_empty());
        doubles.world.state().vault = VaultIs::Well;
        tokio::time::sleep(seconds(300)).await;
        refresher.get_token(Ask::default()).await.unwrap();
    });
    assert_eq!(requests_since(&world, since).len(), 1);
}

#[test]
fn a_damaged_ledger_is_served_beside_and_mended_by_a_person() {
    let world = connected(Config::default());
    let since = world.state().now;
    world.state().ledger_damaged = true;
    undisturbed(&world, |refresher, doubles| async move {
        let token = refresher.get_token(at_once()).await.unwrap();
        assert_eq!(token.warnings, ["the token is the latest that the vault has: the ledger cannot be read: made up"]);
        let status = Status::of(&refresher).await;
        assert_eq!((status.state, status.servable), (State::Degraded, true));
        assert_failed(&refresher.tick().await, "nothing was sent: the ledger cannot be read: made up; the access token lives", &[]);
        tokio::time::sleep(seconds(700)).await;
        let told = refresher.get_token(Ask::default()).await.map(drop);
        assert_eq!(told, Err(NoToken::ServerError("the ledger cannot be read: made up".to_owned())));
        let status = Status::of(&refresher).await;
        assert_eq!((status.state, status.servable), (State::Misconfigured, false));
        assert!(requests_since(&doubles.world, since).is_empty(), "and nothing is sent");
        doubles.world.state().ledger_damaged = false;
        tokio::time::sleep(seconds(1)).await;
        refresher.get_token(Ask::default()).await.unwrap();
    });
}

#[test]
fn a_process_whose_own_pair_is_dead_serves_what_another_had_stored() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        refresher.get_token(Ask::default()).await.unwrap();
        tokio::time::sleep(seconds(610)).await;
        let theirs = doubles.beside(&Plan::new(None, None)).get_token(Ask::default()).await.unwrap();
        doubles.world.state().ledger_up = false;
        let mine = refresher.get_token(at_once()).await.unwrap();
        assert_eq!(mine.access_token.reveal(), theirs.access_token.reveal());
        assert_eq!(mine.warnings, ["the token is the latest that the vault has: the ledger is not reachable: made up"]);
        doubles.world.state().ledger_up = true;
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(refresher.get_token(at_once()).await.unwrap().warnings, Vec::<String>::new());
    });
}

#[test]
fn i7_a_process_that_knew_a_dead_chain_serves_what_another_had_stored() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let new = {
            let mut state = doubles.world.state();
            let now = doubles.true_now();
            state.exact.issue_chain(now)
        };
        ticks(&refresher, &doubles, 2_000).await;
        assert!(matches!(refresher.get_token(at_once()).await, Err(NoToken::ConsentRequired(_))));
        let other = doubles.beside(&Plan::new(None, None));
        other.import(Secret::new(new), true).await.unwrap();
        let theirs = other.get_token(Ask::default()).await.unwrap();
        doubles.world.state().ledger_up = false;
        // Longer than bad news is believed, and not as long as a token from memory.
        tokio::time::sleep(seconds(20)).await;
        let mine = refresher.get_token(at_once()).await.unwrap();
        assert_eq!(mine.access_token.reveal(), theirs.access_token.reveal());
    });
}

/// The vault's latest is whatever landed last: here, copies of an older pair that came late.
#[test]
fn of_the_latest_versions_the_one_with_the_latest_grant_serves() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        tokio::time::sleep(seconds(610)).await;
        let token = refresher.get_token(Ask::default()).await.unwrap();
        {
            let mut state = doubles.world.state();
            let older = state.versions.values().map(|(_, credential)| credential.clone()).min_by_key(|credential| credential.granted_at).unwrap();
            for n in 0..7 {
                let landed = doubles.true_now() + SignedDuration::from_secs(n + 1);
                state.versions.insert(VersionId(format!("late-{n}")), (landed, older.clone()));
            }
        }
        let head = doubles.beside(&Plan::new(None, None)).get_token(at_once()).await.unwrap();
        assert_eq!(head.access_token.reveal(), token.access_token.reveal(), "a new process serves the head");
        assert_eq!(head.warnings, Vec::<String>::new());
        doubles.world.state().ledger_up = false;
        let latest = doubles.beside(&Plan::new(None, None)).get_token(at_once()).await.unwrap();
        assert_eq!(latest.access_token.reveal(), token.access_token.reveal(), "and so does one that cannot read which it is");
    });
}

/// An import that died between its version and the ledger brought a token that serves nobody.
#[test]
fn a_token_that_lives_is_served_beside_a_later_one_without_an_access_token() {
    let world = connected(Config::default());
    undisturbed(&world, |_, doubles| async move {
        let mut imported = doubles.world.state().versions.values().last().unwrap().1.clone();
        (imported.access, imported.epoch, imported.granted_at) = (None, imported.epoch + 1, doubles.true_now());
        let landed = doubles.true_now();
        doubles.world.state().versions.insert(VersionId("half-an-import".to_owned()), (landed, imported));
        doubles.world.state().ledger_up = false;
        assert!(doubles.beside(&Plan::new(None, None)).get_token(at_once()).await.is_ok());
    });
}

/// However often somebody asks, a vault of thousands of versions is listed once a minute.
#[test]
fn the_vault_is_not_listed_at_every_call() {
    let world = dead_and_unread();
    undisturbed(&world, |_, doubles| async move {
        let plan = Plan::new(None, None);
        let other = doubles.beside(&plan);
        for _ in 0..30 {
            unavailable(other.get_token(at_once()).await);
            tokio::time::sleep(seconds(10)).await;
        }
        let lists = plan.calls().iter().filter(|call| **call == "vault.list").count();
        assert_eq!(lists, 5, "in 300 s");
    });
}
