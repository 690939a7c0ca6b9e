//! What a grant, a consent, a found version or a lost ledger makes of the ledger.

use jiff::{SignedDuration, Timestamp};

use super::consent::{Consents, RECENT_GRANTS, UNCONFIRMED};
use super::credential::{AttemptId, Credential, LockId, VersionId};
use super::ledger::{Backoff, BackoffCause, Ledger, MAX_CANDIDATES, OpenAttempt, Pointer, QUARANTINE, Today};
use super::reply::Refusal;
use super::schedule::{CLOCK_TOLERANCE, REFUSED_AGAIN_AFTER, clock_is_behind};

/// What the head was when a request was sent: a grant becomes the head only where it still is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentFrom {
    /// The epoch.
    pub epoch: u64,
    /// The head.
    pub head: VersionId,
}

/// Where a saved grant ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    /// It is the version that counts.
    Head,
    /// Something else became the head meanwhile; the grant is kept to fall back to.
    Candidate,
}

/// How often refusals of one token have to be seen before they are believed.
pub const REFUSALS_BELIEVED: u32 = 2;

impl Ledger {
    /// The grant of `attempt` is stored under `pointer`. It becomes the head if epoch and head are still those it was sent from.
    pub fn grant_saved(&mut self, attempt: &AttemptId, pointer: Pointer, sent_from: &SentFrom) -> Landed {
        if let Some(closed) = self.close(attempt) {
            self.return_budget(closed.opened, true);
        }
        let head = self.head.as_ref();
        if head.is_some_and(|head| head.version == pointer.version) {
            return Landed::Head;
        }
        if self.epoch == sent_from.epoch && head.is_some_and(|head| head.version == sent_from.head) {
            self.move_head(pointer);
            Landed::Head
        } else {
            self.add_candidate(pointer)
        }
    }

    /// A reply carried a refresh token in an odd way: it is stored under `pointer`, and the attempt stays open.
    pub fn odd_grant_saved(&mut self, pointer: Pointer) -> Landed {
        self.add_candidate(pointer)
    }

    /// A version that an open attempt brought was found in the vault. It becomes the head if the attempt was sent from the head's token and
    /// brought an access token, else a candidate. What a code brought is what a consent brings; nobody knows whose it is.
    /// What was found before it may have closed the attempt.
    pub fn adopt(&mut self, attempt: &OpenAttempt, version: VersionId, credential: &Credential) -> Landed {
        let pointer = Pointer::to(version, credential);
        if let Some(sent) = attempt.sent_code() {
            return self.consent_saved(&attempt.id, pointer, None, sent);
        }
        let sent_from_head = self.head.as_ref().is_some_and(|head| head.fingerprint == attempt.fingerprint && head.epoch == pointer.epoch);
        if credential.access.is_none() {
            return self.add_candidate(pointer);
        }
        if let Some(closed) = self.close(&attempt.id) {
            self.return_budget(closed.opened, true);
        }
        if sent_from_head {
            self.move_head(pointer);
            Landed::Head
        } else {
            self.add_candidate(pointer)
        }
    }

    /// A consent or an import: a new epoch with this head. The old head stays as a candidate.
    pub fn new_epoch(&mut self, pointer: Pointer) {
        self.epoch = pointer.epoch;
        let old = self.head.clone();
        self.move_head(pointer);
        self.open.clear();
        let Consents { used, declined, pending, .. } = std::mem::take(&mut self.consents);
        self.consents = Consents { used, declined, ..Consents::default() };
        if let Some(old) = old {
            self.add_candidate(old);
        }
        if let Some(pending) = pending {
            self.set_aside(pending.pointer);
        }
    }

    /// The head is re-saved, unchanged, under another version (the first write of an identity proves its right to).
    pub fn resaved(&mut self, version: VersionId, writer: &str) {
        if let Some(head) = &mut self.head {
            head.version = version;
        }
        writer.clone_into(&mut self.writer);
    }

    /// The head is re-saved under another lock, in a new epoch. What is known of its token stays: open attempts, refusals, what keeps requests back.
    pub fn relocked(&mut self, pointer: Pointer, lock_id: LockId, writer: &str) {
        self.epoch = pointer.epoch;
        self.head = Some(pointer);
        self.lock_id = lock_id;
        writer.clone_into(&mut self.writer);
    }

