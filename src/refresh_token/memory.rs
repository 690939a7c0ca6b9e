//! What this process knows: a cache of the store, never the truth, except for a grant that is not stored yet.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::token::consent::SentCode;
use crate::token::reply::Unclear;
use crate::token::rotation::SentFrom;
use crate::token::schedule::clock_is_behind;
use crate::token::{AttemptId, Credential, Ledger, Person, VersionId};

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
    /// In the order in which they were granted. More than one only where a request outlived its lock.
    unsaved: Vec<(Unsaved, Seen)>,
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
        /// When its code was sent.
        sent: SentCode,
    },
}

impl Unsaved {
    /// Whether another access token of the same chain lives longer. A process that was frozen on its way to Exact counts a grant's life from before
    /// that, and somebody else may have been granted one meanwhile.
    fn ends_before(&self, other: &Credential) -> bool {
        let ends = |credential: &Credential| credential.access.as_ref().map(|access| access.expires_at);
        matches!(self.brought_by, BroughtBy::Refresh(_)) && ends(&self.credential) < ends(other)
    }

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
    /// When the refresh token of a credential dies if it is not used, as far as the ledger and the credential know.
    #[must_use]
    pub fn refresh_token_expires_at(&self, credential: &Credential) -> Timestamp {
        credential.refresh_token_expires_at(self.ledger.as_ref().and_then(|ledger| ledger.issued))
    }

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
        let unsaved = known.unsaved.iter().rfind(|(unsaved, _)| unsaved.is_served());
        let (servable, seen) = match (unsaved, latest.or(head)) {
            (Some((unsaved, _)), Some(head)) if unsaved.ends_before(&head.credential) => (Some(&head.credential), Some(head.seen)),
            (Some((unsaved, seen)), _) => (Some(&unsaved.credential), Some(*seen)),
            (None, Some(head)) => (Some(&head.credential), Some(head.seen)),
            (None, None) => (None, None),
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
            unsaved: !known.unsaved.is_empty(),
        }
    }

    /// What the store says now.
    pub fn learn(&self, ledger: Ledger, head: Option<(VersionId, Arc<Credential>)>, ledger_lost: bool, wall: Timestamp, monotonic: Duration) {
        let mut known = self.write();
        known.head = head.map(|(version, credential)| {
            let before = known.seen(&version);
            let granted_here = known.unsaved.iter().find(|(unsaved, _)| unsaved.version.as_ref() == Some(&version)).map(|(_, seen)| *seen);
            let seen = before.or(granted_here).unwrap_or_else(|| Seen::for_the_first_time(&credential, Some(&ledger), wall, monotonic));
            Head { version, credential, seen }
        });
        // What an open attempt brought is about to be taken over; until then it is served as before.
        let awaited = |latest: &Head| ledger.open.iter().any(|attempt| attempt.id == latest.credential.attempt);
        known.latest = known.latest.take().filter(awaited);
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

    /// A grant was received: from here on it is served, and no other request is made before it is stored. Or more is known of it than before.
    pub fn keep(&self, unsaved: Unsaved, wall: Timestamp, monotonic: Duration) {
        let mut known = self.write();
        let served = unsaved.is_served();
        match known.unsaved.iter_mut().find(|(kept, _)| kept.credential.attempt == unsaved.credential.attempt) {
            Some((kept, _)) => *kept = unsaved,
            None => known.unsaved.push((unsaved, Seen { wall, monotonic, dated_ahead: false })),
        }
        drop(known);
        if served {
            self.granted.notify_waiters();
        }
    }

    /// The grant of `attempt` is in the vault. Whoever saves it to its end at the same time may have been faster.
    pub fn stored_as(&self, attempt: &AttemptId, version: VersionId) {
        if let Some((kept, _)) = self.write().unsaved.iter_mut().find(|(kept, _)| kept.credential.attempt == *attempt) {
            kept.version = Some(version);
        }
    }

    /// Ends when a grant is received.
    pub fn granted(&self) -> Notified<'_> {
        self.granted.notified()
    }

    /// The grant of `attempt` is in vault and ledger.
    pub fn saved(&self, attempt: &AttemptId) {
        self.write().unsaved.retain(|(kept, _)| kept.credential.attempt != *attempt);
    }

    /// The first grant that is not stored yet.
    pub fn unsaved(&self) -> Option<Unsaved> {
        self.read().unsaved.first().map(|(unsaved, _)| unsaved.clone())
    }

    /// What is known by now of the grant of `attempt`, while it is not stored.
    pub fn unsaved_of(&self, attempt: &AttemptId) -> Option<Unsaved> {
        self.read().unsaved.iter().find(|(kept, _)| kept.credential.attempt == *attempt).map(|(kept, _)| kept.clone())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{AccessToken, ChainIdentity, LockId, Secret};

    fn grant(attempt: &str, served: bool) -> Unsaved {
        let now = Timestamp::UNIX_EPOCH;
        let (expires_at, lifetime) = (now + SignedDuration::from_secs(600), SignedDuration::from_secs(600));
        let credential = Credential {
            refresh_token: Secret::new(format!("made-up-refresh-{attempt}")),
            access: Some(AccessToken { value: Secret::new(format!("made-up-access-{attempt}")), expires_at, lifetime }),
            granted_at: now,
            renewable_at: now,
            attempt: AttemptId(attempt.to_owned()),
            epoch: 1,
            lock_id: LockId("made-up".to_owned()),
            chain: ChainIdentity { base_url: "https://exact.invalid".to_owned(), client_id: "made-up".to_owned(), user: None },
        };
        let brought_by = BroughtBy::Consent { person: None, served, sent: SentCode { epoch: 0, opened: now } };
        Unsaved { credential: Arc::new(credential), brought_by, odd: None, version: None }
    }

    /// I8, seed 5445 of the simulation: served while the ledger was away, refused when it was back and did not know of it yet.
    #[test]
    fn what_an_open_attempt_brought_is_served_until_it_is_taken_over() {
        let memory = Memory::default();
        let (wall, monotonic) = (Timestamp::UNIX_EPOCH, Duration::ZERO);
        let served = || memory.view(wall, monotonic).servable.map(|credential| credential.attempt.0.clone());
        let found = grant("found", true).credential;
        memory.learn_latest(VersionId("version-2".to_owned()), Arc::clone(&found), wall, monotonic);
        let mut ledger = Ledger::begin(LockId("made-up".to_owned()), "made-up");
        ledger.announce(found.attempt.clone(), found.fingerprint(), wall);
        memory.learn(ledger.clone(), None, false, wall, monotonic);
        assert_eq!(served().as_deref(), Some("found"));
        drop(ledger.close(&found.attempt));
        memory.learn(ledger, None, false, wall, monotonic);
        assert_eq!(served(), None, "the ledger says what counts");
    }

    /// I8, seed 5371: a process that was frozen on its way to Exact had served what another was granted meanwhile.
    #[test]
    fn of_two_tokens_of_one_chain_the_one_that_lives_longer_is_served() {
        let memory = Memory::default();
        let (wall, monotonic) = (Timestamp::UNIX_EPOCH, Duration::ZERO);
        let served = || memory.view(wall, monotonic).servable.map(|credential| credential.attempt.0.clone());
        let refreshed = |attempt: &str, later: i64| {
            let mut credential = (*grant(attempt, true).credential).clone();
            credential.access.as_mut().unwrap().expires_at += SignedDuration::from_secs(later);
            let sent_from = SentFrom { epoch: 1, head: VersionId("version-1".to_owned()) };
            Unsaved { credential: Arc::new(credential), brought_by: BroughtBy::Refresh(sent_from), odd: None, version: None }
        };
        let head = refreshed("head", 300).credential;
        memory.learn(Ledger::begin(LockId("made-up".to_owned()), "made-up"), Some((VersionId("version-2".to_owned()), head)), false, wall, monotonic);
        memory.keep(refreshed("late", 0), wall, monotonic);
        assert_eq!(served().as_deref(), Some("head"));
        memory.keep(refreshed("later", 301), wall, monotonic);
        assert_eq!(served().as_deref(), Some("later"));
        memory.keep(grant("consent", true), wall, monotonic);
        assert_eq!(served().as_deref(), Some("consent"), "another chain: the one before is over");
    }

    /// A refresh that outlived its lock, and a consent: each has its own end.
    #[test]
    fn two_grants_that_are_not_stored_keep_out_of_each_others_way() {
        let memory = Memory::default();
        let (wall, monotonic) = (Timestamp::UNIX_EPOCH, Duration::ZERO);
        let served = || memory.view(wall, monotonic).servable.map(|credential| credential.attempt.0.clone());
        let (first, second) = (AttemptId("first".to_owned()), AttemptId("second".to_owned()));
        memory.keep(grant("first", true), wall, monotonic);
        memory.keep(grant("second", false), wall, monotonic);
        assert_eq!(served().as_deref(), Some("first"), "what nobody has confirmed is not served");
        memory.keep(grant("second", true), wall, monotonic);
        assert_eq!(served().as_deref(), Some("second"), "the later one is");

        memory.stored_as(&second, VersionId("version-2".to_owned()));
        assert_eq!(memory.unsaved().map(|unsaved| (unsaved.credential.attempt.clone(), unsaved.version)), Some((first.clone(), None)));
        memory.saved(&second);
        memory.stored_as(&second, VersionId("late".to_owned()));
        assert_eq!((memory.unsaved().map(|unsaved| unsaved.credential.attempt.clone()), served().as_deref()), (Some(first.clone()), Some("first")));
        memory.saved(&first);
        assert!(memory.unsaved().is_none() && !memory.view(wall, monotonic).unsaved);
    }
}
