//! What this process knows: a cache of the store, never the truth, except for a grant that is not stored yet.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::token::reply::Unclear;
use crate::token::rotation::SentFrom;
use crate::token::schedule::clock_is_behind;
use crate::token::{Credential, Ledger, Person, VersionId};

/// Shared by all callers of a process.
#[derive(Debug, Default)]
pub struct Memory {
    /// Read by every call, so that one that is held up in the middle holds up no other.
    known: RwLock<Known>,
    granted: Notify,
}

#[derive(Debug, Default)]
struct Known {
    ledger: Option<Arc<Ledger>>,
    head: Option<Head>,
    /// What the vault has, while the store does not say which version counts. It is served from, and decides nothing.
    latest: Option<Head>,
    latest_read_at: Option<Duration>,
    unsaved: Option<(Unsaved, Seen)>,
    looked_at: Option<Duration>,
    ledger_lost: bool,
}

impl Known {
    /// When a version was first seen, if it is one that is known.
    fn seen(&self, version: &VersionId) -> Option<Seen> {
        self.head.iter().chain(&self.latest).find(|head| head.version == *version).map(|head| head.seen)
    }
}

#[derive(Debug)]
struct Head {
    version: VersionId,
    credential: Arc<Credential>,
    seen: Seen,
}

/// When this process first saw a credential, by both clocks. If the wall clock goes back afterwards, the monotonic one still tells its age.
#[derive(Clone, Copy, Debug)]
struct Seen {
    wall: Timestamp,
    monotonic: Duration,
    /// The wall clock was, or had been found to be, behind the time of the grant. Then the access token may end long before it says, and the wall
    /// clock's reaching that time makes it no younger.
    dated_ahead: bool,
}

impl Seen {
    fn for_the_first_time(credential: &Credential, ledger: Option<&Ledger>, wall: Timestamp, monotonic: Duration) -> Self {
        let found = ledger.and_then(|ledger| ledger.clock_behind_since).is_some_and(|noticed| noticed < credential.granted_at);
        Self { wall, monotonic, dated_ahead: found || clock_is_behind(credential, wall) }
    }

    /// The time by which the credential's life is judged. What was dated ahead is taken to be at its end.
    fn now(self, credential: &Credential, wall: Timestamp, monotonic: Duration) -> Timestamp {
        if let (true, Some(access)) = (self.dated_ahead, &credential.access) {
            return wall.max(access.expires_at);
        }
        let passed = SignedDuration::try_from(monotonic.saturating_sub(self.monotonic)).unwrap_or(SignedDuration::MAX);
        wall.max(self.wall.saturating_add(passed).unwrap_or(Timestamp::MAX))
    }
}

/// A grant, from the moment it is received until it is in the store.
#[derive(Clone, Debug)]
pub struct Unsaved {
    /// What was granted.
    pub credential: Arc<Credential>,
    /// What brought it.
    pub brought_by: BroughtBy,
    /// What was odd about the reply, if it carried a refresh token alone. Its attempt stays open.
    pub odd: Option<Unclear>,
    /// Where it is in the vault, once it is there and only the ledger does not know.
    pub version: Option<VersionId>,
}

/// What a grant was asked for with.
#[derive(Clone, Debug)]
pub enum BroughtBy {
    /// A refresh, sent from this head.
    Refresh(SentFrom),
    /// A consent.
    Consent {
        /// Whose, if Exact told.
        person: Option<Person>,
        /// Nobody has to confirm it first.
        served: bool,
    },
}

impl Unsaved {
    /// Whether callers may have it before it is stored.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.credential.access.is_some() && matches!(self.brought_by, BroughtBy::Refresh(_) | BroughtBy::Consent { served: true, .. })
    }
}

/// What is known at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The ledger, as it was last read or written. None if it never was.
    pub ledger: Option<Arc<Ledger>>,
    /// The credential that the ledger's head names.
    pub head: Option<Arc<Credential>>,
    /// The credential to serve from: the grant that is not stored yet, else the head, else what the vault has.
    pub servable: Option<Arc<Credential>>,
    /// The servable credential is what the vault has, and the store did not say that it counts.
    pub from_vault_alone: bool,
    /// The time by which the servable credential's life is judged: never earlier than the time that certainly passed since it was first seen, and
    /// its end where the clock that dated it ran ahead.
    pub served_at: Timestamp,
    /// Storage time.
    pub now: Timestamp,
    /// How long ago the store was looked at. None: never.
    pub age: Option<Duration>,
    /// The store has versions and no ledger: a pass has to rebuild it.
    pub ledger_lost: bool,
    /// A grant waits to be stored.
    pub unsaved: bool,
}

