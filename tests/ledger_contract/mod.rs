//! What the port `LedgerStore` promises, asked of every adapter and of the doubles that stand for one: two handles are two processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use exact_token_broker::ports::{LedgerStore, LockError, LockOwner, Snapshot, WriteError};
use exact_token_broker::token::{Ledger, LockId};

pub(crate) type Store = Arc<dyn LedgerStore>;

/// Two handles to one new, empty store.
type Fresh<'a> = &'a dyn Fn() -> (Store, Store);

pub(crate) async fn keeps_the_contract(fresh: Fresh<'_>) {
    nothing_is_there_at_first(fresh()).await;
    what_one_writes_the_other_reads(fresh()).await;
    a_write_is_over_what_was_read(fresh()).await;
    the_lock_is_one_owners(fresh()).await;
    nobody_writes_without_the_lock(fresh()).await;
    who_lost_the_lock_is_told(fresh()).await;
    never_two_inside(fresh(), 8, 10).await;
}

/// A lock's owner must be a UUID.
pub(crate) fn owner() -> LockOwner {
    LockOwner(uuid::Uuid::new_v4().to_string())
}

pub(crate) fn first_ledger() -> Ledger {
    Ledger { generation: 1, ..Ledger::begin(LockId("made-up-lock".to_owned()), "made-up-writer") }
}

async fn begun(store: &Store, owner: &LockOwner) -> Snapshot {
    store.lock(owner).await.unwrap();
    store.write(owner, &first_ledger(), None).await.unwrap();
    store.read().await.unwrap().unwrap()
}

fn next(snapshot: &Snapshot, epoch: u64) -> Ledger {
    Ledger { epoch, generation: snapshot.ledger.generation + 1, ..snapshot.ledger.clone() }
}

async fn nothing_is_there_at_first((one, other): (Store, Store)) {
    assert!(one.read().await.unwrap().is_none());
    assert_eq!(one.lock_id(), other.lock_id());
    assert!(one.now().duration_since(other.now()).abs().as_secs() < 2);
    // Taking the lock makes no ledger.
    one.lock(&owner()).await.unwrap();
    assert!(one.read().await.unwrap().is_none());
    assert!(other.read().await.unwrap().is_none());
}

async fn what_one_writes_the_other_reads((one, other): (Store, Store)) {
    let me = owner();
    one.lock(&me).await.unwrap();
    let etag = one.write(&me, &first_ledger(), None).await.unwrap();
    let snapshot = other.read().await.unwrap().unwrap();
    assert_eq!((&snapshot.ledger, &snapshot.etag), (&first_ledger(), &etag));

    let second = next(&snapshot, 7);
    let etag = one.write(&me, &second, Some(&etag)).await.unwrap();
    assert_ne!(etag, snapshot.etag);
    let snapshot = other.read().await.unwrap().unwrap();
    assert_eq!((snapshot.ledger, snapshot.etag), (second, etag));
}

async fn a_write_is_over_what_was_read((one, other): (Store, Store)) {
    let (me, you) = (owner(), owner());
    let old = begun(&one, &me).await;
    let new = one.write(&me, &next(&old, 1), Some(&old.etag)).await.unwrap();
    assert_eq!(one.write(&me, &next(&old, 2), Some(&old.etag)).await, Err(WriteError::Conflict));
    assert_eq!(one.write(&me, &next(&old, 3), None).await, Err(WriteError::Conflict));

    // Another holder, with the lock and what it read before it had it.
    let read_too_early = other.read().await.unwrap().unwrap();
    one.write(&me, &next(&read_too_early, 4), Some(&new)).await.unwrap();
    one.unlock(&me).await;
    other.lock(&you).await.unwrap();
    assert_eq!(other.write(&you, &next(&read_too_early, 5), Some(&read_too_early.etag)).await, Err(WriteError::Conflict));
    assert_eq!(other.write(&you, &next(&read_too_early, 6), None).await, Err(WriteError::Conflict));
    assert_eq!(other.read().await.unwrap().unwrap().ledger.epoch, 4);
}

async fn the_lock_is_one_owners((one, other): (Store, Store)) {
    let (me, you) = (owner(), owner());
    one.lock(&me).await.unwrap();
    assert_eq!(other.lock(&you).await, Err(LockError::Held));
    assert_eq!(one.lock(&owner()).await, Err(LockError::Held));
    // A repeated call whose first reply was lost.
    assert_eq!(one.lock(&me).await, Ok(()));
    assert_eq!(one.renew(&me).await, Ok(()));
    // Nobody gives back what another has.
    other.unlock(&you).await;
    one.unlock(&you).await;
    assert_eq!(other.lock(&you).await, Err(LockError::Held));
    one.unlock(&me).await;
    one.unlock(&me).await;
    assert_eq!(other.lock(&you).await, Ok(()));
    assert_eq!(one.lock(&me).await, Err(LockError::Held));
}

async fn nobody_writes_without_the_lock((one, other): (Store, Store)) {
    let (me, you) = (owner(), owner());
    assert_eq!(one.write(&me, &first_ledger(), None).await, Err(WriteError::Conflict));
    let old = begun(&one, &me).await;
    assert_eq!(one.write(&you, &next(&old, 1), Some(&old.etag)).await, Err(WriteError::Conflict));
    assert_eq!(other.write(&you, &next(&old, 2), Some(&old.etag)).await, Err(WriteError::Conflict));
    one.unlock(&me).await;
    assert_eq!(one.write(&me, &next(&old, 3), Some(&old.etag)).await, Err(WriteError::Conflict));
    assert_eq!(other.read().await.unwrap().unwrap().etag, old.etag);
}

async fn who_lost_the_lock_is_told((one, other): (Store, Store)) {
    let (me, you) = (owner(), owner());
    assert_eq!(one.renew(&me).await, Err(LockError::Held));
    let old = begun(&one, &me).await;
    one.unlock(&me).await;
    other.lock(&you).await.unwrap();
    assert_eq!(one.renew(&me).await, Err(LockError::Held));
    assert_eq!(one.write(&me, &next(&old, 1), Some(&old.etag)).await, Err(WriteError::Conflict));
    assert_eq!(other.renew(&you).await, Ok(()));
    other.write(&you, &next(&old, 2), Some(&old.etag)).await.unwrap();
}

/// Many at once, half of them through each handle: everyone gets in, one at a time, and no write is lost.
async fn never_two_inside((one, other): (Store, Store), contenders: usize, rounds: usize) {
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks = (0..contenders).map(|task| {
        let store = Arc::clone(if task % 2 == 0 { &one } else { &other });
        let inside = Arc::clone(&inside);
        tokio::spawn(async move {
            for _ in 0..rounds {
                let me = owner();
                loop {
                    match store.lock(&me).await {
                        Ok(()) => break,
                        Err(LockError::Held) => tokio::time::sleep(Duration::from_millis(1)).await,
                        Err(error) => panic!("{error}"),
                    }
                }
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                let found = store.read().await.unwrap();
                let ledger = found.as_ref().map_or_else(first_ledger, |found| next(found, 0));
                store.write(&me, &ledger, found.as_ref().map(|found| &found.etag)).await.unwrap();
                assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                store.unlock(&me).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(one.read().await.unwrap().unwrap().ledger.generation, (contenders * rounds) as u64);
}
