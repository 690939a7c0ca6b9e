//! The vault takes no writes, is down, or forbids.

use std::time::Duration;

use simulators::exact_online::Delivery;
use simulators::functions_host::FunctionsHost;
use simulators::key_vault::{Action, Denial, Fault, Operation, Way};
use simulators::managed_identity;

use super::{NAME, assert_says, refreshed, refused, status, tick, until_logged, warm, warnings};
use crate::azure::{OnAzure, VAULT};
use crate::stage::get_token;

const NOT_SPENT: &str = "the token store is not writable, so the refresh token was not spent";

/// A pair that is due: a process that knows it says that it cannot be replaced, and does not spend it. What was asked of the vault meanwhile.
async fn assert_not_spent(world: &OnAzure, host: &FunctionsHost) -> Vec<(Operation, u16)> {
    let before = world.vault.rules().log().len();
    assert_says(&refused(host).await, &[NOT_SPENT]);
    world.stage.assert_requests(1);
    let mut asked = world.vault_requests(before);
    // On a slow machine it may have been tried twice.
    asked.dedup();
    asked
}

#[tokio::test]
async fn a_vault_that_takes_no_writes_serves_and_its_token_is_not_spent() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    for action in [Action::Set, Action::Update] {
        world.vault.rules().deny(action, Some(Denial::Rbac));
    }
    let cold = world.stage.host().await;
    for host in [&host, &cold] {
        let answer = get_token(host, "").await;
        assert_eq!((answer.token(), answer.json().get("warnings")), (token.clone(), None), "while it lives nothing is missing");
        let (failed, line) = tick(host).await;
        assert!(!failed && line.starts_with("no refresh; the access token lives"), "{line}");
    }
    assert_eq!(status(&world).await.0, "connected", "nobody has tried to write yet");

    world.set_clocks(575);
    assert_eq!(assert_not_spent(&world, &host).await, [(Operation::Update, 403)]);
    until_logged(&host, "ForbiddenByRbac: the identity lacks the data action Microsoft.KeyVault/vaults/secrets/update/action").await;
    assert_says(&refused(&cold).await, &[NOT_SPENT]);
    assert_eq!(status(&world).await, ("degraded".to_owned(), false, NOT_SPENT.to_owned()));
    world.vault.rules().deny(Action::Update, None);
    world.vault.rules().deny(Action::Set, None);

    // As after a fail-over, however it is answered.
    let mut clocks = 600;
    for (fault, seen) in [(Fault::failed(409), 409), (Fault::failed(503), 503), (Fault::page(403), 403), (Fault::throttled(600), 429)] {
        clocks += 310;
        world.set_clocks(clocks);
        world.vault.rules().read_only(Some(fault));
        assert_eq!(assert_not_spent(&world, &host).await, [(Operation::Update, seen)]);
    }
    // The more often it failed the longer the pause: by now longer than a tick holds.
    for _ in 0..2 {
        clocks += 310;
        world.set_clocks(clocks);
        assert_not_spent(&world, &host).await;
    }
    clocks += 310;
    world.set_clocks(clocks);
    let (failed, line) = tick(&host).await;
    assert!(failed && line.starts_with(&format!("the refresh failed: {NOT_SPENT}; there is no living access token; next not before ")), "{line}");
    let status_then = world.stage.status().await;
    assert!(status_then["last_failure_class"] == "not_sent" && status_then["failures_in_a_row"].as_u64().unwrap() >= 8, "{status_then}");
    assert_eq!(world.vault.rules().versions(NAME).len(), 2, "and nothing was written");

    world.vault.rules().read_only(None);
    world.set_clocks(clocks + 310);
    refreshed(&world, &host, &token).await;
    world.stage.assert_requests(2);
    assert_eq!(status(&world).await.0, "connected");
}

#[tokio::test]
async fn a_vault_that_is_down_costs_no_token_and_takes_none_away() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    let mut clocks = 0;
    for (down, says) in [(Down::NoConnection, "no connection to Key Vault"), (Down::Failing, "Key Vault answered 503")] {
        go(&world, Some(down));
        let cold = world.stage.host().await;
        if clocks == 0 {
            assert_eq!(get_token(&host, "").await.token(), token);
            let (failed, line) = tick(&host).await;
            assert!(!failed && line.starts_with("no refresh; the access token lives"), "a living pair in memory needs no vault: {line}");
        }
        assert_says(&get_token(&cold, "").await.error(503, "temporarily_unavailable"), &["the token store is not reachable", says]);
        let (state, servable, summary) = status(&world).await;
        assert_eq!((state.as_str(), servable), ("degraded", false));
        assert_says(&summary, &["the token store is not reachable", says]);

        clocks += 700;
        world.set_clocks(clocks);
        assert_not_spent(&world, &host).await;
        get_token(&cold, "").await.error(503, "temporarily_unavailable");
        world.stage.assert_requests(1);
        go(&world, None);
    }
    clocks += 310;
    world.set_clocks(clocks);
    refreshed(&world, &host, &token).await;
    world.stage.assert_requests(2);
}