    /// The head was refused for good: the first candidate of the same user that was not takes its place, and it takes the candidate's. False if
    /// there is none: then only a person can help.
    pub fn promote_candidate(&mut self) -> bool {
        let Some(head) = self.head.clone() else { return false };
        let Some(at) = self.candidates.iter().position(|candidate| self.may_follow(&head, candidate)) else { return false };
        self.head_from(at, head);
        true
    }

    /// All are refused: the latest grant of the same user takes the head's place, and it takes that one's.
    pub(super) fn take_latest_as_head(&mut self) {
        let Some(head) = self.head.clone() else { return };
        let same_user = self.candidates.iter().enumerate().filter(|(_, candidate)| candidate.same_user(&head));
        if let Some((at, latest)) = same_user.max_by_key(|(_, candidate)| candidate.granted_at)
            && latest.granted_at > head.granted_at
        {
            self.head_from(at, head);
        }
    }

    /// A candidate takes the head's place, and the head takes its. As the head it is of some epoch.
    fn head_from(&mut self, at: usize, head: Pointer) {
        let mut candidate = std::mem::replace(&mut self.candidates[at], head);
        if candidate.epoch == UNCONFIRMED {
            candidate.epoch = self.epoch;
        }
        self.head = Some(candidate);
    }

    /// Whether a candidate may take the place of a head that was refused.
    fn may_follow(&self, head: &Pointer, candidate: &Pointer) -> bool {
        candidate.same_user(head) && !self.is_refused(candidate)
    }

    /// Whether Exact refused it often enough to be believed.
    fn is_refused(&self, pointer: &Pointer) -> bool {
        self.refusals.iter().any(|refused| refused.fingerprint == pointer.fingerprint && refused.count >= REFUSALS_BELIEVED)
    }

    /// Whether the refusals of the head's token are to be believed.
    #[must_use]
    pub fn head_refused(&self) -> Option<Refusal> {
        let head = self.head.as_ref()?;
        let refused = self.refusals.iter().find(|refused| refused.fingerprint == head.fingerprint)?;
        (refused.count >= REFUSALS_BELIEVED).then_some(refused.refusal)
    }

    /// The ledger is gone and the vault still has versions: a new epoch whose head is the version with the latest grant. Another process may be
    /// waiting for a reply, and nothing is known of the budget, so both are presumed.
    #[must_use]
    pub fn rebuild(mut versions: Vec<(VersionId, Credential)>, now: Timestamp, mut empty: Self) -> Self {
        versions
            .sort_by_key(|(_, credential)| std::cmp::Reverse((credential.epoch != UNCONFIRMED, credential.granted_at, credential.access.is_some())));
        let mut pointers = versions.iter().map(|(version, credential)| Pointer::to(version.clone(), credential));
        empty.epoch = versions.iter().map(|(_, credential)| credential.epoch).max().unwrap_or(0) + 1;
        empty.head = pointers.next();
        empty.candidates = pointers.take(MAX_CANDIDATES).collect();
        empty.backoff = Some(Backoff { cause: BackoffCause::Rebuilt, first: now, count: 1, until: now + QUARANTINE });
        empty.ungranted = vec![now; 5];
        empty.today = Today { day: super::ledger::utc_day(now), requests: 5 };
        empty.rebuilt_at = Some(now);
        empty
    }

    /// Whether any stored time is so far ahead of the clock that the clock must have gone back.
    #[must_use]
    pub fn is_ahead_of(&self, credential: Option<&Credential>, now: Timestamp) -> bool {
        let limit = now + CLOCK_TOLERANCE;
        let unnoticed = |credential: &Credential| {
            clock_is_behind(credential, now) && self.clock_behind_since.is_none_or(|noticed| noticed > limit || noticed > credential.granted_at)
        };
        credential.is_some_and(unnoticed)
            || self.today.day > super::ledger::utc_day(limit)
            || self.ungranted.iter().any(|at| *at > limit)
            || self.open.iter().any(|attempt| attempt.opened > limit || attempt.unclear_since.is_some_and(|since| since > limit))
            || self.refusals.iter().any(|refused| refused.last > limit)
            || self.consents.begun.is_some_and(|begun| begun > limit)
            || self.backoff.is_some_and(|backoff| backoff.first > limit)
            || self.misconfigured.is_some_and(|problem| problem.last > limit)
            || self.dead.is_some_and(|dead| dead.since > limit || dead.last_probe.is_some_and(|probe| probe > limit))
    }

