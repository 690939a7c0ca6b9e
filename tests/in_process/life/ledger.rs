//! The ledger and its lock as one life meets them.

use async_trait::async_trait;
use exact_token_broker::ports::{Clock, Etag, LedgerError, LedgerStore, LockError, LockOwner, Snapshot, WriteError};
use exact_token_broker::token::{Ledger, LockId};
use jiff::{SignedDuration, Timestamp};

use super::{Doubles, Got};
use crate::world::lock_id;

/// A lease of blob storage.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

fn away() -> LedgerError {
    LedgerError::Unavailable("made up".to_owned())
}

fn no_lock() -> LockError {
    LockError::Unavailable("made up".to_owned())
}

fn not_writable() -> WriteError {
    WriteError::NotWritable("made up".to_owned())
}

#[async_trait]
impl LedgerStore for Doubles {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn lock_id(&self) -> LockId {
        lock_id()
    }

    async fn read(&self) -> Result<Option<Snapshot>, LedgerError> {
        let read = self.call("ledger.read", |state, _| {
            if !state.ledger_up {
                return Err(away());
            }
            if state.ledger_damaged {
                return Err(LedgerError::Damaged("made up".to_owned()));
            }
            Ok(state.ledger.as_ref().map(|(ledger, etag)| Snapshot { ledger: ledger.clone(), etag: Etag(etag.to_string()) }))
        });
        read.await.or_away(away())
    }

    async fn lock(&self, owner: &LockOwner) -> Result<(), LockError> {
        let owner = owner.clone();
        let lock = self.call("ledger.lock", move |state, now| {
            if !state.ledger_up {
                return Err(no_lock());
            }
            match &state.lock {
                Some((holder, until)) if *holder != owner.0 && *until > now => Err(LockError::Held),
                _ => {
                    state.lock = Some((owner.0.clone(), now + LEASE));
                    Ok(())
                }
            }
        });
        lock.await.or_away(no_lock())
    }

    async fn renew(&self, owner: &LockOwner) -> Result<(), LockError> {
        let owner = owner.clone();
        let renew = self.call("ledger.renew", move |state, now| match &mut state.lock {
            // Blob storage renews a lease that has run out, as long as nobody else has taken it.
            Some((holder, until)) if *holder == owner.0 => {
                *until = now + LEASE;
                Ok(())
            }
            _ => Err(LockError::Held),
        });
        renew.await.or_away(no_lock())
    }

    async fn unlock(&self, owner: &LockOwner) {
        let owner = owner.clone();
        let unlock = self.call("ledger.unlock", move |state, _| {
            if state.lock.as_ref().is_some_and(|(holder, _)| *holder == owner.0) {
                state.lock = None;
            }
        });
        let (Got::Done(()) | Got::Failed | Got::Unconfirmed) = unlock.await;
    }

    async fn write(&self, owner: &LockOwner, ledger: &Ledger, over: Option<&Etag>) -> Result<Etag, WriteError> {
        let (owner, ledger, over) = (owner.clone(), ledger.clone(), over.cloned());
        let write = self.call("ledger.write", move |state, now| {
            if !state.ledger_up {
                return Err(not_writable());
            }
            let held = state.lock.as_ref().is_some_and(|(holder, until)| *holder == owner.0 && *until > now);
            let stored = state.ledger.as_ref().map(|(_, etag)| Etag(etag.to_string()));
            if !held || stored != over {
                return Err(WriteError::Conflict);
            }
            let etag = state.ledger.as_ref().map_or(1, |(_, etag)| etag + 1);
            state.ledger = Some((ledger, etag));
            Ok(Etag(etag.to_string()))
        });
        write.await.or(not_writable(), WriteError::Unclear)
    }
}
