//! The storage account with the ledger in it is down, or does not let the program do what it must.

use std::net::SocketAddr;
use std::time::Duration;

use azure_core::base64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use simulators::emulators::Azurite;

use super::gate::Gate;
use super::{assert_says, refreshed, status, tick, until_logged, warm, warnings};
use crate::azure::OnAzure;
use crate::stage::{get_token, get_with};

/// With a gate before the storage, and a chain.
async fn gated() -> (OnAzure, Gate) {
    let mut world = OnAzure::start().await;
    let address: SocketAddr = world.azurite.endpoint().trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
    let gate = Gate::to(address);
    let connection = world.azurite.connection_string().replace(&address.to_string(), &gate.address().to_string());
    world.stage.set("AzureWebJobsStorage", &connection);
    world.stage.import().await;
    (world, gate)
}

const AWAY: [&str; 2] = ["no connection; check the account's name in AzureWebJobsStorage", "the ledger is not reachable: http"];

#[tokio::test]
async fn a_storage_that_is_down_leaves_what_memory_and_vault_have() {
    let (world, mut gate) = gated().await;
    let (host, token) = warm(&world).await;
    gate.shut().await;
    assert_eq!(get_token(&host, "").await.token(), token, "from memory");
    let (failed, line) = tick(&host).await;
    assert!(failed && line.starts_with("nothing was sent: the ledger is not reachable"), "{line}");
    assert_says(&line, &AWAY);
    assert_says(&line, &["the access token lives"]);
    let cold = world.stage.host().await;
    let answer = get_token(&cold, "").await;
    assert_eq!(answer.token(), token, "from the vault");
    assert_says(&warnings(&answer), &["the token is the latest that the vault has: "]);
    assert_says(&warnings(&answer), &AWAY);
    let (state, servable, summary) = status(&world).await;
    assert_eq!((state.as_str(), servable), ("degraded", true));
    assert_says(&summary, &AWAY);

    world.set_clocks(700);
    for host in [&host, &cold, &world.stage.host().await] {
        assert_says(&get_token(host, "").await.error(503, "temporarily_unavailable"), &AWAY[..1]);
    }
    let (state, servable, summary) = status(&world).await;
    assert_eq!((state.as_str(), servable), ("degraded", false));
    assert_says(&summary, &AWAY);
    world.stage.assert_requests(1);

    gate.open().await;
    for host in [&cold, &host] {
        refreshed(&world, host, &token).await;
    }
    world.stage.assert_requests(2);
    assert_eq!(status(&world).await.0, "connected");
}

#[tokio::test]
async fn a_storage_that_comes_back_is_noticed_by_the_tick_that_is_running() {
    let (world, mut gate) = gated().await;
    let (host, _) = warm(&world).await;
    let cold = world.stage.host().await;
    for (clocks, host) in [(700, &host), (1_400, &cold)] {
        gate.shut().await;
        world.set_clocks(clocks);
        let held = host.console().iter().filter(|line| line.text.contains("holding")).count();
        let mend = async {
            crate::stage::until("a hold", || host.console().iter().filter(|line| line.text.contains("holding")).count() > held).await;
            let sent = world.stage.outcomes().len();
            gate.open().await;
            sent
        };
        let ((failed, line), sent) = tokio::join!(tick(host), mend);
        assert!(!failed && line.starts_with("refreshed"), "{line}");
        world.stage.assert_requests(sent + 1);
    }
    world.stage.assert_requests(3);
}

#[tokio::test]
async fn a_storage_that_is_silent_holds_nobody_longer_than_he_waits() {
    let (world, mut gate) = gated().await;
    let (host, token) = warm(&world).await;
    gate.mute().await;
    assert_eq!(get_token(&host, "").await.token(), token, "from memory");
    let cold = world.stage.host().await;
    // Who watches has his answer within seconds: from memory, or that nothing is known.
    let key = simulators::functions_host::Keys::default().function;
    for (watched, status) in [(&host, 200), (&cold, 503)] {
        let asked = tokio::time::Instant::now();
        let answer = get_with(watched, "/api/Status", &[("x-functions-key", &key)]).await;
        let said = answer.json();
        assert_eq!((answer.status, &said["state"]), (status, &"degraded".into()), "{said}");
        assert_says(said["summary"].as_str().unwrap(), &["does not answer within 4 s"]);
        assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
        println!("measured: with a silent storage the status answers after {:.1} s", asked.elapsed().as_secs_f64());
    }
    let asked = tokio::time::Instant::now();
    let told = get_token(&cold, "?max_wait=3").await.error(503, "temporarily_unavailable");
    assert_says(&told, &["the token store does not answer"]);
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    // Who waits for the ledger to be given up is served from the vault.
    let answer = get_token(&cold, "").await;
    assert_eq!(answer.token(), token);
    assert_says(&warnings(&answer), &["the token is the latest that the vault has: the ledger is not reachable", "no answer"]);
    println!("measured: with a silent storage a new process serves from the vault after {:.0} s", asked.elapsed().as_secs_f64());
    world.stage.assert_requests(1);

    gate.open().await;
    world.set_clocks(575);
    refreshed(&world, &cold, &token).await;
    world.stage.assert_requests(2);
}

