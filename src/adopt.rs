//! How a chain that was kept under another lock is taken over: the app's storage was moved, and with it the blob whose lease is the lock.
//!
//! Two installations that refresh one chain under two locks lose it: each spends what the other holds. So a stored pair is used only under the lock
//! that it was got under, and a person has to say that the other one is out of use.

use std::sync::Arc;

use crate::ports::{LockError, VaultError, WriteError};
use crate::refresh_token::lease::Lease;
use crate::refresh_token::{LookError, Refresher};
use crate::token::{AttemptId, Credential, Pointer};

/// What was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The new epoch.
    pub epoch: u64,
}

/// Why nothing was taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// There is no chain.
    #[error("no refresh token is stored; there is nothing to take over")]
    NothingStored,
    /// There is nothing to do.
    #[error("the stored tokens are this installation's already")]
    OursAlready,
    /// They are another app's.
    #[error("the stored tokens belong to another client id or region than the settings name")]
    OtherApp,
    /// Another process is at work.
    #[error("another process is, or was a moment ago, at work on the tokens; try again in three minutes")]
    Locked,
    /// Nothing was changed.
    #[error(transparent)]
    Store(#[from] LookError),
    /// It may have been done or not.
    #[error("the store did not confirm it; look at the status before you try again")]
    Unclear,
}

impl Refresher {
    /// Re-saves the head under this installation's lock, in a new epoch. Nothing is sent to Exact.
    pub async fn adopt(self: &Arc<Self>) -> Result<Adopted, AdoptError> {
        let lease = self.take_lock().await.map_err(|error| match error {
            LockError::Held => AdoptError::Locked,
            LockError::Unavailable(why) => LookError::Unavailable(why).into(),
        })?;
        let adopted = self.adopt_under_lock(&lease).await;
        lease.release().await;
        adopted
    }

    async fn adopt_under_lock(&self, lease: &Lease) -> Result<Adopted, AdoptError> {
        let (mut ledger, etag, highest_epoch) = self.stored_ledger().await?;
        // A ledger that was copied along with the storage may tell of a request whose process is still waiting, or of one that has stored its grant.
        if ledger.in_quarantine(self.ledger.now()).next().is_some() {
            return Err(AdoptError::Locked);
        }
        self.take_over_found(&mut ledger).await?;
        let Some((_, stored)) = self.read_head(&ledger).await? else { return Err(AdoptError::NothingStored) };
        if !stored.chain.same_app(&self.policy.chain) {
            return Err(AdoptError::OtherApp);
        }
        let ours = self.ledger.lock_id();
        if stored.lock_id == ours && ledger.lock_id == ours {
            return Err(AdoptError::OursAlready);
        }
        let attempt = AttemptId(uuid::Uuid::new_v4().to_string());
        let credential = Credential { attempt, epoch: highest_epoch + 1, lock_id: ours.clone(), ..stored.as_ref().clone() };
        let version = match self.vault.put(&credential).await {
            Ok(version) => version,
            Err(VaultError::Unclear) => return Err(AdoptError::Unclear),
            Err(problem) => return Err(LookError::from(problem).into()),
        };
        ledger.relocked(Pointer::to(version, &credential), ours, self.vault.writer());
        ledger.generation += 1;
        match self.ledger.write(lease.owner(), &ledger, etag.as_ref()).await {
            Ok(_) => Ok(Adopted { epoch: credential.epoch }),
            Err(WriteError::Conflict) => Err(AdoptError::Locked),
            Err(WriteError::NotWritable(why)) => Err(LookError::Unavailable(why).into()),
            Err(WriteError::Unclear) => Err(AdoptError::Unclear),
        }
    }
}