impl View {
    /// Whether the store was looked at that long ago, or never.
    #[must_use]
    pub fn is_older(&self, age: Duration) -> bool {
        self.age.is_none_or(|since| since >= age)
    }
}

impl Memory {
    /// What is known now.
    pub fn view(&self, wall: Timestamp, monotonic: Duration) -> View {
        let known = self.read();
        let head = known.head.as_ref();
        let later = |latest: &&Head| head.is_none_or(|head| latest.credential.granted_at > head.credential.granted_at);
        let latest = known.latest.as_ref().filter(later);
        let (servable, seen) = match (&known.unsaved, latest.or(head)) {
            (Some((unsaved, seen)), _) if unsaved.is_served() => (Some(&unsaved.credential), Some(*seen)),
            (_, Some(head)) => (Some(&head.credential), Some(head.seen)),
            _ => (None, None),
        };
        let from_vault_alone = latest.zip(servable).is_some_and(|(latest, servable)| Arc::ptr_eq(&latest.credential, servable));
        View {
            ledger: known.ledger.clone(),
            head: head.map(|head| Arc::clone(&head.credential)),
            servable: servable.cloned(),
            from_vault_alone,
            served_at: servable.zip(seen).map_or(wall, |(credential, seen)| seen.now(credential, wall, monotonic)),
            now: wall,
            age: known.looked_at.map(|at| monotonic.saturating_sub(at)),
            ledger_lost: known.ledger_lost,
            unsaved: known.unsaved.is_some(),
        }
    }

    /// What the store says now.
    pub fn learn(&self, ledger: Ledger, head: Option<(VersionId, Arc<Credential>)>, ledger_lost: bool, wall: Timestamp, monotonic: Duration) {
        let mut known = self.write();
        known.head = head.map(|(version, credential)| {
            let before = known.seen(&version);
            let granted_here = known.unsaved.as_ref().filter(|(unsaved, _)| unsaved.version.as_ref() == Some(&version)).map(|(_, seen)| *seen);
            let seen = before.or(granted_here).unwrap_or_else(|| Seen::for_the_first_time(&credential, Some(&ledger), wall, monotonic));
            Head { version, credential, seen }
        });
        known.latest = None;
        known.ledger = Some(Arc::new(ledger));
        known.ledger_lost = ledger_lost;
        known.looked_at = Some(monotonic);
    }

    /// What the vault has, where the store does not say which version counts.
    pub fn learn_latest(&self, version: VersionId, credential: Arc<Credential>, wall: Timestamp, monotonic: Duration) {
        let mut known = self.write();
        let first_time = || Seen::for_the_first_time(&credential, known.ledger.as_deref(), wall, monotonic);
        let seen = known.seen(&version).unwrap_or_else(first_time);
        known.latest = Some(Head { version, credential, seen });
    }

    /// The vault is about to be asked for [`Self::learn_latest`], whatever comes of it.
    pub fn latest_is_read(&self, monotonic: Duration) {
        self.write().latest_read_at = Some(monotonic);
    }

    /// How long ago [`Self::latest_is_read`] was called. None: never.
    pub fn age_of_latest(&self, monotonic: Duration) -> Option<Duration> {
        self.read().latest_read_at.map(|at| monotonic.saturating_sub(at))
    }

    /// A grant was received: from here on it is served, and no other request is made before it is stored.
    pub fn keep(&self, unsaved: Unsaved, wall: Timestamp, monotonic: Duration) {
        let mut known = self.write();
        let seen = known.unsaved.as_ref().map_or(Seen { wall, monotonic, dated_ahead: false }, |(_, seen)| *seen);
        let served = unsaved.is_served();
        known.unsaved = Some((unsaved, seen));
        drop(known);
        if served {
            self.granted.notify_waiters();
        }
    }

    /// Ends when a grant is received.
    pub fn granted(&self) -> Notified<'_> {
        self.granted.notified()
    }

    /// The grant is in vault and ledger.
    pub fn saved(&self) {
        self.write().unsaved = None;
    }

    /// The grant that is not stored yet.
    pub fn unsaved(&self) -> Option<Unsaved> {
        self.read().unsaved.as_ref().map(|(unsaved, _)| unsaved.clone())
    }

    /// A version that is known.
    pub fn credential(&self, version: &VersionId) -> Option<Arc<Credential>> {
        let known = self.read();
        known.head.iter().chain(&known.latest).find(|head| head.version == *version).map(|head| Arc::clone(&head.credential))
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
