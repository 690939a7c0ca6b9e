//! The ledger and its lock, by the port's contract.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{EMBEDDED, ENDING, EmbeddedStore, Inner, file};
use crate::ports::{Etag, LedgerError, LedgerStore, LockError, LockOwner, Snapshot, WriteError};
use crate::token::{Ledger, LockId};

#[async_trait]
impl LedgerStore for EmbeddedStore {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn lock_id(&self) -> LockId {
        LockId(EMBEDDED.to_owned())
    }

    async fn read(&self) -> Result<Option<Snapshot>, LedgerError> {
        let content = self.blocking(Inner::load).await.ok_or_else(|| LedgerError::Unavailable(ENDING.to_owned()))?;
        let content = content.map_err(|error| match error {
            file::ReadError::Unavailable(text) => LedgerError::Unavailable(text),
            file::ReadError::Damaged(text) => LedgerError::Damaged(text),
        })?;
        Ok(content.and_then(|content| content.ledger).map(|ledger| Snapshot { etag: etag(&ledger), ledger }))
    }

    /// Held by another owner in this process it is [`LockError::Held`] too, until that owner has not renewed it for 60 s.
    async fn lock(&self, owner: &LockOwner) -> Result<(), LockError> {
        let owner = owner.clone();
        self.blocking(move |inner| inner.lock(&owner)).await.unwrap_or_else(|| Err(LockError::Unavailable(ENDING.to_owned())))
    }

    async fn renew(&self, owner: &LockOwner) -> Result<(), LockError> {
        let owner = owner.clone();
        self.blocking(move |inner| inner.renew(&owner)).await.unwrap_or_else(|| Err(LockError::Unavailable(ENDING.to_owned())))
    }

    async fn unlock(&self, owner: &LockOwner) {
        let owner = owner.clone();
        self.blocking(move |inner| inner.unlock(&owner)).await;
    }

    async fn write(&self, owner: &LockOwner, ledger: &Ledger, over: Option<&Etag>) -> Result<Etag, WriteError> {
        let (owner, ledger, over) = (owner.clone(), ledger.clone(), over.cloned());
        self.blocking(move |inner| inner.write_ledger(&owner, ledger, over.as_ref())).await.unwrap_or(Err(WriteError::Unclear))
    }
}

impl Inner {
    fn write_ledger(&self, owner: &LockOwner, mut ledger: Ledger, over: Option<&Etag>) -> Result<Etag, WriteError> {
        let held = self.held();
        let lock = held.as_ref().filter(|lock| lock.owner == *owner && lock.is_valid()).ok_or(WriteError::Conflict)?;
        let mut content = file::read(&lock.place).map_err(|error| WriteError::NotWritable(error.into_text()))?.unwrap_or_default();
        if content.ledger.as_ref().map(etag).as_ref() != over {
            return Err(WriteError::Conflict);
        }
        ledger.generation = content.ledger.map_or(0, |stored| stored.generation) + 1;
        let written = etag(&ledger);
        content.ledger = Some(ledger);
        match file::replace(&lock.place, &content) {
            Ok(()) => Ok(written),
            Err(file::ReplaceError::NotWritable(text)) => Err(WriteError::NotWritable(text)),
            Err(file::ReplaceError::Unclear(text)) => {
                tracing::warn!(problem = text, "the ledger may or may not have been written");
                Err(WriteError::Unclear)
            }
        }
    }
}

fn etag(ledger: &Ledger) -> Etag {
    Etag(ledger.generation.to_string())
}