/// A tick of a new process holds for a vault that is away, as it holds for Exact Online.
#[tokio::test]
async fn a_vault_that_comes_back_is_noticed_by_the_tick_that_is_running() {
    let world = OnAzure::connected().await;
    drop(warm(&world).await);
    world.set_clocks(700);
    go(&world, Some(Down::NoConnection));
    let cold = world.stage.host().await;
    let mend = async {
        until_logged(&cold, "holding").await;
        world.stage.assert_requests(1);
        go(&world, None);
    };
    let ((failed, line), ()) = tokio::join!(tick(&cold), mend);
    assert!(!failed && line.starts_with("refreshed"), "{line}");
    world.stage.assert_requests(2);
}

/// Nobody waits longer than he said, and the process is not stuck afterwards.
#[tokio::test]
async fn a_vault_that_is_down_and_silent_holds_nobody_longer_than_he_waits() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    go(&world, Some(Down::Silent));
    assert_eq!(get_token(&host, "").await.token(), token);
    let cold = world.stage.host().await;
    let asked = tokio::time::Instant::now();
    let told = get_token(&cold, "?max_wait=3").await.error(503, "temporarily_unavailable");
    assert_says(&told, &["the token store does not answer"]);
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    world.set_clocks(700);
    let told = get_token(&host, "?max_wait=3").await.error(503, "temporarily_unavailable");
    assert_says(&told, &["the refresh takes longer than max_wait allows; it goes on"]);
    world.stage.assert_requests(1);
    go(&world, None);
    for host in [&host, &cold] {
        refreshed(&world, host, &token).await;
    }
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn an_identity_without_its_role_is_told_which_right_it_lacks() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    let all = [Action::Get, Action::Set, Action::Update, Action::ReadMetadata];
    for action in all {
        world.vault.rules().deny(action, Some(Denial::Rbac));
    }
    assert_eq!(get_token(&host, "").await.token(), token);
    let lacks = "ForbiddenByRbac: the identity lacks the data action Microsoft.KeyVault/vaults/secrets/getSecret/action";
    let cold = world.stage.host().await;
    assert_says(&get_token(&cold, "").await.error(503, "temporarily_unavailable"), &["the token store is not reachable", lacks]);
    let (state, servable, summary) = status(&world).await;
    assert_eq!((state.as_str(), servable), ("degraded", false));
    assert_says(&summary, &[lacks]);
    world.set_clocks(575);
    assert_not_spent(&world, &host).await;
    until_logged(&host, "secrets/update/action").await;

    for action in all {
        world.vault.rules().deny(action, None);
    }
    world.set_clocks(900);
    get_token(&cold, "").await.token();
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn an_identity_without_any_token_serves_from_memory_and_recovers() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    world.identity.rules().revoke_all();
    world.identity.rules().always(Some(managed_identity::Fault::Status(400, None)));
    assert_eq!(get_token(&host, "").await.token(), token);
    let cold = world.stage.host().await;
    let says = ["the token store is not reachable", "managed identity", "not assigned to this app"];
    assert_says(&get_token(&cold, "").await.error(503, "temporarily_unavailable"), &says);
    assert_says(&status(&world).await.2, &says);
    world.set_clocks(575);
    assert_not_spent(&world, &host).await;

    world.identity.rules().always(None);
    world.set_clocks(900);
    let answer = get_token(&host, "").await;
    assert!(answer.json().get("warnings").is_none() && answer.token() != token, "{}", warnings(&answer));
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn a_version_that_somebody_disabled_is_said_to_be_so() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    let version = world.vault.rules().versions(NAME)[1].id.clone();
    world.vault.rules().enable(NAME, &version, false);
    assert_eq!(get_token(&host, "").await.token(), token);
    let says = ["SecretDisabled", "somebody has disabled this version; enable it"];
    assert_says(&get_token(&world.stage.host().await, "").await.error(503, "temporarily_unavailable"), &says);
    assert_says(&status(&world).await.2, &says);
    world.stage.assert_requests(1);
    world.set_clocks(575);
    let second = get_token(&host, "").await.token();
    assert!(second != token && world.stage.exact.is_alive(&second), "who has it in memory needs no more of it");
    assert_eq!(get_token(&world.stage.host().await, "").await.token(), second);
    world.stage.assert_requests(2);
}

#[derive(Clone, Copy)]
enum Down {
    NoConnection,
    Failing,
    Silent,
}

fn go(world: &OnAzure, down: Option<Down>) {
    let way = match down {
        Some(Down::NoConnection) => Way::Refused,
        _ => Way::To(world.vault.address()),
    };
    world.relay.lead(VAULT, way);
    world.vault.rules().always(match down {
        Some(Down::Failing) => Some(Fault::failed(503)),
        Some(Down::Silent) => Some(Fault::NoEffect(Delivery::Never)),
        Some(Down::NoConnection) | None => None,
    });
}
