//! What a consent leaves in the ledger, and what the ledger decides about one.

use jiff::{SignedDuration, Timestamp};

use super::credential::{AttemptId, Fingerprint, VersionId};
use super::ledger::{BUDGET_HOUR, Ledger, OpenAttempt, Pointer, REQUESTS_A_DAY, UNGRANTED_AN_HOUR};
use super::rotation::Landed;
use super::schedule::next_utc_day;

/// From the button to the callback: to log in, with MFA, and to consent.
pub const STATE_LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// Refreshes keep away this long from the button on: as long as Exact's code lives.
pub const HOLD_OFF: SignedDuration = SignedDuration::from_secs(180);
/// A button that is pressed again does not make them keep away again before this.
pub const HOLD_OFF_ONCE_IN: SignedDuration = SignedDuration::from_mins(10);
/// How many used states are remembered. Each needs a log-in at Exact, and none is remembered longer than it lives.
pub const MAX_USED: usize = 32;
/// How many pairs are remembered that a person did not mean: the process of each may only be asleep.
pub const MAX_DECLINED: usize = 4;
/// The epoch in a version whose consent nobody has confirmed yet, or that was not known to need none: only the ledger can give it one. Without the
/// ledger it comes after all others.
pub const UNCONFIRMED: u64 = 0;
/// How many grants the ledger remembers, for a person to look at.
pub const RECENT_GRANTS: usize = 12;

/// Who consented, as Exact's `current/Me` told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// `UserID`.
    pub id: String,
    /// `FullName`.
    pub name: String,
    /// `UserName`, with which they log in.
    pub login: String,
    /// `DivisionCustomerName`: the company whose licence it is.
    pub company: String,
    /// `CurrentDivision`.
    pub division: i64,
}

/// What the ledger knows of consents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consents {
    /// States that were used, oldest first; at most [`MAX_USED`].
    pub used: Vec<UsedState>,
    /// When the button was pressed last that made refreshes keep away.
    pub begun: Option<Timestamp>,
    /// Whose permissions the head carries, once Exact has told.
    pub person: Option<Person>,
    /// A pair that somebody else consented to; a person has to confirm it.
    pub pending: Option<Pending>,
    /// Refresh tokens of pairs to which a person said no, oldest first; at most [`MAX_DECLINED`].
    pub declined: Vec<Fingerprint>,
}

/// A state that is not good any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedState {
    /// Of the state.
    pub state: Fingerprint,
    /// When it would have ended by itself.
    pub expires_at: Timestamp,
}

/// A consent that waits for a confirmation. Its version is in the vault; it is neither served nor refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Where it is.
    pub pointer: Pointer,
    /// Whose it is, if Exact told.
    pub person: Option<Person>,
}

/// When a code was sent: what tells whether another log-in came later. When its own grant is dated does not, since its process may have slept before it
/// took note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentCode {
    /// The epoch then.
    pub epoch: u64,
    /// When its attempt was opened: whatever was granted after this is of a later log-in, or of a refresh.
    pub opened: Timestamp,
}

impl Ledger {
    /// Makes refreshes keep away for [`HOLD_OFF`]. False if they have done so for a button within [`HOLD_OFF_ONCE_IN`].
    pub fn hold_off(&mut self, now: Timestamp) -> bool {
        let lately = self.consents.begun.is_some_and(|begun| now.duration_since(begun).abs() < HOLD_OFF_ONCE_IN);
        if !lately {
            self.consents.begun = Some(now);
        }
        !lately
    }

    /// Until when refreshes keep away.
    #[must_use]
    pub fn held_off_until(&self) -> Option<Timestamp> {
        self.consents.begun.map(|begun| begun + HOLD_OFF)
    }

    /// Whether the state was used before.
    #[must_use]
    pub fn is_used(&self, state: Fingerprint) -> bool {
        self.consents.used.iter().any(|used| used.state == state)
    }

    /// When a code may be exchanged, if not now: one request of the hour is kept for it beside those of refreshes.
    #[must_use]
    pub fn code_budget(&self, now: Timestamp) -> Option<Timestamp> {
        if self.requests_today(now) >= REQUESTS_A_DAY {
            return Some(next_utc_day(now));
        }
        let in_hour: Vec<_> = self.ungranted.iter().filter(|at| **at > now - BUDGET_HOUR).collect();
        let full_by = in_hour.len().checked_sub(UNGRANTED_AN_HOUR + 1)?;
        in_hour.get(full_by).map(|at| **at + BUDGET_HOUR)
    }

    /// Announces the exchange of a code, and uses up the state that came with it. None: there was no browser.
    pub fn announce_code(&mut self, id: AttemptId, code: Fingerprint, state: Option<UsedState>, now: Timestamp) -> SentCode {
        // An exchange is no probe of the token that looks dead.
        let dead = self.dead;
        self.announce(id, code, now);
        self.dead = dead;
        if let Some(attempt) = self.open.last_mut() {
            attempt.code_in = Some(self.epoch);
        }
        self.consents.used.retain(|used| used.expires_at > now);
        self.consents.used.extend(state);
        let excess = self.consents.used.len().saturating_sub(MAX_USED);
        self.consents.used.drain(..excess);
        SentCode { epoch: self.epoch, opened: now }
    }

