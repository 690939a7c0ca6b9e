//! The refresh: how a token chain is kept alive without ever being lost.
//!
//! [`pass`] is the runbook of one refresh. [`tick`] is what the timer does with it. [`memory`] is what this process knows between the two,
//! [`lease`] the lock that is kept alive meanwhile, [`bounded`] why no call hangs, [`single_flight`] how callers share one piece of work, [`ending`] what
//! a person hears before a refresh token dies.

pub mod bounded;
pub mod ending;
pub mod lease;
pub mod memory;
pub mod pass;
pub mod single_flight;
pub mod tick;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use self::bounded::{Bounded, LIST_CALL, STORE_CALL};
use self::lease::{Lease, Unanswered};
use self::memory::{Memory, Unsaved, View};
use self::single_flight::SingleFlight;
use crate::ports::{Clock, Etag, LedgerError, LedgerStore, LockError, Snapshot, TokenEndpoint, Vault, VaultError};
use crate::token::consent::UNCONFIRMED;
use crate::token::ledger::FailureKind;
use crate::token::rotation::Landed;
use crate::token::schedule::{Answer, Mode, Policy, Wait, Why, answer};
use crate::token::{Credential, Ledger, Pointer, VersionId};

pub use tick::Tick;

/// How long one pass may take in all.
pub const PASS: Duration = Duration::from_secs(400);
/// No request is begun with less than this left of the pass or of the tick: to send, to answer, to save, and to spare.
pub const REQUEST_NEEDS: Duration = Duration::from_secs(190);
/// How many of the latest versions are read where the ledger does not say which one counts.
const LATEST_VERSIONS: usize = 8;
/// How often they are read while the store does not say which one counts.
const LATEST_AGAIN_AFTER: Duration = Duration::from_mins(1);

const _: () = assert!(REQUEST_NEEDS.as_secs() > crate::token::ledger::QUARANTINE.as_secs().unsigned_abs());
/// Before a request: the lock, the ledger, and where an attempt is open a list of all versions. However long these take, there is time to send.
const BEFORE_A_REQUEST: Duration = Duration::from_secs(2 * STORE_CALL.as_secs() + LIST_CALL.as_secs());

const _: () = assert!(PASS.as_secs() >= BEFORE_A_REQUEST.as_secs() + REQUEST_NEEDS.as_secs());

/// One chain and all that is needed to keep it alive. Shared by the timer, the callers and the command line of one process.
pub struct Refresher {
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) ledger: Arc<dyn LedgerStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: Policy,
    pub(crate) memory: Memory,
    consent_url: Option<String>,
    looks: SingleFlight<Result<(), LookError>>,
    passes: SingleFlight<Outcome>,
    unanswered: Unanswered,
}

/// How one pass ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new pair is stored, or one that an earlier process had stored was found.
    Refreshed,
    /// Nothing was to be done.
    NotDue {
        /// When that changes.
        until: Timestamp,
        /// Why.
        why: Wait,
    },
    /// A person is needed.
    NeedsConsent(Why),
    /// A request was made or prepared and brought no grant. What follows from it stands in the ledger.
    Failed(FailureKind),
    /// Another process held the lock for as long as this pass could wait.
    Busy,
    /// A new pair was granted and could not be stored yet: it is served from memory, and the next invocation saves it first.
    Unsaved(String),
    /// Nothing could be learnt or recorded; nothing was sent.
    StoreFailed(LookError),
    /// The pass ended abnormally. A defect; the next pass goes on from what is stored.
    Crashed,
}

/// What [`Refresher::take_over_found`] made of the ledger.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Anything.
    pub(crate) changed: bool,
    /// The new head.
    pub(crate) head: Option<(VersionId, Arc<Credential>)>,
    /// A consent that has to be confirmed now.
    pub(crate) pending: bool,
}

/// Why the store could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// Passing, as far as one can tell.
    #[error("{0}")]
    Unavailable(String),
    /// What is stored is not what this program writes; a person has to look.
    #[error("{0}")]
    Damaged(String),
}

impl Refresher {
    /// Wires one chain.
    #[must_use]
    pub fn new(endpoint: Arc<dyn TokenEndpoint>, vault: Arc<dyn Vault>, ledger: Arc<dyn LedgerStore>, clock: Arc<dyn Clock>, policy: Policy) -> Self {
        let vault = Arc::new(Bounded::new(vault, &clock));
        let ledger = Arc::new(Bounded::new(ledger, &clock));
        let (memory, looks, passes) = (Memory::default(), SingleFlight::default(), SingleFlight::default());
        Self { endpoint, vault, ledger, clock, policy, memory, consent_url: None, looks, passes, unanswered: Unanswered::default() }
    }

