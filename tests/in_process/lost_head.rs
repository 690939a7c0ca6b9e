//! The vault does not have the version any more that the ledger names: restored from an older copy, or failed over to a region that had not caught up.

use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::status::{State, Status};
use exact_token_broker::token::Secret;
use simulators::exact_online::Config;

use super::day::{at_once, connected, requests_since, undisturbed};
use super::life::{Plan, live};
use super::world::{VaultIs, World};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a caller is told who gets a 500.
fn server_error(told: Result<exact_token_broker::get_token::HandedOut, NoToken>) -> String {
    match told {
        Err(NoToken::ServerError(what)) => what,
        other => panic!("{other:?}"),
    }
}

/// The text names the version, and every way out.
fn assert_says(text: &str, version: &str) {
    for part in [version, "does not have it", "deleted", "restored from an older copy", "failed over", "by itself", "import --replace"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

fn newest_is_head(world: &World) -> bool {
    let state = world.state();
    let head = &state.versions[&state.head()].1;
    Some(head.refresh_token.reveal()) == state.exact.newest_refresh_token()
}

#[test]
fn who_has_the_head_in_memory_stores_it_again_before_its_token_is_spent() {
    let world = connected(Config::default());
    let since = world.state().now;
    let plan = Plan::new(None, None);
    live(&world, &plan, |refresher, doubles| async move {
        refresher.get_token(Ask::default()).await.unwrap();
        let (lost, (_, credential)) = doubles.world.state().lose_head();
        tokio::time::sleep(seconds(300)).await;
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.warnings, Vec::<String>::new(), "it is in memory, and nobody has missed it yet");
        tokio::time::sleep(seconds(310)).await;
        let tick = refresher.tick().await;
        assert!(!tick.failed && tick.line.starts_with("refreshed"), "{}", tick.line);
        let state = doubles.world.state();
        assert!(!state.versions.contains_key(&lost));
        let again = state.versions.values().filter(|(_, it)| it.fingerprint() == credential.fingerprint()).count();
        assert_eq!(again, 1, "it is a version again");
    });
    assert!(newest_is_head(&world));
    assert_eq!(requests_since(&world, since).len(), 1);
    let calls = plan.calls();
    let first = |op| calls.iter().position(|call| *call == op).unwrap();
    assert!(first("vault.prove") < first("vault.put") && first("vault.put") < first("exact.refresh"), "{calls:?}");
}

#[test]
fn what_cannot_be_stored_again_is_not_spent() {
    let world = connected(Config::default());
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        refresher.get_token(Ask::default()).await.unwrap();
        doubles.world.state().lose_head();
        doubles.world.state().vault = VaultIs::Full;
        tokio::time::sleep(seconds(610)).await;
        let tick = refresher.tick().await;
        assert!(tick.failed && tick.line.contains("the token store is not writable, so the refresh token was not spent"), "{}", tick.line);
        assert!(requests_since(&doubles.world, since).is_empty());
        doubles.world.state().vault = VaultIs::Well;
        tokio::time::sleep(seconds(300)).await;
        assert!(!refresher.tick().await.failed);
    });
    assert!(newest_is_head(&world));
}

#[test]
fn who_does_not_have_it_says_which_version_is_missing_and_sends_nothing_until_it_is_back() {
    let world = connected(Config::default());
    let since = world.state().now;
    let (version, lost) = world.state().lose_head();
    undisturbed(&world, |refresher, doubles| async move {
        assert_says(&server_error(refresher.get_token(Ask::default()).await), &version.0);
        let begun = doubles.true_now();
        let tick = refresher.tick().await;
        assert!(tick.failed && tick.line.starts_with("nothing was sent: the ledger names"), "{}", tick.line);
        assert_says(&tick.line, &version.0);
        assert_eq!(doubles.true_now(), begun, "and does not hold for what only a person or time can mend");
        let status = Status::of(&refresher).await;
        assert_eq!((status.state, status.servable), (State::Misconfigured, false));
        assert_says(&status.summary, &version.0);
        tokio::time::sleep(seconds(700)).await;
        assert_says(&server_error(refresher.get_token(Ask::default()).await), &version.0);
        assert!(requests_since(&doubles.world, since).is_empty());

        doubles.world.state().versions.insert(version, lost);
        tokio::time::sleep(seconds(1)).await;
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.warnings, Vec::<String>::new());
    });
    assert!(newest_is_head(&world));
    assert_eq!(requests_since(&world, since).len(), 1);
}

#[test]
fn i7_while_it_is_away_the_rest_of_the_vault_still_serves() {
    let world = connected(Config::default());
    let since = world.state().now;
    {
        // As after the first write of another identity: the head is a copy of the version before.
        let mut state = world.state();
        let (head, stored) = (state.head(), state.versions[&state.head()].clone());
        state.versions.insert(exact_token_broker::token::VersionId("version-before".to_owned()), stored);
        state.versions.remove(&head);
    }
    undisturbed(&world, |refresher, doubles| async move {
        for _ in 0..5 {
            let token = refresher.get_token(at_once()).await.unwrap();
            assert!(doubles.world.state().exact.is_alive(token.access_token.reveal(), doubles.true_now()));
            assert!(token.warnings[0].starts_with("the token is the latest that the vault has: the ledger names version"), "{:?}", token.warnings);
            tokio::time::sleep(seconds(60)).await;
        }
        let tick = refresher.tick().await;
        assert!(tick.failed && tick.line.contains("the access token lives"), "{}", tick.line);
        let status = Status::of(&refresher).await;
        assert_eq!((status.state, status.servable), (State::Degraded, true), "{}", status.summary);
        tokio::time::sleep(seconds(300)).await;
        server_error(refresher.get_token(Ask::default()).await);
    });
    assert!(requests_since(&world, since).is_empty());
}

#[test]
fn one_process_that_has_it_mends_it_for_all() {
    let world = connected(Config::default());
    let since = world.state().now;
    undisturbed(&world, |refresher, doubles| async move {
        refresher.get_token(Ask::default()).await.unwrap();
        doubles.world.state().lose_head();
        tokio::time::sleep(seconds(601)).await;
        let other = doubles.beside(&Plan::new(None, None));
        server_error(other.get_token(Ask::default()).await);
        refresher.get_token(Ask::default()).await.unwrap();
        tokio::time::sleep(seconds(1)).await;
        let token = other.get_token(Ask::default()).await.unwrap();
        assert!(doubles.world.state().exact.is_alive(token.access_token.reveal(), doubles.true_now()));
    });
    assert_eq!(requests_since(&world, since).len(), 1);
}

#[test]
fn a_person_mends_it_with_another_token() {
    let world = connected(Config::default());
    world.state().lose_head();
    undisturbed(&world, |refresher, doubles| async move {
        server_error(refresher.get_token(Ask::default()).await);
        let now = doubles.true_now();
        let token = doubles.world.state().exact.issue_chain(now);
        refresher.import(Secret::new(token), true).await.unwrap();
        tokio::time::sleep(seconds(1)).await;
        refresher.get_token(Ask::default()).await.unwrap();
    });
    assert!(newest_is_head(&world));
}
