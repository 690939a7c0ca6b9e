//! What the broker needs from the world: the contracts, which the adapters keep and the tests' doubles as well.
//!
//! No error carries a text from outside, so none can carry a secret.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::token::{AttemptId, CodeReply, Credential, Ledger, LockId, Person, Reply, Secret, VersionId};

/// Exact's token service.
#[async_trait]
pub trait TokenEndpoint: Send + Sync {
    /// Sends one refresh request: exactly one, with no retry and no redirect below this line. Takes at most 100 s and then says
    /// [`Unclear::TimedOut`](crate::token::reply::Unclear::TimedOut). Never fails otherwise than by a [`Reply`].
    async fn refresh(&self, refresh_token: &Secret) -> Reply;
}

/// What a consent needs of Exact.
#[async_trait]
pub trait ConsentEndpoint: Send + Sync {
    /// Exact's log-in page for this app; `state` comes back with the browser.
    fn authorize_url(&self, redirect_uri: &str, state: &str) -> String;

    /// Exchanges a code, under the promises of [`TokenEndpoint::refresh`]. `redirect_uri` is the one that the code was got with.
    async fn exchange(&self, code: &Secret, redirect_uri: &str) -> CodeReply;

    /// Whose permissions an access token carries. None: Exact did not say within 10 s, or not so that it can be read.
    async fn me(&self, access_token: &Secret) -> Option<Person>;
}

/// Exact's token service under a magnifying glass, for an experiment with a chain that nobody needs ([`live`](crate::live)).
#[async_trait]
pub trait TokenProbe: Send + Sync {
    /// [`TokenEndpoint::refresh`], with what else can be said of the reply.
    async fn probe(&self, refresh_token: &Secret) -> Probed;

    /// [`ConsentEndpoint::exchange`], likewise.
    async fn probe_code(&self, code: &Secret, redirect_uri: &str) -> Probed;
}

/// A reply, and what it looked like.
#[derive(Clone, Debug)]
pub struct Probed {
    /// What it means. A code that was turned down is [`Unclear`](crate::token::reply::Unclear) here.
    pub reply: Reply,
    /// None where none came.
    pub looks: Option<Looks>,
}

/// What a reply looked like, without anything that could be a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// The status code.
    pub status: u16,
    /// Names of all headers, each with its value where that is one of a few known words or a number, else with its length.
    pub headers: Vec<(String, String)>,
    /// In words.
    pub body: String,
    /// Names of the JSON object's members, each with its type and its length, or its value as for a header.
    pub members: Vec<(String, String)>,
}

/// Exact's site, for who wants to know whether it is there and whom it knows. One request each, no redirect followed, nothing spent.
#[async_trait]
pub trait ExactSite: Send + Sync {
    /// Asks for something small that everybody may have.
    async fn knock(&self) -> Result<Knocked, NoSite>;

    /// Opens the log-in page as a browser would that comes from this app, and goes no further.
    async fn open_log_in(&self, redirect_uri: &str) -> Result<LogIn, NoSite>;
}

/// What [`ExactSite::knock`] heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knocked {
    /// Of the reply; any shows that somebody is there.
    pub status: u16,
    /// What time it was there, to the second.
    pub date: Option<Timestamp>,
}

/// What [`ExactSite::open_log_in`] led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogIn {
    /// A person could log in now.
    Shown,
    /// This site knows no such client id.
    UnknownClient,
    /// It is not the redirect URI that the app was registered with, or not this app.
    NotThisApp,
    /// No app could have this redirect URI.
    NoRedirectUri,
    /// Something else, with this status.
    Odd(u16),
}

/// Why Exact's site said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSite {
    /// Name, connection or TLS.
    #[error("no connection to Exact Online (name, connection or TLS)")]
    Unreachable,
    /// The connection was lost.
    #[error("the connection to Exact Online was lost before it answered")]
    Lost,
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
