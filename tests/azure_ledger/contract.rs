//! The port's contract, asked of the blob, and of the embedded store by the same words.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use exact_token_broker::local::EmbeddedStore;

use crate::azurite::{Azurite, clock};
use crate::ledger_contract::keeps_the_contract;

#[tokio::test]
async fn the_blob_keeps_the_contract() {
    let azurite = Azurite::start();
    let count = AtomicUsize::new(0);
    keeps_the_contract(&|| {
        let secret = format!("made-up-{}", count.fetch_add(1, Ordering::SeqCst));
        (azurite.ledger(&secret).0, azurite.ledger(&secret).0)
    })
    .await;
}

#[tokio::test]
async fn the_embedded_store_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let count = AtomicUsize::new(0);
    keeps_the_contract(&|| {
        let path = folder.path().join(count.fetch_add(1, Ordering::SeqCst).to_string());
        (Arc::new(EmbeddedStore::new(&path, clock())), Arc::new(EmbeddedStore::new(&path, clock())))
    })
    .await;
}