    /// Takes the lock once. Waiting for it is the caller's business.
    pub(crate) async fn take_lock(&self) -> Result<Lease, LockError> {
        Lease::take(&self.ledger, &self.clock, &self.unanswered).await
    }

    /// Runs a pass, or joins the one that is running. It is an owned task: a caller that goes away does not end it.
    pub async fn pass(self: &Arc<Self>, mode: Mode, latest_end: Duration) -> Outcome {
        let this = Arc::clone(self);
        let end = latest_end.min(self.clock.monotonic() + PASS);
        self.passes.run(async move { pass::run(&this, mode, end).await }).await.unwrap_or(Outcome::Crashed)
    }

    /// Waits until no pass is running: a process that ends in the middle of one leaves work to its successor.
    pub async fn finish(&self) {
        self.passes.idle().await;
    }

    /// Reads ledger and head into memory, or joins whoever is reading.
    pub async fn look(self: &Arc<Self>) -> Result<(), LookError> {
        let this = Arc::clone(self);
        let looked = self.looks.run(async move { this.look_alone().await }).await;
        looked.unwrap_or_else(|| Err(LookError::Unavailable("reading the store ended abnormally".to_owned())))
    }

    /// What this process knows now.
    #[must_use]
    pub fn view(&self) -> View {
        self.memory.view(self.ledger.now(), self.clock.monotonic())
    }

    /// The grant that is not stored yet, if there is one.
    #[must_use]
    pub fn unsaved(&self) -> Option<Unsaved> {
        self.memory.unsaved()
    }

    async fn look_alone(&self) -> Result<(), LookError> {
        let read = self.ledger.read().await;
        let unread = read.is_err();
        let looked = match read {
            Ok(snapshot) => self.look_at(snapshot).await,
            Err(error) => Err(error.into()),
        };
        // A vault that was away a moment ago is not asked for more.
        if unread || matches!(looked, Err(LookError::Damaged(_))) {
            self.serve_latest_version().await;
        }
        looked
    }

    /// Takes over what the ledger names; without a ledger, what it would be rebuilt to.
    async fn look_at(&self, snapshot: Option<Snapshot>) -> Result<(), LookError> {
        if let Some(snapshot) = snapshot {
            let head = self.read_head(&snapshot.ledger).await?;
            self.learn(snapshot.ledger, head, false);
        } else {
            let versions = self.latest_versions().await?;
            let lost = !versions.is_empty();
            let empty = Ledger::begin(self.ledger.lock_id(), self.vault.writer());
            let ledger = if lost { Ledger::rebuild(versions.clone(), self.ledger.now(), empty) } else { empty };
            let head = ledger.head.as_ref().and_then(|head| versions.into_iter().find(|(version, _)| *version == head.version));
            let head = head.map(|(version, credential)| (version, Arc::new(credential)));
            self.learn(ledger, head, lost);
        }
        Ok(())
    }

    /// The version that a ledger names, from memory where it is known: versions never change.
    pub(crate) async fn read_head(&self, ledger: &Ledger) -> Result<Option<(VersionId, Arc<Credential>)>, LookError> {
        let Some(head @ Pointer { version, .. }) = &ledger.head else { return Ok(None) };
        let credential = match self.memory.credential(version) {
            Some(known) => known,
            None => match self.vault.get(version).await {
                Ok(credential) => Arc::new(credential),
                Err(VaultError::NotFound(version)) => return Err(LookError::Damaged(missing_head(&version))),
                Err(error) => return Err(error.into()),
            },
        };
        Ok(Some((version.clone(), credential.as_head(head))))
    }

    /// The ledger as it is stored, or as it comes out of the vault's versions where it is gone; and the highest epoch that either knows. For use under
    /// the lock.
    pub(crate) async fn stored_ledger(&self) -> Result<(Ledger, Option<Etag>, u64), LookError> {
        if let Some(snapshot) = self.ledger.read().await? {
            let epoch = snapshot.ledger.epoch;
            return Ok((snapshot.ledger, Some(snapshot.etag), epoch));
        }
        let versions = self.latest_versions().await?;
        let epoch = versions.iter().map(|(_, credential)| credential.epoch).max().unwrap_or(0);
        let empty = Ledger::begin(self.ledger.lock_id(), self.vault.writer());
        let ledger = if versions.is_empty() { empty } else { Ledger::rebuild(versions, self.ledger.now(), empty) };
        let epoch = epoch.max(ledger.epoch);
        Ok((ledger, None, epoch))
    }

