//! What is sent, what is lost on the way, and what is found where the ledger should be.

use std::time::Duration;

use azure_core::http::RequestContent;
use exact_token_broker::ports::{LedgerError, LedgerStore, LockError, WriteError};
use exact_token_broker::token::Ledger;
use tokio::time::Instant;

use crate::azurite::{Azurite, held};
use crate::ledger_contract::{first_ledger, owner};
use crate::wire::Fault;

const BUSY: Fault = Fault::Answer(503, &[("x-ms-error-code", "ServerBusy"), ("retry-after", "3600")], "");

fn second() -> Ledger {
    Ledger { generation: 2, epoch: 9, ..first_ledger() }
}

#[tokio::test]
async fn each_operation_has_its_number_of_requests() {
    let azurite = Azurite::start();
    let (ledger, wire) = azurite.ledger("made-up");
    let me = owner();
    assert!(ledger.read().await.unwrap().is_none());
    assert_eq!(wire.take(), ["GET blob"], "nothing there");
    ledger.lock(&me).await.unwrap();
    assert_eq!(
        wire.take(),
        ["PUT lease acquire 60", "PUT blob", "PUT container", "PUT blob", "PUT lease acquire 60"],
        "the first lock of an account"
    );
    assert!(ledger.read().await.unwrap().is_none());
    // The crate asks for a range, which an empty blob does not have, and then for the whole.
    assert_eq!(wire.take(), ["GET blob", "GET blob"], "empty");
    let etag = ledger.write(&me, &first_ledger(), None).await.unwrap();
    assert_eq!(wire.take(), ["PUT blob"]);
    ledger.read().await.unwrap().unwrap();
    assert_eq!(wire.take(), ["GET blob"]);
    ledger.renew(&me).await.unwrap();
    assert_eq!(wire.take(), ["PUT lease renew"]);
    ledger.write(&me, &second(), Some(&etag)).await.unwrap();
    assert_eq!(wire.take(), ["PUT blob"]);
    ledger.unlock(&me).await;
    assert_eq!(wire.take(), ["PUT lease release"]);
    ledger.lock(&me).await.unwrap();
    assert_eq!(wire.take(), ["PUT lease acquire 60"]);

    let (ledger, wire) = azurite.ledger("made-up-2");
    ledger.lock(&me).await.unwrap();
    assert_eq!(wire.take(), ["PUT lease acquire 60", "PUT blob", "PUT lease acquire 60"], "the first lock of a secret");
    ledger.write(&me, &first_ledger(), None).await.unwrap();
    assert_eq!(wire.take(), ["PUT blob"], "what is written over is known from making it");
}

/// The state of a blob that another process made: not known here, so it is asked for.
#[tokio::test]
async fn a_first_ledger_can_be_written_over_an_empty_blob_of_somebody_else() {
    let azurite = Azurite::start();
    let (one, _) = azurite.ledger("made-up");
    one.lock(&owner()).await.unwrap();
    let (other, wire) = azurite.ledger("made-up");
    let etag = {
        let me = owner();
        assert_eq!(other.lock(&me).await, Err(LockError::Held));
        assert_eq!(other.write(&me, &first_ledger(), None).await, Err(WriteError::Conflict));
        wire.take();
        azurite.raw("made-up").break_lease(None).await.unwrap();
        while other.lock(&me).await == Err(LockError::Held) {
            let options = azure_storage_blob::models::BlobClientBreakLeaseOptions { break_period: Some(0), ..Default::default() };
            azurite.raw("made-up").break_lease(Some(options)).await.unwrap();
        }
        wire.take();
        let etag = other.write(&me, &first_ledger(), None).await.unwrap();
        assert_eq!(wire.take(), ["HEAD blob", "PUT blob"]);
        etag
    };
    assert_eq!(one.read().await.unwrap().unwrap().etag, etag);
}

/// A write whose reply does not come is sent once; what became of it is read.
#[tokio::test]
async fn an_unclear_write_is_read_back() {
    let azurite = Azurite::start();
    let (ledger, wire) = azurite.ledger("made-up");
    let (me, mut etag) = held(&ledger).await;
    wire.take();
    for (generation, fault, landed) in [
        (2, Fault::ReplyLost, true),
        (3, Fault::ReplyIs(500), true),
        (4, Fault::ReplyIs(503), true),
        (5, Fault::ReplyIs(408), true),
        (6, Fault::ReplyIs(200), true),
        (7, BUSY, false),
    ] {
        let ledger_now = Ledger { generation, ..first_ledger() };
        wire.plan([fault.clone()]);
        assert_eq!(ledger.write(&me, &ledger_now, Some(&etag)).await, Err(WriteError::Unclear), "{fault:?}");
        assert_eq!(wire.take(), ["PUT blob"], "sent once");
        let found = ledger.read().await.unwrap().unwrap();
        assert_eq!((found.ledger == ledger_now, found.etag != etag), (landed, landed), "{fault:?}");
        etag = found.etag;
        wire.take();
    }
    // Where nothing left, or was refused, the outcome is known.
    for fault in [Fault::NoConnection, Fault::Answer(403, &[("x-ms-error-code", "AuthorizationPermissionMismatch")], "<canary/>")] {
        wire.plan([fault.clone()]);
        let Err(WriteError::NotWritable(text)) = ledger.write(&me, &second(), Some(&etag)).await else { panic!("{fault:?}") };
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(wire.take(), ["PUT blob"], "sent once");
    }
    ledger.write(&me, &second(), Some(&etag)).await.unwrap();
}

