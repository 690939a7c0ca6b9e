//! Patience. Where there are no sockets, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::{StatusCode, Transport};
use exact_token_broker::azure::BlobLedger;
use exact_token_broker::azure::identity::in_time;
use exact_token_broker::azure::storage::{ACCOUNT_NAME, StorageSettings};
use exact_token_broker::http;
use exact_token_broker::ports::{Etag, LedgerError, LedgerStore, LockError, WriteError};
use tokio::time::Instant;

use crate::azurite::{VAULT, clock, ledger, settings};
use crate::ledger_contract::{first_ledger, owner};
use crate::wire::{Fault, Wire};

/// Above it the pass itself gives a call up.
const STORE_CALL: Duration = Duration::from_secs(30);
const REAL: &str = "AccountName=made1up;AccountKey=bWFkZS11cC1jYW5hcnkta2V5LW1hZGUtdXAtY2FuYXJ5LWtleQ==";

#[tokio::test(start_paused = true)]
async fn no_call_lasts_as_long_as_the_pass_would_wait() {
    let wire = Arc::new(Wire::nowhere(Fault::Silence));
    let ledger = ledger(&settings(REAL), &wire, clock(), "made-up");
    let (me, etag) = (owner(), Etag("\"0x1\"".to_owned()));
    let since = Instant::now();
    assert!(matches!(ledger.read().await, Err(LedgerError::Unavailable(_))));
    assert!(matches!(ledger.lock(&me).await, Err(LockError::Unavailable(_))));
    assert!(matches!(ledger.renew(&me).await, Err(LockError::Unavailable(_))));
    assert_eq!(ledger.write(&me, &first_ledger(), Some(&etag)).await, Err(WriteError::Unclear));
    // Nothing was written yet: what it would be written over could not be read.
    assert!(matches!(ledger.write(&me, &first_ledger(), None).await, Err(WriteError::NotWritable(_))));
    ledger.unlock(&me).await;
    assert!(since.elapsed() < 6 * STORE_CALL, "{:?}", since.elapsed());
    assert_eq!(wire.take().len(), 6);
}

/// With the client that the program uses, against a service that takes every request and says nothing.
#[tokio::test]
async fn a_silent_service_is_given_up_by_the_client_itself() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(&format!("BlobEndpoint=http://{};{REAL}", silent.local_addr().unwrap()));
    let client = http::azure_client(settings.endpoint.as_str()).unwrap();
    let one =
        |client: &reqwest::Client| BlobLedger::new(&settings, None, &Transport::new(Arc::new(client.clone())), clock(), VAULT, "made-up").unwrap();
    let (reader, writer, etag) = (one(&client), one(&client), Etag("\"0x1\"".to_owned()));
    let since = Instant::now();
    let read = async { (reader.read().await, since.elapsed()) };
    let write = async { (writer.write(&owner(), &first_ledger(), Some(&etag)).await, since.elapsed()) };
    let (read, written) = tokio::join!(read, write);
    assert!(matches!(read.0, Err(LedgerError::Unavailable(_))));
    assert_eq!(written.0, Err(WriteError::Unclear));
    println!("measured: of a silent service a read gives up after {:.1} s, a write after {:.1} s", read.1.as_secs_f64(), written.1.as_secs_f64());
    assert!(read.1 < Duration::from_secs(23) && written.1 < Duration::from_secs(12), "{:?} {:?}", read.1, written.1);
}

/// The crate obeys it without a limit.
#[tokio::test(start_paused = true)]
async fn an_hour_of_retry_after_is_not_waited_for() {
    let busy = Fault::Answer(503, &[("x-ms-error-code", "ServerBusy"), ("retry-after", "3600"), ("x-ms-retry-after-ms", "3600000")], "");
    let wire = Arc::new(Wire::nowhere(busy));
    let ledger = ledger(&settings(REAL), &wire, clock(), "made-up");
    let since = Instant::now();
    let Err(LedgerError::Unavailable(text)) = ledger.read().await else { panic!() };
    assert!(text.ends_with("/exact-token-broker/made-up.vault.azure.net/made-up.json: status 503 ServerBusy; it is tried again"), "{text}");
    assert_eq!(wire.take(), ["GET blob"; 3]);
    assert!(matches!(ledger.lock(&owner()).await, Err(LockError::Unavailable(_))));
    assert_eq!(wire.take(), ["PUT lease acquire 60"]);
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
}