    /// Looks for what open attempts left in the vault, and puts it into the ledger: as head or as candidate. For use under the lock.
    pub(crate) async fn take_over_found(&self, ledger: &mut Ledger) -> Result<Found, LookError> {
        let mut found = Found::default();
        if ledger.open.is_empty() {
            return Ok(found);
        }
        let entries = self.vault.list().await?;
        // Log-ins first, the latest before: a head that moves closes attempts, and it would not be known any more that a code was sent.
        let mut open = ledger.open.clone();
        open.sort_by_key(|attempt| (attempt.code_in.is_none(), std::cmp::Reverse(attempt.opened)));
        for attempt in open {
            let known = |version: &VersionId| ledger.pointers().any(|pointer| pointer.version == *version);
            let Some(entry) = entries.iter().find(|entry| entry.attempt.as_ref() == Some(&attempt.id) && !known(&entry.version)) else { continue };
            let credential = Arc::new(self.vault.get(&entry.version).await?);
            found.changed = true;
            let waited = ledger.consents.pending.clone();
            if ledger.adopt(&attempt, entry.version.clone(), &credential) == Landed::Head
                && let Some(head) = &ledger.head
            {
                found.head = Some((entry.version.clone(), credential.as_head(head)));
            }
            found.pending |= ledger.consents.pending.is_some() && ledger.consents.pending != waited;
        }
        Ok(found)
    }

    /// The latest versions with their credentials; those that cannot be read are left out unless none can.
    pub(crate) async fn latest_versions(&self) -> Result<Vec<(VersionId, Credential)>, LookError> {
        let mut entries = self.vault.list().await?;
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.created));
        let mut versions = Vec::new();
        let mut problem = None;
        for entry in entries.into_iter().take(LATEST_VERSIONS) {
            match self.vault.get(&entry.version).await {
                Ok(credential) => versions.push((entry.version, credential)),
                Err(error) => problem = Some(error),
            }
        }
        match problem {
            Some(problem) if versions.is_empty() => Err(problem.into()),
            _ => Ok(versions),
        }
    }

    pub(crate) fn learn(&self, ledger: Ledger, credential: Option<(VersionId, Arc<Credential>)>, ledger_lost: bool) {
        self.memory.learn(ledger, credential, ledger_lost, self.ledger.now(), self.clock.monotonic());
    }

    /// The store does not say which version counts: what the vault has may still serve where memory does not. By the time of the grant, since the
    /// version that landed last may be an older one that came late. Nothing is decided by it, and nothing sent.
    async fn serve_latest_version(&self) {
        let view = self.view();
        let served = matches!(answer(view.servable.as_deref(), view.served_at, SignedDuration::ZERO), Answer::Token { .. });
        let read_lately = self.memory.age_of_latest(self.clock.monotonic()).is_some_and(|age| age < LATEST_AGAIN_AFTER);
        if served || read_lately {
            return;
        }
        self.memory.latest_is_read(self.clock.monotonic());
        let Ok(versions) = self.latest_versions().await else { return };
        // A token that came without an access token serves nobody: an import that was not finished, for one.
        // One that nobody has confirmed is served to nobody.
        let rank = |credential: &Credential| (credential.access.is_some(), credential.epoch, credential.granted_at);
        let versions = versions.into_iter().filter(|(_, credential)| credential.epoch != UNCONFIRMED);
        let Some((version, credential)) = versions.max_by_key(|(_, credential)| rank(credential)) else { return };
        self.memory.learn_latest(version, Arc::new(credential), self.ledger.now(), self.clock.monotonic());
    }
}

/// What to say of a head that is not in the vault.
fn missing_head(version: &VersionId) -> String {
    format!(
        "the ledger names version {version} of the token, and the token store does not have it: the secret was deleted, or the vault was restored from an \
         older copy or failed over to a region that has not caught up. It goes on by itself when that version is back, or when a process that has it \
         in memory stores it again; else connect again: on the page Consent, or with `exact-token-broker consent` or `import --replace`"
    )
}

impl From<LedgerError> for LookError {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Unavailable(_) => Self::Unavailable(error.to_string()),
            LedgerError::Damaged(_) => Self::Damaged(error.to_string()),
        }
    }
}

impl From<VaultError> for LookError {
    fn from(error: VaultError) -> Self {
        match &error {
            VaultError::Unavailable(_) | VaultError::Unclear | VaultError::NotWritable(_) => Self::Unavailable(error.to_string()),
            VaultError::NotFound(_) | VaultError::Damaged(_) => Self::Damaged(error.to_string()),
        }
    }
}

impl std::fmt::Debug for Refresher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresher").field("policy", &self.policy).finish_non_exhaustive()
    }
}
