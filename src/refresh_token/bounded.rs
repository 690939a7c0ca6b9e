//! Every call of the store ends: after 30 s at the latest it is an error, and after 130 s a list, which is one request per 25 versions. What an
//! adapter or its library waits for beyond that (an identity endpoint that is away, a `Retry-After` of an hour) must not make a grant wait in memory
//! until the host kills the process.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::ports::{Clock, Etag, LedgerError, LedgerStore, LockError, LockOwner, Snapshot, Vault, VaultError, VersionEntry, WriteError};
use crate::token::{Credential, Ledger, LockId, VersionId};

/// The longest that one call of vault or ledger may take.
pub const STORE_CALL: Duration = Duration::from_secs(30);
/// The longest that a list of the versions may take: nothing is ever deleted, so there are more of them every day.
pub const LIST_CALL: Duration = Duration::from_secs(130);

/// A port whose calls end.
pub(super) struct Bounded<P: ?Sized> {
    port: Arc<P>,
    clock: Arc<dyn Clock>,
}

impl<P: ?Sized> Bounded<P> {
    pub(super) fn new(port: Arc<P>, clock: &Arc<dyn Clock>) -> Self {
        Self { port, clock: Arc::clone(clock) }
    }

    async fn within<T, E>(&self, call: impl Future<Output = Result<T, E>>, late: impl FnOnce() -> E) -> Result<T, E> {
        self.within_at_most(STORE_CALL, call, late).await
    }

    async fn within_at_most<T, E>(&self, most: Duration, call: impl Future<Output = Result<T, E>>, late: impl FnOnce() -> E) -> Result<T, E> {
        tokio::select! {
            biased;
            result = call => result,
            () = self.clock.sleep(most) => Err(late()),
        }
    }
}

fn silent(waited: Duration) -> String {
    format!("no answer within {} s", waited.as_secs())
}

#[async_trait]
impl Vault for Bounded<dyn Vault> {
    async fn put(&self, credential: &Credential) -> Result<VersionId, VaultError> {
        self.within(self.port.put(credential), || VaultError::Unclear).await
    }

    async fn get(&self, version: &VersionId) -> Result<Credential, VaultError> {
        self.within(self.port.get(version), || VaultError::Unavailable(silent(STORE_CALL))).await
    }

    async fn list(&self) -> Result<Vec<VersionEntry>, VaultError> {
        self.within_at_most(LIST_CALL, self.port.list(), || VaultError::Unavailable(silent(LIST_CALL))).await
    }

    async fn prove_writable(&self, version: &VersionId) -> Result<(), VaultError> {
        self.within(self.port.prove_writable(version), || VaultError::NotWritable(silent(STORE_CALL))).await
    }

    async fn prove_first_write(&self) -> Result<(), VaultError> {
        self.within(self.port.prove_first_write(), || VaultError::NotWritable(silent(STORE_CALL))).await
    }

    fn writer(&self) -> &str {
        self.port.writer()
    }
}

#[async_trait]
impl LedgerStore for Bounded<dyn LedgerStore> {
    fn now(&self) -> Timestamp {
        self.port.now()
    }

    fn lock_id(&self) -> LockId {
        self.port.lock_id()
    }

    async fn read(&self) -> Result<Option<Snapshot>, LedgerError> {
        self.within(self.port.read(), || LedgerError::Unavailable(silent(STORE_CALL))).await
    }

    async fn lock(&self, owner: &LockOwner) -> Result<(), LockError> {
        self.within(self.port.lock(owner), || LockError::Unavailable(silent(STORE_CALL))).await
    }

    async fn renew(&self, owner: &LockOwner) -> Result<(), LockError> {
        self.within(self.port.renew(owner), || LockError::Unavailable(silent(STORE_CALL))).await
    }

    async fn unlock(&self, owner: &LockOwner) {
        tokio::select! {
            biased;
            () = self.port.unlock(owner) => {}
            () = self.clock.sleep(STORE_CALL) => {}
        }
    }

    async fn write(&self, owner: &LockOwner, ledger: &Ledger, over: Option<&Etag>) -> Result<Etag, WriteError> {
        self.within(self.port.write(owner, ledger, over), || WriteError::Unclear).await
    }
}