/// A 404 of anybody but the blob service is no news of the ledger: taken for its loss, it would begin a new epoch.
#[tokio::test(start_paused = true)]
async fn only_the_service_says_that_there_is_no_ledger() {
    for (status, headers) in [(404, &[][..]), (404, &[("x-ms-error-code", "ResourceNotFound")][..]), (502, &[][..]), (200, &[][..]), (307, &[][..])] {
        let wire = Arc::new(Wire::nowhere(Fault::Answer(status, headers, "<html>canary</html>")));
        let ledger = ledger(&settings(REAL), &wire, clock(), "made-up");
        let Err(LedgerError::Unavailable(text)) = ledger.read().await else { panic!("{status}") };
        assert!(!text.contains("canary"), "{text}");
        assert!(matches!(ledger.lock(&owner()).await, Err(LockError::Unavailable(_))) || status == 200);
    }
}

#[derive(Debug)]
struct Broken(Option<ErrorKind>);

#[async_trait]
impl TokenCredential for Broken {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        match &self.0 {
            Some(kind) => Err(azure_core::Error::with_message(kind.clone(), "made-up canary")),
            None => std::future::pending().await,
        }
    }
}

/// Without a token nothing is sent, so a write without one is not unclear, whatever the identity's own trouble looked like.
#[tokio::test(start_paused = true)]
async fn an_identity_without_a_token_spares_the_ledger() {
    let account = |name: &str| (name == ACCOUNT_NAME).then(|| "made1up".to_owned());
    let settings = StorageSettings::read(account).unwrap().unwrap();
    let refused = ErrorKind::HttpResponse { status: StatusCode::BadRequest, error_code: Some("canary".to_owned()), raw_response: None };
    for (kind, said) in [
        (None, "did not answer within 8 s"),
        (Some(ErrorKind::Io), "is not reachable"),
        (Some(refused), "answered 400: the identity is not assigned to this app"),
    ] {
        let wire = Arc::new(Wire::nowhere(Fault::Silence));
        let identity = in_time(Arc::new(Broken(kind)));
        let ledger = BlobLedger::new(
            &settings,
            Some(Arc::new(move || Ok(Arc::clone(&identity)))),
            &Transport::new(Arc::clone(&wire) as _),
            clock(),
            VAULT,
            "made-up",
        )
        .unwrap();
        let since = Instant::now();
        let written = ledger.write(&owner(), &first_ledger(), Some(&Etag("\"0x1\"".to_owned()))).await;
        let Err(WriteError::NotWritable(text)) = written else { panic!("{written:?}") };
        assert!(text.contains(said) && text.contains("managed identity") && !text.contains("canary"), "{text}");
        assert!(matches!(ledger.read().await, Err(LedgerError::Unavailable(_))));
        assert!(since.elapsed() < STORE_CALL, "{:?}", since.elapsed());
        assert!(wire.take().is_empty());
    }
}

#[test]
fn the_lock_is_named_by_the_blobs_address_alone() {
    let wire = Arc::new(Wire::nowhere(Fault::Silence));
    let id = |connection: &str, vault: &str, secret: &str| {
        let ledger = BlobLedger::new(&settings(connection), None, &Transport::new(Arc::clone(&wire) as _), clock(), vault, secret).unwrap();
        assert!(!format!("{ledger:?}{}", ledger.place()).contains("sig="));
        ledger.lock_id()
    };
    let by_key = id(REAL, VAULT, "made-up");
    assert_eq!(by_key, id("AccountName=made1up;SharedAccessSignature=sig=made-up", VAULT, "made-up"));
    assert_eq!(
        by_key,
        id("BlobEndpoint=https://MADE1UP.blob.core.windows.net/;SharedAccessSignature=sig=other", "MADE-UP.vault.azure.net", "Made-Up")
    );
    assert_ne!(by_key, id(REAL, VAULT, "made-up-2"));
    assert_ne!(by_key, id(REAL, "made-up-2.vault.azure.net", "made-up"));
    assert_ne!(by_key, id(&REAL.replace("made1up", "made2up"), VAULT, "made-up"));
    assert_eq!(by_key.0.len(), 32);
}
