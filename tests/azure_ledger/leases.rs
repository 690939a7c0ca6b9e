//! The blob's lease: who gets it, who loses it, and what is left behind.

use std::time::Duration;

use azure_storage_blob::models::{BlobClientAcquireLeaseOptions, BlobClientBreakLeaseOptions};
use exact_token_broker::ports::{LedgerStore, LockError, LockOwner, WriteError};
use exact_token_broker::token::Ledger;
use tokio::time::Instant;

use crate::azurite::{Azurite, held};
use crate::ledger_contract::{first_ledger, owner};

/// Eight processes that start at once on an account that has no container yet.
#[tokio::test]
async fn eight_create_container_and_blob_at_once_and_one_gets_the_lock() {
    for round in 0..5 {
        let azurite = Azurite::start();
        for secret in 0..4 {
            let contenders: Vec<_> = (0..8)
                .map(|_| {
                    let (ledger, _) = azurite.ledger(&format!("made-up-{secret}"));
                    tokio::spawn(async move { ledger.lock(&owner()).await })
                })
                .collect();
            let mut got = 0;
            for contender in contenders {
                match contender.await.unwrap() {
                    Ok(()) => got += 1,
                    Err(error) => assert_eq!(error, LockError::Held, "round {round}"),
                }
            }
            assert_eq!(got, 1, "round {round}");
        }
    }
}

/// A holder that died, with a lease of 15 s instead of 60: it is waited for and then taken over, and it finds out.
#[tokio::test]
async fn a_dead_holder_is_taken_over_when_its_lease_ends() {
    let azurite = Azurite::start();
    let (ledger, _) = azurite.ledger("made-up");
    let (begin, etag) = held(&ledger).await;
    ledger.unlock(&begin).await;

    let dead = owner();
    acquire_raw(&azurite, "made-up", &dead, 15).await;
    let since = Instant::now();
    let me = owner();
    while ledger.lock(&me).await == Err(LockError::Held) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = since.elapsed();
    println!("measured: a lease of 15 s was taken over after {:.2} s", took.as_secs_f64());
    assert!((14.0..17.0).contains(&took.as_secs_f64()), "{took:?}");
    assert_eq!(ledger.renew(&dead).await, Err(LockError::Held));
    let second = Ledger { generation: 2, ..first_ledger() };
    assert_eq!(ledger.write(&dead, &second, Some(&etag)).await, Err(WriteError::Conflict));
    ledger.write(&me, &second, Some(&etag)).await.unwrap();
}

/// A holder that was frozen past the end of its lease: it cannot write, and gets the lock back only if nobody else had it.
#[tokio::test]
async fn a_lease_that_is_over_writes_nothing() {
    let azurite = Azurite::start();
    let (ledger, _) = azurite.ledger("made-up");
    let (begin, etag) = held(&ledger).await;
    ledger.unlock(&begin).await;

    let frozen = owner();
    acquire_raw(&azurite, "made-up", &frozen, 15).await;
    tokio::time::sleep(Duration::from_millis(15_500)).await;
    let second = Ledger { generation: 2, ..first_ledger() };
    assert_eq!(ledger.write(&frozen, &second, Some(&etag)).await, Err(WriteError::Conflict));
    assert_eq!(ledger.read().await.unwrap().unwrap().etag, etag);
    assert_eq!(ledger.renew(&frozen).await, Ok(()));
    ledger.write(&frozen, &second, Some(&etag)).await.unwrap();
}

/// As somebody with the portal can do it.
#[tokio::test]
async fn a_broken_lease_is_a_lost_lock() {
    let azurite = Azurite::start();
    let (ledger, _) = azurite.ledger("made-up");
    let you = owner();
    let (me, etag) = held(&ledger).await;
    break_raw(&azurite, "made-up", 30).await;
    assert_eq!(ledger.lock(&you).await, Err(LockError::Held), "while it is breaking");
    assert_eq!(ledger.renew(&me).await, Err(LockError::Held));
    break_raw(&azurite, "made-up", 0).await;
    assert_eq!(ledger.renew(&me).await, Err(LockError::Held));
    assert_eq!(ledger.write(&me, &Ledger { generation: 2, ..first_ledger() }, Some(&etag)).await, Err(WriteError::Conflict));
    assert_eq!(ledger.lock(&you).await, Ok(()));
}

#[tokio::test]
async fn a_container_that_is_deleted_under_the_holder_takes_lock_and_ledger_with_it() {
    let azurite = Azurite::start();
    let (ledger, _) = azurite.ledger("made-up");
    let (me, etag) = held(&ledger).await;
    azurite.raw_container().delete(None).await.unwrap();

    assert_eq!(ledger.renew(&me).await, Err(LockError::Held));
    assert_eq!(ledger.write(&me, &first_ledger(), Some(&etag)).await, Err(WriteError::Conflict));
    assert_eq!(ledger.write(&me, &first_ledger(), None).await, Err(WriteError::Conflict));
    assert!(ledger.read().await.unwrap().is_none());
    ledger.unlock(&me).await;

    let you = owner();
    ledger.lock(&you).await.unwrap();
    assert_eq!(ledger.write(&you, &first_ledger(), Some(&etag)).await, Err(WriteError::Conflict), "over a ledger that is gone");
    ledger.write(&you, &first_ledger(), None).await.unwrap();
}

async fn acquire_raw(azurite: &Azurite, secret: &str, owner: &LockOwner, seconds: i32) {
    let options = BlobClientAcquireLeaseOptions { proposed_lease_id: Some(owner.0.clone()), ..BlobClientAcquireLeaseOptions::default() };
    azurite.raw(secret).acquire_lease(seconds, Some(options)).await.unwrap();
}

async fn break_raw(azurite: &Azurite, secret: &str, after_seconds: i32) {
    let options = BlobClientBreakLeaseOptions { break_period: Some(after_seconds), ..BlobClientBreakLeaseOptions::default() };
    azurite.raw(secret).break_lease(Some(options)).await.unwrap();
}