    /// The clock went back: every stored time ahead of it becomes now. That only ever makes the broker wait longer than it would have.
    pub fn reanchor(&mut self, now: Timestamp) {
        let clamp = |at: &mut Timestamp| *at = (*at).min(now);
        self.clock_behind_since = Some(now);
        self.ungranted.iter_mut().for_each(clamp);
        for attempt in &mut self.open {
            clamp(&mut attempt.opened);
            attempt.unclear_since.iter_mut().for_each(clamp);
            attempt.quarantine_until = attempt.quarantine_until.min(now + QUARANTINE);
        }
        self.refusals.iter_mut().for_each(|refused| clamp(&mut refused.last));
        self.consents.begun.iter_mut().for_each(clamp);
        if let Some(backoff) = &mut self.backoff {
            let length = backoff.until.duration_since(backoff.first).clamp(SignedDuration::ZERO, SignedDuration::from_hours(24));
            clamp(&mut backoff.first);
            backoff.until = backoff.until.min(now + length);
        }
        if let Some(problem) = &mut self.misconfigured {
            clamp(&mut problem.last);
        }
        if let Some(dead) = &mut self.dead {
            clamp(&mut dead.since);
            dead.last_probe.iter_mut().for_each(clamp);
        }
        self.today.day = self.today.day.min(super::ledger::utc_day(now));
    }

    /// Any grant that becomes the head clears what was held against the chain; what is older than the hour goes from the budget.
    fn move_head(&mut self, pointer: Pointer) {
        let granted_at = pointer.granted_at;
        let old = self.head.replace(pointer);
        if let Some(old) = old {
            // What was sent from another token, and whose process is past its quarantine or has said what became of it, is settled by this as well.
            let may_come = |attempt: &OpenAttempt| attempt.unclear_since.is_none() && attempt.quarantine_until > granted_at;
            self.open.retain(|attempt| attempt.fingerprint != old.fingerprint && may_come(attempt));
        }
        self.refusals.clear();
        self.backoff = None;
        self.dead = None;
        self.misconfigured = None;
        self.clock_behind_since = None;
        self.last_failure = None;
        self.rebuilt_at = None;
        self.recent_grants.push(granted_at);
        let excess = self.recent_grants.len().saturating_sub(RECENT_GRANTS);
        self.recent_grants.drain(..excess);
    }

    /// Keeps it where there is room: nobody has confirmed it, so it is nothing to fall back to.
    pub(super) fn set_aside(&mut self, pointer: Pointer) {
        let known = |other: &Pointer| other.version == pointer.version;
        if self.candidates.len() < MAX_CANDIDATES && !self.head.as_ref().is_some_and(known) && !self.candidates.iter().any(known) {
            self.candidates.push(Pointer { epoch: UNCONFIRMED, ..pointer });
        }
    }

    /// Keeps it to fall back to. To a chain that looked dead it is what was missing: the head's place is free for it.
    fn add_candidate(&mut self, pointer: Pointer) -> Landed {
        let known = |other: &Pointer| other.version == pointer.version || other.fingerprint == pointer.fingerprint;
        if self.head.as_ref().is_some_and(known) || self.candidates.iter().any(known) {
            return Landed::Candidate;
        }
        let revives = self.dead.is_some() && self.head.as_ref().is_some_and(|head| self.is_refused(head) && self.may_follow(head, &pointer));
        // Of too many, one that Exact has refused goes before one that it may still take.
        if self.candidates.len() >= MAX_CANDIDATES
            && let Some(refused) = self.candidates.iter().rposition(|candidate| self.is_refused(candidate))
        {
            self.candidates.remove(refused);
        }
        self.candidates.insert(0, pointer);
        self.candidates.truncate(MAX_CANDIDATES);
        if revives && self.promote_candidate() {
            self.dead = None;
            return Landed::Head;
        }
        Landed::Candidate
    }
}

/// When a refusal may be counted again.
#[must_use]
pub fn counts_again(last: Timestamp, now: Timestamp) -> bool {
    now >= last + REFUSED_AGAIN_AFTER
}
