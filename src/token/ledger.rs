//! The order of things, without any secret: which version is the head, which attempts are open, what was refused, when to try again.
//!
//! Stored as the body of the blob whose lease is the lock; written only under that lock and only over what was read.

use jiff::{SignedDuration, Timestamp};

use super::consent::{Consents, SentCode, UNCONFIRMED};
use super::credential::{AttemptId, Credential, Fingerprint, Issued, LockId, VersionId};
use super::reply::{Misconfiguration, NotSent, Refusal, Unclear};
use super::retry;

/// How long after an attempt was opened its request may still leave.
pub const SEND_WITHIN: SignedDuration = SignedDuration::from_secs(10);
/// How long one reply may take: Exact's support documents one of 35 s; a reply given up too early is a token lost.
pub const ANSWER_WITHIN: SignedDuration = SignedDuration::from_secs(100);
/// How long others keep away from an attempt whose process may have died: to send, to answer, and 30 s to save.
pub const QUARANTINE: SignedDuration = SignedDuration::from_secs(10 + 100 + 30);
/// Refreshes without a grant in any rolling hour. Exact blocks a key at 10 errors; one of nine is kept for a code exchange.
pub const UNGRANTED_AN_HOUR: usize = 8;
/// Token requests a UTC day, by Exact's announced limit of 200 a day for app and user.
pub const REQUESTS_A_DAY: u32 = 200;
/// How many candidates are kept beside the head.
pub const MAX_CANDIDATES: usize = 3;
/// How many open attempts are remembered. Past that the oldest with a recorded outcome goes: nothing can arrive from it any more.
pub const MAX_OPEN: usize = 16;

/// The hour of [`UNGRANTED_AN_HOUR`]. The clocks of two processes differ by a second or two, and no hour of Exact's may have more.
pub const BUDGET_HOUR: SignedDuration = SignedDuration::from_secs(3_605);

/// All that is known about the chain beside the tokens themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Grows with each consent, import and loss of the ledger.
    pub epoch: u64,
    /// Grows with each write.
    pub generation: u64,
    /// The version that counts. None before the first consent.
    pub head: Option<Pointer>,
    /// Versions to fall back to, the latest first; at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Pointer>,
    /// Requests whose outcome is not known, oldest first.
    pub open: Vec<OpenAttempt>,
    /// Refresh tokens that Exact refused since the last grant.
    pub refusals: Vec<Refused>,
    /// Keeps requests back after a failure that spent nothing.
    pub backoff: Option<Backoff>,
    /// When requests left (or were about to) in the last hour that brought no grant, oldest first.
    pub ungranted: Vec<Timestamp>,
    /// Requests of the UTC day.
    pub today: Today,
    /// Set when the head and every candidate were refused twice: a person must consent.
    pub dead: Option<Dead>,
    /// Set while Exact does not accept the app.
    pub misconfigured: Option<Misconfigured>,
    /// When the clock was found to be behind the head's own grant: from then on nothing is known of the token's age but that it is younger than this.
    pub clock_behind_since: Option<Timestamp>,
    /// How it went since the last grant.
    pub last_failure: Option<Failure>,
    /// When the ledger was rebuilt from the vault's versions because it was gone.
    pub rebuilt_at: Option<Timestamp>,
    /// The latest grants that became the head, oldest first; for a person to look at, nothing follows from them.
    pub recent_grants: Vec<Timestamp>,
    /// Since when the refresh token is known that was sent last: it counts where a grant left that as it was.
    pub issued: Option<Issued>,
    /// What is known of consents.
    pub consents: Consents,
    /// The lock that guards this ledger.
    pub lock_id: LockId,
    /// The identity that last wrote a version: another one first proves that it may.
    pub writer: String,
}

/// A version of the secret, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Where it is.
    pub version: VersionId,
    /// Of its refresh token.
    pub fingerprint: Fingerprint,
    /// The epoch that it was granted in.
    pub epoch: u64,
    /// The Exact user, once known.
    pub user: Option<String>,
    /// When it was granted.
    pub granted_at: Timestamp,
}

impl Pointer {
    /// The pointer to a credential that is stored under `version`.
    #[must_use]
    pub fn to(version: VersionId, credential: &Credential) -> Self {
        Self {
            version,
            fingerprint: credential.fingerprint(),
            epoch: credential.epoch,
            user: credential.chain.user.clone(),
            granted_at: credential.granted_at,
        }
    }

    /// Whether both are known to be the same Exact user's: of one consent, or of two by the same known user.
    #[must_use]
    pub fn same_user(&self, other: &Self) -> bool {
        match (&self.user, &other.user) {
            (Some(user), Some(other)) => user == other,
            _ => self.epoch == other.epoch && self.epoch != UNCONFIRMED,
        }
    }
}

