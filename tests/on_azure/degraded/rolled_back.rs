//! The vault is back at an older state: the version that the ledger names is not in it.

use simulators::key_vault::{Fault, Operation};

use super::{NAME, assert_says, refreshed, refused, status, tick, until_logged, warm};
use crate::azure::OnAzure;
use crate::stage::get_token;

/// What is said of it, wherever something is said.
const SAID: [&str; 4] = ["the ledger names version ", "restored from an older copy or failed over", "It goes on by itself", "import --replace"];

#[tokio::test]
async fn who_has_the_pair_stores_it_again_and_everybody_goes_on() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    let lost = world.vault.rules().roll_back(NAME, 1).remove(0);
    assert_eq!(get_token(&host, "").await.token(), token, "it is in memory");
    assert_says(&get_token(&world.stage.host().await, "").await.error(500, "server_error"), &SAID);
    world.stage.assert_requests(1);

    world.set_clocks(575);
    let before = world.vault.rules().log().len();
    let (failed, line) = tick(&host).await;
    assert!(!failed && line.starts_with("refreshed"), "{line}");
    until_logged(&host, "the token store has lost the version that the ledger names; it is stored again from memory").await;
    world.stage.assert_requests(2);
    let writes: Vec<_> = world.vault_requests(before).into_iter().filter(|(operation, _)| *operation != Operation::Get).collect();
    assert_eq!(writes, [(Operation::Update, 404), (Operation::Set, 200), (Operation::Set, 200)], "asked, stored again, and then the new pair");
    let kept: Vec<String> = world.vault.rules().versions(NAME).iter().map(|version| version.value.clone()).collect();
    assert!(kept.len() == 3 && kept[1] == lost.value, "the same content, as another version");

    let second = refreshed(&world, &world.stage.host().await, &token).await;
    assert_eq!(status(&world).await.0, "connected");
    // The region that was behind catches up: what comes back is older and changes nothing.
    world.vault.rules().catch_up(NAME, vec![lost]);
    assert_eq!(get_token(&world.stage.host().await, "").await.token(), second);
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn who_does_not_have_it_says_so_and_sends_nothing_until_it_is_back() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    drop(host);
    let lost = world.vault.rules().roll_back(NAME, 1);
    let says = [SAID.as_slice(), &[lost[0].id.as_str()]].concat();
    for clocks in [0, 700] {
        world.set_clocks(clocks);
        let cold = world.stage.host().await;
        assert_says(&get_token(&cold, "").await.error(500, "server_error"), &says);
        let (failed, line) = tick(&cold).await;
        assert!(failed && line.starts_with("nothing was sent: the ledger names version"), "{line}");
        assert_says(&line, &says);
        let (state, servable, summary) = status(&world).await;
        assert_eq!((state.as_str(), servable), ("misconfigured", false));
        assert_says(&summary, &says);
    }
    let written = world.vault_requests(0).iter().filter(|(operation, _)| matches!(operation, Operation::Set | Operation::Update)).count();
    world.stage.assert_requests(1);

    world.vault.rules().catch_up(NAME, lost);
    refreshed(&world, &world.stage.host().await, &token).await;
    world.stage.assert_requests(2);
    let then = world.vault_requests(0).iter().filter(|(operation, _)| matches!(operation, Operation::Set | Operation::Update)).count();
    assert_eq!(then - written, 2, "until then nothing was written, and then what a refresh writes");
}

/// After a fail-over a vault can be both behind and read-only.
#[tokio::test]
async fn what_cannot_be_stored_again_is_not_spent() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    let lost = world.vault.rules().roll_back(NAME, 1);
    for (clocks, fault) in [(575, Fault::failed(503)), (900, Fault::failed(409))] {
        world.set_clocks(clocks);
        world.vault.rules().script(Some(Operation::Set), fault);
        assert_says(&refused(&host).await, &["the token store is not writable, so the refresh token was not spent"]);
        assert_eq!(world.vault.rules().faults_left(), 0);
        world.stage.assert_requests(1);
    }
    // Failed back before anybody stored it again.
    world.vault.rules().catch_up(NAME, lost);
    world.set_clocks(1_250);
    refreshed(&world, &host, &token).await;
    world.stage.assert_requests(2);
}

/// Deleted in the portal: for a while it can be recovered.
#[tokio::test]
async fn a_secret_that_was_deleted_costs_no_token_and_is_missed_by_name() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    world.vault.rules().delete(NAME);
    assert_eq!(get_token(&host, "").await.token(), token);
    let cold = world.stage.host().await;
    assert_says(&get_token(&cold, "").await.error(500, "server_error"), &["the secret was deleted"]);
    world.set_clocks(575);
    assert_says(&refused(&host).await, &["the token store is not writable, so the refresh token was not spent"]);
    until_logged(&host, "ObjectIsDeletedButRecoverable: somebody has deleted the secret; recover it").await;
    world.stage.assert_requests(1);
    world.vault.rules().recover(NAME);
    world.set_clocks(900);
    refreshed(&world, &cold, &token).await;
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn a_person_mends_it_with_another_token() {
    let world = OnAzure::connected().await;
    drop(warm(&world).await);
    world.vault.rules().roll_back(NAME, 1);
    let refused = world.stage.run_with(&["import"], &world.stage.exact.issue_chain()).await;
    assert!(!refused.success && refused.stderr.contains("--replace"), "{refused:?}");
    world.stage.import().await;
    get_token(&world.stage.host().await, "").await.token();
    world.stage.assert_requests(2);
    assert_eq!(status(&world).await.0, "connected");
}