/// As with the first ledger: it was written, and the adapter must not think that the blob is still empty.
#[tokio::test]
async fn an_unclear_first_write_is_not_written_over() {
    let azurite = Azurite::start();
    let (ledger, wire) = azurite.ledger("made-up");
    let me = owner();
    ledger.lock(&me).await.unwrap();
    wire.plan([Fault::ReplyLost]);
    assert_eq!(ledger.write(&me, &first_ledger(), None).await, Err(WriteError::Unclear));
    assert_eq!(ledger.write(&me, &second(), None).await, Err(WriteError::Conflict));
    assert_eq!(ledger.read().await.unwrap().unwrap().ledger, first_ledger());
}

#[tokio::test]
async fn a_lock_whose_reply_was_lost_is_taken_by_the_same_owner_again() {
    let azurite = Azurite::start();
    let (ledger, wire) = azurite.ledger("made-up");
    let (me, you) = (owner(), owner());
    ledger.lock(&you).await.unwrap();
    ledger.unlock(&you).await;
    wire.take();
    wire.plan([Fault::ReplyLost]);
    assert!(matches!(ledger.lock(&me).await, Err(LockError::Unavailable(_))));
    assert_eq!(wire.take(), ["PUT lease acquire 60"], "sent once");
    assert_eq!(ledger.lock(&you).await, Err(LockError::Held));
    assert_eq!(ledger.lock(&me).await, Ok(()));

    wire.plan([Fault::ReplyLost]);
    assert!(matches!(ledger.renew(&me).await, Err(LockError::Unavailable(_))));
    assert_eq!(ledger.renew(&me).await, Ok(()));
}

#[tokio::test]
async fn a_read_is_tried_again() {
    let azurite = Azurite::start();
    let (ledger, wire) = azurite.ledger("made-up");
    held(&ledger).await;
    wire.take();
    let since = Instant::now();
    wire.plan([Fault::ReplyLost, BUSY]);
    assert_eq!(ledger.read().await.unwrap().unwrap().ledger, first_ledger());
    assert_eq!(wire.take(), ["GET blob", "GET blob", "GET blob"]);
    assert!(since.elapsed() < Duration::from_secs(5), "an hour of Retry-After is not waited for");
}

#[tokio::test]
async fn a_damaged_ledger_is_named_and_left_as_it_is() {
    let azurite = Azurite::start();
    let (ledger, _) = azurite.ledger("made-up");
    let me = owner();
    ledger.lock(&owner()).await.unwrap();
    let large = vec![b' '; (1 << 20) + 1];
    let bodies: [&[u8]; 5] = [b"canary", b"{\"v\":9,\"canary\":1}", b"{\"v\":1,\"canary\":1}", b"\xff\xfecanary", &large];
    for (number, body) in bodies.into_iter().enumerate() {
        let secret = format!("made-up-damaged-{number}");
        let raw = azurite.raw(&secret);
        raw.upload(RequestContent::from(body.to_vec()), None).await.unwrap();
        let (ledger, _) = azurite.ledger(&secret);
        let Err(LedgerError::Damaged(text)) = ledger.read().await else { panic!("{number}") };
        assert!(text.contains(&secret) && !text.contains("canary"), "{text}");
        ledger.lock(&me).await.unwrap();
        assert_eq!(ledger.write(&me, &first_ledger(), None).await, Err(WriteError::Conflict));
        ledger.unlock(&me).await;
        let found = raw.download(None).await.unwrap().body.collect().await.unwrap();
        assert_eq!(found.as_ref(), body);
    }
}

#[tokio::test]
async fn a_service_that_is_away_is_said_quickly() {
    let mut azurite = Azurite::start();
    let (ledger, wire) = azurite.ledger("made-up");
    let (me, etag) = held(&ledger).await;
    azurite.stop();
    wire.take();
    let since = Instant::now();
    let Err(LedgerError::Unavailable(text)) = ledger.read().await else { panic!() };
    assert!(text.contains("no connection; check the account's name in AzureWebJobsStorage"), "{text}");
    assert!(matches!(ledger.lock(&owner()).await, Err(LockError::Unavailable(_))));
    assert!(matches!(ledger.renew(&me).await, Err(LockError::Unavailable(_))));
    ledger.unlock(&me).await;
    assert!(matches!(ledger.write(&me, &second(), Some(&etag)).await, Err(WriteError::NotWritable(_))));
    assert!(matches!(ledger.write(&me, &second(), None).await, Err(WriteError::NotWritable(_))));
    let took = since.elapsed();
    println!("measured: six calls to a service that is away took {:.2} s", took.as_secs_f64());
    assert!(took < Duration::from_secs(6), "{took:?}");
}