/// A request that was announced and whose outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAttempt {
    /// Also stands in the version that a grant would be saved as.
    pub id: AttemptId,
    /// Of the refresh token that was sent.
    pub fingerprint: Fingerprint,
    /// From before it was announced.
    pub opened: Timestamp,
    /// Until then its process may be alive and waiting; nobody else sends.
    pub quarantine_until: Timestamp,
    /// When its own process found out that the outcome is unclear. None: that process has said nothing, and may be dead.
    pub unclear_since: Option<Timestamp>,
    /// It sent the code of a consent, and this was the epoch then. None: it sent a refresh token.
    pub code_in: Option<u64>,
}

impl OpenAttempt {
    /// The last moment at which Exact may have spent the token.
    #[must_use]
    pub fn spent_by(&self) -> Timestamp {
        self.unclear_since.unwrap_or(self.opened + SEND_WITHIN + ANSWER_WITHIN)
    }

    /// When it sent the code of a consent, if it did.
    #[must_use]
    pub fn sent_code(&self) -> Option<SentCode> {
        self.code_in.map(|epoch| SentCode { epoch, opened: self.opened })
    }
}

/// How often a token was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Of the refresh token.
    pub fingerprint: Fingerprint,
    /// The latest text.
    pub refusal: Refusal,
    /// Refusals at least 60 s apart.
    pub count: u32,
    /// The latest that counted.
    pub last: Timestamp,
}

/// Why requests are kept back after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// What keeps them back.
    pub cause: BackoffCause,
    /// The first failure of the series.
    pub first: Timestamp,
    /// Failures of the series.
    pub count: u32,
    /// No request before this.
    pub until: Timestamp,
}

/// What a back-off series is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackoffCause {
    /// Exact or the store could not be reached.
    NotSent(NotSent),
    /// Exact said that the access token is younger than it looked.
    TooEarly,
    /// Exact asked for patience.
    Throttled,
    /// The ledger was rebuilt: another process may still be waiting for a reply.
    Rebuilt,
}

/// Token requests of one UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Today {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Requests announced on it.
    pub requests: u32,
}

/// A chain for which a person must consent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Since when.
    pub since: Timestamp,
    /// What Exact said last.
    pub refusal: Refusal,
    /// Probes since.
    pub probes: u32,
    /// The latest probe.
    pub last_probe: Option<Timestamp>,
}

/// Exact does not accept the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misconfigured {
    /// What it said.
    pub what: Misconfiguration,
    /// Of the settings that it said it about.
    pub settings: Fingerprint,
    /// When it said it last.
    pub last: Timestamp,
}

/// The latest failure and how many there were in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub what: FailureKind,
    /// When.
    pub at: Timestamp,
    /// Failures since the last grant.
    pub in_a_row: u32,
}

/// What went wrong, without any text from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// See [`NotSent`].
    NotSent(NotSent),
    /// See [`Reply::TooEarly`](super::Reply::TooEarly).
    TooEarly,
    /// See [`Unclear`].
    Unclear(Unclear),
    /// See [`Refusal`].
    Refused(Refusal),
    /// See [`Misconfiguration`].
    Misconfigured(Misconfiguration),
    /// See [`Reply::Throttled`](super::Reply::Throttled).
    Throttled,
}

impl FailureKind {
    /// The class as a word for machines.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::TooEarly => "too_early",
            Self::Unclear(_) => "unclear",
            Self::Refused(_) => "refused",
            Self::Misconfigured(_) => "misconfigured",
            Self::Throttled => "throttled",
        }
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent(what) => what.fmt(f),
            Self::TooEarly => f.write_str("Exact Online says that the access token has not expired yet"),
            Self::Unclear(what) => what.fmt(f),
            Self::Refused(what) => what.fmt(f),
            Self::Misconfigured(what) => what.fmt(f),
            Self::Throttled => f.write_str("Exact Online asks for fewer requests"),
        }
    }
}

impl Ledger {
    /// The ledger before the first consent.
    #[must_use]
    pub fn begin(lock_id: LockId, writer: &str) -> Self {
        Self {
            epoch: 0,
            generation: 0,
            head: None,
            candidates: Vec::new(),
            open: Vec::new(),
            refusals: Vec::new(),
            backoff: None,
            ungranted: Vec::new(),
            today: Today::default(),
            dead: None,
            misconfigured: None,
            clock_behind_since: None,
            last_failure: None,
            rebuilt_at: None,
            recent_grants: Vec::new(),
            issued: None,
            consents: Consents::default(),
            lock_id,
            writer: writer.to_owned(),
        }
    }

