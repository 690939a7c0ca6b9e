//! The ledger is gone, or is nothing that this program wrote.

use std::sync::Arc;

use azure_core::http::{ClientOptions, RequestContent, RetryOptions, Transport, Url};
use azure_storage_blob::{BlobClient, BlobClientOptions, BlobContainerClient, BlobContainerClientOptions};
use exact_token_broker::azure::AccountKey;
use exact_token_broker::azure::blob_ledger::CONTAINER;
use exact_token_broker::azure::shared_key::SharedKey;
use exact_token_broker::token::Secret;
use simulators::emulators::Azurite;

use super::{NAME, assert_says, status, tick, until_logged, warm, warnings};
use crate::azure::{OnAzure, VAULT};
use crate::stage::get_token;

/// The ledger's blob and its container, past the program.
pub(super) struct Raw {
    blob: BlobClient,
    container: BlobContainerClient,
}

impl Raw {
    pub(super) fn of(world: &OnAzure) -> Self {
        let options = || {
            let (key, clock) = (AccountKey::new(Azurite::ACCOUNT, &Secret::new(Azurite::KEY)).unwrap(), world.stage.clock());
            ClientOptions {
                per_try_policies: vec![Arc::new(SharedKey::new(key, move || clock()))],
                retry: RetryOptions::none(),
                transport: Some(Transport::new(Arc::new(exact_token_broker::http::azure_client(world.azurite.endpoint()).unwrap()))),
                ..ClientOptions::default()
            }
        };
        let container = format!("{}/{CONTAINER}", world.azurite.endpoint());
        let blob = Url::parse(&format!("{container}/{VAULT}/{NAME}.json")).unwrap();
        let (of_blob, of_container) = (
            BlobClientOptions { client_options: options(), ..Default::default() },
            BlobContainerClientOptions { client_options: options(), ..Default::default() },
        );
        Self {
            blob: BlobClient::new(blob, None, Some(of_blob)).unwrap(),
            container: BlobContainerClient::new(Url::parse(&container).unwrap(), None, Some(of_container)).unwrap(),
        }
    }

    pub(super) async fn read(&self) -> Vec<u8> {
        self.blob.download(None).await.unwrap().body.collect().await.unwrap().to_vec()
    }

    pub(super) async fn write(&self, content: &[u8]) {
        self.blob.upload(RequestContent::from(content.to_vec()), None).await.unwrap();
    }
}

/// A person with the portal open, or a lifecycle rule.
#[derive(Clone, Copy, Debug)]
enum Loss {
    BlobDeleted,
    ContainerDeleted,
    BlobEmptied,
}

async fn lose(raw: &Raw, loss: Loss) {
    match loss {
        Loss::BlobDeleted => drop(raw.blob.delete(None).await.unwrap()),
        Loss::ContainerDeleted => drop(raw.container.delete(None).await.unwrap()),
        Loss::BlobEmptied => raw.write(b"").await,
    }
}

#[tokio::test]
async fn a_ledger_that_is_gone_takes_no_token_away_and_is_rebuilt() {
    let world = OnAzure::connected().await;
    let raw = Raw::of(&world);
    let (host, mut token) = warm(&world).await;
    for (n, loss) in (1..).zip([Loss::BlobDeleted, Loss::ContainerDeleted, Loss::BlobEmptied]) {
        lose(&raw, loss).await;
        assert_eq!(status(&world).await, ("degraded".to_owned(), true, "the ledger is gone; the next tick rebuilds it".to_owned()), "{loss:?}");
        let cold = world.stage.host().await;
        assert_eq!(get_token(&cold, "").await.token(), token, "{loss:?}: of a process that knows nothing");
        assert_eq!(get_token(&host, "").await.token(), token, "{loss:?}: from memory");
        world.stage.assert_requests(n);

        let (failed, line) = tick(&host).await;
        assert!(!failed && line.starts_with("no refresh; the access token lives"), "{loss:?}: {line}");
        until_logged(&host, "the ledger is gone: it is rebuilt from the latest").await;
        let (state, servable, summary) = status(&world).await;
        assert_eq!((state.as_str(), servable), ("degraded", true), "{loss:?}");
        assert_says(&summary, &["the ledger was lost and was rebuilt from the vault"]);
        assert_eq!(world.stage.status().await["epoch"], 2, "{loss:?}: one more than that of the vault's versions");
        world.stage.assert_requests(n);

        world.set_clocks(575 * i64::try_from(n).unwrap());
        token = get_token(&host, "").await.token();
        world.stage.assert_requests(n + 1);
        assert_eq!(status(&world).await.0, "connected", "{loss:?}");
    }
}

