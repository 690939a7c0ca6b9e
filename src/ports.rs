//! What the broker needs from the world: the contracts, which the adapters keep and the tests' doubles as well.
//!
//! No error carries a text from outside, so none can carry a secret.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::token::{AttemptId, Credential, Ledger, LockId, Reply, Secret, VersionId};

/// Exact's token service.
#[async_trait]
pub trait TokenEndpoint: Send + Sync {
    /// Sends one refresh request: exactly one, with no retry and no redirect below this line. Takes at most 100 s and then says
    /// [`Unclear::TimedOut`](crate::token::reply::Unclear::TimedOut). Never fails otherwise than by a [`Reply`].
    async fn refresh(&self, refresh_token: &Secret) -> Reply;
}

/// Where credentials are kept: immutable versions of one secret. Nothing is ever deleted or disabled.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Adds a version. [`VaultError::Unclear`] means that it may be there, or may still arrive: look with [`list`](Self::list) before another try.
    async fn put(&self, credential: &Credential) -> Result<VersionId, VaultError>;

    /// Reads one version.
    async fn get(&self, version: &VersionId) -> Result<Credential, VaultError>;

    /// All versions, in no particular order.
    async fn list(&self) -> Result<Vec<VersionEntry>, VaultError>;

    /// Proves that a version could be added now, without adding one: a harmless write to `version`.
    async fn prove_writable(&self, version: &VersionId) -> Result<(), VaultError>;

    /// Proves that a version could be added where there is none yet: one harmless write under a name of its own, which no list shows. For the
    /// embedded store a real rewrite, under the lock. [`prove_writable`](Self::prove_writable) is another right in Key Vault, and needs a version.
    async fn prove_first_write(&self) -> Result<(), VaultError>;

    /// Who writes, as the vault sees it. An identity that has never written a version proves its right to by re-saving the head.
    fn writer(&self) -> &str;
}

/// One line of [`Vault::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionEntry {
    /// To read it by.
    pub version: VersionId,
    /// When the vault got it. A write that timed out can land late, so this is no order of grants.
    pub created: Timestamp,
    /// The attempt that brought it, from the version's own metadata. None if it has none of ours.
    pub attempt: Option<AttemptId>,
}

/// What can go wrong with the vault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Nothing was written or read.
    #[error("the token store is not reachable: {0}")]
    Unavailable(String),
    /// Writing is not allowed or not possible; nothing was written.
    #[error("the token store is not writable: {0}")]
    NotWritable(String),
    /// The write may have taken effect, or may yet.
    #[error("the token store did not confirm the write")]
    Unclear,
    /// There is no such version.
    #[error("the token store has no version {0}")]
    NotFound(VersionId),
    /// The version is there and is not what this program writes. It is left as it is.
    #[error("the stored credential cannot be read: {0}")]
    Damaged(String),
}

/// The ledger, and the lock that guards it: one blob and its lease, or one file and a lock file.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Storage time: the local clock, corrected by what the store's own clock said last. All stored times are of this kind.
    fn now(&self) -> Timestamp;

    /// Names the lock. Stored with each credential.
    fn lock_id(&self) -> LockId;

    /// Reads the ledger; None if there is none.
    async fn read(&self) -> Result<Option<Snapshot>, LedgerError>;

    /// Takes the lock for 60 s. `owner` is an own new name, so that a repeated call whose first reply was lost succeeds.
    async fn lock(&self, owner: &LockOwner) -> Result<(), LockError>;

    /// Takes it for another 60 s. [`LockError::Held`] means that it was lost meanwhile.
    async fn renew(&self, owner: &LockOwner) -> Result<(), LockError>;

    /// Gives it back. A failure is harmless: it ends by itself.
    async fn unlock(&self, owner: &LockOwner);

    /// Writes the ledger under the lock and over what was read: `over` is the [`Snapshot::etag`], None where there was no ledger. The caller has
    /// raised [`Ledger::generation`].
    async fn write(&self, owner: &LockOwner, ledger: &Ledger, over: Option<&Etag>) -> Result<Etag, WriteError>;
}

/// A ledger as it was read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The content.
    pub ledger: Ledger,
    /// Names this state of it.
    pub etag: Etag,
}

/// Names one state of the stored ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(pub String);

/// Names one holder of the lock; a random UUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOwner(pub String);

/// What can go wrong with reading the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// It could not be reached.
    #[error("the ledger is not reachable: {0}")]
    Unavailable(String),
    /// It is there and is not what this program writes. It is left as it is.
    #[error("the ledger cannot be read: {0}")]
    Damaged(String),
}

/// What can go wrong with the lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("another process holds the lock")]
    Held,
    /// It is not known who has it.
    #[error("the lock is not reachable: {0}")]
    Unavailable(String),
}

/// What can go wrong with writing the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The stored ledger is not the one that was read (412), or the lock was lost; nothing was written.
    #[error("the ledger was changed by another process")]
    Conflict,
    /// Nothing was written.
    #[error("the ledger is not writable: {0}")]
    NotWritable(String),
    /// The write may have taken effect: read back.
    #[error("the ledger's store did not confirm the write")]
    Unclear,
}

/// Time, for what is not stored: waiting, and how long something took.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall-clock time. Can jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment in the past. Never goes back; may stand still while the machine sleeps.
    fn monotonic(&self) -> Duration;

    /// Waits.
    async fn sleep(&self, duration: Duration);
}