    /// Requests without a grant in the hour before `now`. A time ahead of `now` counts: a clock that went back must not widen the budget.
    #[must_use]
    pub fn ungranted_in_hour(&self, now: Timestamp) -> usize {
        self.ungranted.iter().filter(|at| **at > now - BUDGET_HOUR).count()
    }

    /// Requests announced on the UTC day of `now`.
    #[must_use]
    pub fn requests_today(&self, now: Timestamp) -> u32 {
        if self.today.day >= utc_day(now) { self.today.requests } else { 0 }
    }

    /// The attempts whose process may still be waiting for a reply.
    pub fn in_quarantine(&self, now: Timestamp) -> impl Iterator<Item = &OpenAttempt> {
        self.open.iter().filter(move |attempt| attempt.unclear_since.is_none() && attempt.quarantine_until > now)
    }

    /// All versions that it knows: head, candidates, and the one that waits for a confirmation.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.head.iter().chain(&self.candidates).chain(self.consents.pending.iter().map(|pending| &pending.pointer))
    }

    /// Whether a request may still bring something that a refresh has to wait for or to make good. A code that was sent is worth nothing any more once
    /// its process is past its quarantine.
    #[must_use]
    pub fn is_unsettled(&self, now: Timestamp) -> bool {
        self.open.iter().any(|attempt| attempt.code_in.is_none()) || self.in_quarantine(now).next().is_some()
    }

    /// When a log-in was cut off: its code was sent, and nobody is left who could store what came back.
    #[must_use]
    pub fn cut_off(&self, now: Timestamp) -> Option<Timestamp> {
        let gone = |attempt: &&OpenAttempt| attempt.code_in.is_some() && attempt.quarantine_until <= now;
        self.open.iter().rfind(gone).map(|attempt| attempt.opened)
    }

    /// Announces a request: the attempt is open and its budget is spent, whatever happens to the process from here on.
    pub fn announce(&mut self, id: AttemptId, fingerprint: Fingerprint, now: Timestamp) {
        let is_retry = self.is_probing(now);
        if let Some(head) = self.head.as_ref().filter(|head| head.fingerprint == fingerprint)
            && self.issued.is_none_or(|issued| issued.fingerprint != fingerprint)
        {
            self.issued = Some(Issued { fingerprint, at: head.granted_at });
        }
        self.open.push(OpenAttempt { id, fingerprint, opened: now, quarantine_until: now + QUARANTINE, unclear_since: None, code_in: None });
        if self.open.len() > MAX_OPEN {
            let oldest_settled = self.open.iter().position(|attempt| attempt.unclear_since.is_some()).unwrap_or(0);
            self.open.remove(oldest_settled);
        }
        self.ungranted.retain(|at| *at > now - BUDGET_HOUR);
        self.ungranted.push(now);
        let requests = self.requests_today(now) + 1;
        self.today = Today { day: self.today.day.max(utc_day(now)), requests };
        if let Some(dead) = &mut self.dead
            && !is_retry
        {
            dead.probes += 1;
            dead.last_probe = Some(now);
        }
    }

    /// Whether it is still to be cleared up what became of a probe: what is sent meanwhile is no probe.
    #[must_use]
    pub fn is_probing(&self, now: Timestamp) -> bool {
        let since = self.dead.filter(|dead| dead.last_probe.is_some()).map(|dead| dead.since);
        since.is_some_and(|since| {
            self.open.iter().any(|attempt| attempt.code_in.is_none() && attempt.opened >= since && retry::last_aim(attempt) > now)
        })
    }

    /// Takes an attempt out of the open ones; None if it is not there (any more).
    pub fn close(&mut self, id: &AttemptId) -> Option<OpenAttempt> {
        let at = self.open.iter().position(|attempt| attempt.id == *id)?;
        Some(self.open.remove(at))
    }

    /// Gives back the budget of a request that turned out never to have left, or to have brought a grant.
    pub(super) fn return_budget(&mut self, opened: Timestamp, left: bool) {
        if let Some(at) = self.ungranted.iter().rposition(|at| *at == opened) {
            self.ungranted.remove(at);
        }
        if !left && self.today.day == utc_day(opened) {
            self.today.requests = self.today.requests.saturating_sub(1);
        }
    }
}

/// Days since 1970-01-01, UTC.
#[must_use]
pub fn utc_day(now: Timestamp) -> i64 {
    now.as_second().div_euclid(86_400)
}