/// Another process may be waiting for a reply of which the ledger knew.
#[tokio::test]
async fn a_ledger_that_is_gone_keeps_requests_back_for_140_s() {
    let world = OnAzure::connected().await;
    let (host, _) = warm(&world).await;
    lose(&Raw::of(&world), Loss::BlobDeleted).await;
    world.set_clocks(700);
    for host in [&host, &world.stage.host().await] {
        let answer = get_token(host, "?max_wait=20").await;
        assert_says(
            &answer.error(503, "temporarily_unavailable"),
            &["the ledger was lost and rebuilt; a request may still be waiting for its reply"],
        );
        assert!((60..=141).contains(&answer.json()["retry_after"].as_i64().unwrap()), "{answer:?}");
    }
    world.stage.assert_requests(1);
    world.set_clocks(850);
    get_token(&host, "").await.token();
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn a_damaged_ledger_is_left_alone_and_what_the_vault_has_is_served() {
    let world = OnAzure::connected().await;
    let raw = Raw::of(&world);
    let (host, token) = warm(&world).await;
    let sound = raw.read().await;
    let later = String::from_utf8(sound.clone()).unwrap().replacen("\"v\": 1,", "\"v\": 2,", 1).into_bytes();
    assert!(later != sound, "the version is where this test looks for it");
    for damaged in [b"not ours \xff".to_vec(), later.clone()] {
        raw.write(&damaged).await;
        let says = [&format!("{NAME}.json: ") as &str, "put a good copy in its place, or delete the blob"];
        let cold = get_token(&world.stage.host().await, "").await;
        assert_eq!(cold.token(), token);
        assert_says(&warnings(&cold), &["the token is the latest that the vault has: the ledger cannot be read: http"]);
        assert_says(&warnings(&cold), &says);
        assert_eq!(get_token(&host, "").await.token(), token);
        let (failed, line) = tick(&host).await;
        assert!(failed && line.starts_with("nothing was sent: the ledger cannot be read: http"), "{line}");
        assert_says(&line, &says);
        assert_says(&line, &["the access token lives"]);
        let (state, servable, summary) = status(&world).await;
        assert_eq!((state.as_str(), servable), ("degraded", true));
        assert_says(&summary, &says);
        assert!(raw.read().await == damaged, "it is left as it is");
    }

    // Once nothing lives any more.
    world.set_clocks(700);
    for host in [&host, &world.stage.host().await] {
        assert_says(&get_token(host, "").await.error(500, "server_error"), &["the ledger cannot be read", "put a good copy in its place"]);
    }
    let (failed, line) = tick(&world.stage.host().await).await;
    assert!(failed, "{line}");
    assert_says(&line, &["nothing was sent: the ledger cannot be read", "there is no living access token"]);
    assert_eq!(status(&world).await.0, "misconfigured");
    world.stage.assert_requests(1);
    assert!(raw.read().await == later);

    // A good copy is all that it takes.
    raw.write(&sound).await;
    get_token(&host, "").await.token();
    world.stage.assert_requests(2);
    // So is none: then it is rebuilt.
    raw.write(&later).await;
    raw.blob.delete(None).await.unwrap();
    world.set_clocks(1_400);
    get_token(&world.stage.host().await, "?max_wait=20").await.error(503, "temporarily_unavailable");
    world.set_clocks(1_550);
    get_token(&world.stage.host().await, "").await.token();
    world.stage.assert_requests(3);
}
