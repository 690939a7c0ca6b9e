//! What a reply that is no grant makes of the ledger.

use jiff::{SignedDuration, Timestamp};

use super::credential::{AttemptId, Fingerprint};
use super::ledger::{Backoff, BackoffCause, Dead, Failure, FailureKind, Ledger, Misconfigured, Refused};
use super::reply::Refusal;
use super::retry;
use super::rotation::counts_again;

/// After "not expired", the gate opens for certain this long after the first such answer: 570 s and one for the clocks.
const SURELY_OPEN: SignedDuration = SignedDuration::from_secs(571);
const TOO_EARLY_FIRST: SignedDuration = SignedDuration::from_secs(60);
const NOT_SENT_FIRST: SignedDuration = SignedDuration::from_secs(5);
const NOT_SENT_MOST: SignedDuration = SignedDuration::from_secs(300);
const THROTTLED_FIRST: SignedDuration = SignedDuration::from_secs(30);
/// A `Retry-After` beyond this is taken for a mistake.
const RETRY_AFTER_MOST: SignedDuration = SignedDuration::from_hours(24);

/// The outcome of one request that brought no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What Exact, or the way to it, made of the request.
    pub what: FailureKind,
    /// From `Retry-After`.
    pub retry_after: Option<SignedDuration>,
    /// Of the settings that the request was made with.
    pub settings: Fingerprint,
}

impl Ledger {
    /// Records what became of `attempt`, at `now`.
    pub fn record(&mut self, attempt: &AttemptId, outcome: Outcome, now: Timestamp) {
        let in_a_row = self.last_failure.map_or(0, |failure| failure.in_a_row).saturating_add(1);
        self.last_failure = Some(Failure { what: outcome.what, at: now, in_a_row });
        if !matches!(outcome.what, FailureKind::NotSent(_) | FailureKind::Misconfigured(_)) {
            self.misconfigured = None;
        }
        match outcome.what {
            FailureKind::Unclear(_) => {
                if let Some(open) = self.open.iter_mut().find(|open| open.id == *attempt) {
                    open.unclear_since = Some(now);
                }
            }
            FailureKind::NotSent(cause) => {
                if let Some(closed) = self.close(attempt) {
                    self.return_budget(closed.opened, false);
                    if let Some(dead) = &mut self.dead
                        && dead.last_probe == Some(closed.opened)
                    {
                        dead.probes = dead.probes.saturating_sub(1);
                    }
                }
                self.back_off(BackoffCause::NotSent(cause), now, |count, _| {
                    let doubled = NOT_SENT_FIRST.as_secs() << (count - 1).min(6);
                    now + SignedDuration::from_secs(doubled).min(NOT_SENT_MOST)
                });
                if let (Some(head), Some(backoff)) = (&self.head, self.backoff) {
                    let until = retry::not_sent_until(self, head.fingerprint, now, backoff.until);
                    self.backoff = Some(Backoff { until, ..backoff });
                }
            }
            FailureKind::TooEarly => {
                self.close(attempt);
                // With an earlier attempt open, that one has probably rotated: its aims say when to ask, not this.
                if self.head.as_ref().and_then(|head| retry::next(self, head.fingerprint)).is_none() {
                    self.back_off(BackoffCause::TooEarly, now, |count, first| {
                        let doubled = now + SignedDuration::from_secs(TOO_EARLY_FIRST.as_secs() << (count - 1).min(6));
                        let surely = first + SURELY_OPEN;
                        if surely > now { doubled.min(surely) } else { doubled }
                    });
                }
            }
            FailureKind::Throttled => {
                self.close(attempt);
                self.back_off(BackoffCause::Throttled, now, |count, _| {
                    let doubled = SignedDuration::from_secs(THROTTLED_FIRST.as_secs() << (count - 1).min(6)).min(NOT_SENT_MOST);
                    now + outcome.retry_after.map_or(doubled, |asked| asked.clamp(THROTTLED_FIRST, RETRY_AFTER_MOST))
                });
            }
            FailureKind::Misconfigured(what) => {
                self.close(attempt);
                self.misconfigured = Some(Misconfigured { what, settings: outcome.settings, last: now });
            }
            FailureKind::Refused(refusal) => {
                if let Some(closed) = self.close(attempt) {
                    self.refused(closed.fingerprint, refusal, now);
                }
            }
        }
        if !matches!(outcome.what, FailureKind::NotSent(_) | FailureKind::TooEarly | FailureKind::Throttled) {
            self.backoff = None;
        }
    }

    /// One refusal is not death; the second, 60 s later, moves on to the next candidate, and after the last of them a person is needed.
    fn refused(&mut self, fingerprint: Fingerprint, refusal: Refusal, now: Timestamp) {
        match self.refusals.iter_mut().find(|refused| refused.fingerprint == fingerprint) {
            Some(refused) => {
                refused.refusal = refusal;
                if counts_again(refused.last, now) {
                    refused.count = refused.count.saturating_add(1);
                    refused.last = now;
                }
            }
            None => self.refusals.push(Refused { fingerprint, refusal, count: 1, last: now }),
        }
        if self.head_refused().is_none() {
            return;
        }
        if self.promote_candidate() {
            self.dead = None;
        } else if self.dead.is_none() {
            // The refusals may have been mistakes, and of all tokens only the latest can live: that is the one to try now and then.
            self.take_latest_as_head();
            self.dead = Some(Dead { since: now, refusal, probes: 0, last_probe: None });
        }
    }

    fn back_off(&mut self, cause: BackoffCause, now: Timestamp, until: impl Fn(u32, Timestamp) -> Timestamp) {
        let same = |backoff: &Backoff| std::mem::discriminant(&backoff.cause) == std::mem::discriminant(&cause);
        let (first, count) = match self.backoff.filter(same) {
            // A series ends when what it waited for has surely happened.
            Some(series) if cause != BackoffCause::TooEarly || now < series.first + SURELY_OPEN => (series.first, series.count.saturating_add(1)),
            _ => (now, 1),
        };
        self.backoff = Some(Backoff { cause, first, count, until: until(count, first) });
    }
}