/// By the page "Create an account SAS": blob service, containers and objects.
fn signature(permissions: &str, expiry: jiff::Timestamp) -> String {
    let (account, version) = (Azurite::ACCOUNT, "2020-10-02");
    let expiry = jiff::Timestamp::from_second(expiry.as_second()).unwrap().to_string();
    let text = format!("{account}\n{permissions}\nb\nco\n\n{expiry}\n\n\n{version}\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(&base64::decode(Azurite::KEY).unwrap()).unwrap();
    mac.update(text.as_bytes());
    let escaped = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (signature, expiry) = (escaped(&base64::encode(mac.finalize().into_bytes())), escaped(&expiry));
    format!("sv={version}&ss=b&srt=co&sp={permissions}&se={expiry}&sig={signature}")
}

fn open_with(world: &mut OnAzure, signature: &str) {
    let connection = format!("BlobEndpoint={};SharedAccessSignature={signature}", world.azurite.endpoint());
    world.stage.set("AzureWebJobsStorage", &connection);
}

#[tokio::test]
async fn a_signature_that_only_reads_serves_and_nothing_is_sent() {
    let mut world = OnAzure::connected().await;
    let (_, token) = warm(&world).await;
    let now = (world.stage.clock())();
    open_with(&mut world, &signature("rl", now + jiff::SignedDuration::from_hours(24)));
    let host = world.stage.host().await;
    let answer = get_token(&host, "").await;
    assert_eq!((answer.token(), answer.json().get("warnings")), (token.clone(), None));
    let (failed, line) = tick(&host).await;
    assert!(!failed && line.starts_with("no refresh; the access token lives"), "{line}");
    assert_eq!(status(&world).await.0, "connected", "nobody has tried to write yet");

    world.set_clocks(700);
    let says = ["status 403 AuthorizationPermissionMismatch", "Storage Blob Data Owner"];
    for host in [&host, &world.stage.host().await] {
        assert_says(&get_token(host, "").await.error(503, "temporarily_unavailable"), &says);
    }
    world.stage.assert_requests(1);
    let connection = world.azurite.connection_string();
    world.stage.set("AzureWebJobsStorage", &connection);
    refreshed(&world, &world.stage.host().await, &token).await;
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn a_signature_that_is_over_leaves_what_memory_and_vault_have() {
    let mut world = OnAzure::start().await;
    let now = (world.stage.clock())();
    open_with(&mut world, &signature("rwdlacup", now + jiff::SignedDuration::from_secs(300)));
    world.stage.import().await;
    let (host, token) = warm(&world).await;
    // By now it lives five more minutes.
    world.set_clocks(400);
    let says = ["the ledger is not reachable", "status 403 AuthorizationFailure", "signature or role that AzureWebJobsStorage opens it with"];
    let (failed, line) = tick(&host).await;
    assert!(failed, "{line}");
    assert_says(&line, &says);
    assert_eq!(get_token(&host, "").await.token(), token);
    let cold = get_token(&world.stage.host().await, "").await;
    assert_eq!(cold.token(), token);
    assert_says(&warnings(&cold), &says);
    let (state, servable, summary) = status(&world).await;
    assert_eq!((state.as_str(), servable), ("degraded", true));
    assert_says(&summary, &says);
    world.set_clocks(700);
    get_token(&host, "").await.error(503, "temporarily_unavailable");
    world.stage.assert_requests(1);

    let now = (world.stage.clock())();
    open_with(&mut world, &signature("rwdlacup", now + jiff::SignedDuration::from_hours(24)));
    refreshed(&world, &world.stage.host().await, &token).await;
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn with_both_down_only_memory_serves() {
    let (world, mut gate) = gated().await;
    let (host, token) = warm(&world).await;
    gate.shut().await;
    world.vault_is_reachable(false);
    assert_eq!(get_token(&host, "").await.token(), token);
    let (failed, line) = tick(&host).await;
    assert!(failed && line.starts_with("nothing was sent: the ledger is not reachable"), "{line}");
    let cold = world.stage.host().await;
    assert_says(&get_token(&cold, "").await.error(503, "temporarily_unavailable"), &AWAY);
    let (state, servable, summary) = status(&world).await;
    assert_eq!((state.as_str(), servable), ("degraded", false));
    assert_says(&summary, &AWAY);
    world.set_clocks(700);
    for host in [&host, &cold] {
        assert_says(&get_token(host, "").await.error(503, "temporarily_unavailable"), &AWAY[..1]);
    }
    world.stage.assert_requests(1);

    // One after the other.
    gate.open().await;
    assert_says(&get_token(&cold, "").await.error(503, "temporarily_unavailable"), &["no connection to Key Vault"]);
    world.stage.assert_requests(1);
    world.vault_is_reachable(true);
    refreshed(&world, &cold, &token).await;
    until_logged(&cold, "a new pair of tokens is stored").await;
    world.stage.assert_requests(2);
}