    /// The exchange brought nothing, or nothing that anybody will ever see: a reply that was lost does not come later.
    pub fn code_failed(&mut self, id: &AttemptId, left: bool) {
        if let Some(OpenAttempt { opened, .. }) = self.close(id)
            && !left
        {
            self.return_budget(opened, false);
        }
    }

    /// The pair that a code brought is stored under `pointer`. It becomes the head of a new epoch, unless somebody else consented than before, or
    /// nobody knows who (then it waits to be confirmed, unless a later one does), or a later consent was faster (then it is a candidate).
    /// One to which a person said no stays where that left it.
    pub fn consent_saved(&mut self, attempt: &AttemptId, mut pointer: Pointer, person: Option<Person>, sent: SentCode) -> Landed {
        // An odd reply brought no complete grant.
        if let Some(closed) = self.close(attempt).filter(|closed| closed.unclear_since.is_none()) {
            self.return_budget(closed.opened, true);
        }
        // A write that was not confirmed may have left two versions of one pair.
        let same = |other: &Pointer| other.version == pointer.version || other.fingerprint == pointer.fingerprint;
        if let Some(head) = self.head.as_ref().filter(|head| same(head)) {
            if let (None, Some(person)) = (&head.user, person) {
                self.identified(person);
            }
            return Landed::Head;
        }
        if self.consents.declined.contains(&pointer.fingerprint) {
            return Landed::Candidate;
        }
        // It lands anew: a ledger that was rebuilt, or whoever found it, did not know whose it is.
        self.candidates.retain(|candidate| !same(candidate));
        // Found in the vault by somebody else, while its own process was asleep and knew whose it is.
        let waiting = self.consents.pending.take_if(|pending| same(&pending.pointer));
        let is_later = |other: &Pointer| other.granted_at > sent.opened;
        let overtaken = waiting.is_none()
            && match pointer.epoch {
                // A refresh of the chain before is no consent, and neither is a ledger that was rebuilt.
                UNCONFIRMED => self.epoch > sent.epoch && self.head.as_ref().is_some_and(is_later),
                epoch => epoch <= self.epoch,
            };
        if overtaken {
            // Something to fall back to only where it is known to be the same user's.
            pointer.epoch = UNCONFIRMED;
            pointer.user = person.map(|person| person.id).or(pointer.user);
            return self.odd_grant_saved(pointer);
        }
        let person = person.or_else(|| waiting.and_then(|waiting| waiting.person));
        let later = self.consents.pending.take_if(|pending| is_later(&pending.pointer));
        let stored = self.head.as_ref().and_then(|head| head.user.as_ref());
        if stored.is_some_and(|stored| person.as_ref().is_none_or(|person| person.id != *stored)) {
            let (waits, goes) = match later {
                Some(later) => (later, Some(pointer)),
                None => (Pending { pointer, person }, self.consents.pending.take().map(|before| before.pointer)),
            };
            self.consents.pending = Some(waits);
            if let Some(goes) = goes {
                self.set_aside(goes);
            }
            return Landed::Candidate;
        }
        pointer.epoch = pointer.epoch.max(self.epoch + 1);
        self.connect(pointer, person);
        // Another user's, so it did not end with this.
        self.consents.pending = later;
        Landed::Head
    }

    /// A person says that another's consent is meant. False if it is not there any more.
    pub fn confirm(&mut self, version: &VersionId) -> bool {
        let Some(Pending { mut pointer, person }) = self.consents.pending.take_if(|pending| pending.pointer.version == *version) else {
            return false;
        };
        pointer.epoch = pointer.epoch.max(self.epoch + 1);
        self.connect(pointer, person);
        true
    }

    /// A person says that it is not meant. It is kept to be found by a person where there is room, and is never tried. False if it is not there any more.
    pub fn discard(&mut self, version: &VersionId) -> bool {
        let Some(Pending { pointer, .. }) = self.consents.pending.take_if(|pending| pending.pointer.version == *version) else { return false };
        self.consents.declined.push(pointer.fingerprint);
        let excess = self.consents.declined.len().saturating_sub(MAX_DECLINED);
        self.consents.declined.drain(..excess);
        self.set_aside(pointer);
        true
    }

    /// Exact has told whose the head is.
    pub fn identified(&mut self, person: Person) {
        if let Some(head) = &mut self.head {
            head.user = Some(person.id.clone());
            self.consents.person = Some(person);
        }
    }

    fn connect(&mut self, pointer: Pointer, person: Option<Person>) {
        let user = person.as_ref().map(|person| person.id.clone());
        self.new_epoch(Pointer { user: user.or_else(|| pointer.user.clone()), ..pointer });
        self.consents.person = person;
    }
}
