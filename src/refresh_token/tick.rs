//! What the timer does every 9 minutes.
//!
//! Exact grants a new pair from 570 s after the last, so a tick every 540 s alone would find the token too young or dead. A tick therefore holds
//! for a while if the gate opens soon. Computed over 30 days of `0 */9 * * * *`: no hold keeps a living token at hand 58 % of the time, a hold of
//! up to 160 s 96 %; more brings nothing before 390 s. (One with a minute to live cannot be at hand for more than 540 s of each 570.)

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::{LookError, Outcome, Refresher};
use crate::token::schedule::{Answer, Due, Wait, answer, due};

/// The longest hold for Exact's gate.
pub const HOLD: Duration = Duration::from_secs(160);
/// The longest hold while it is open what became of a request: nobody else is awake to try again in the few seconds that count.
/// A little is left for what comes before the request: a tick that held for nothing has kept the next one from coming.
pub const HOLD_UNCLEAR: Duration = Duration::from_secs(365);
/// When a tick is over, whatever happens. The host kills at 600.
pub const TICK: Duration = Duration::from_secs(570);
/// After the time that was waited for, so that a clock a little slow does not find it not quite come.
const GRACE: Duration = Duration::from_millis(50);
/// How long a hold is slept through without a look at the clock.
const SLICE: Duration = Duration::from_secs(5);
/// Between two passes of one tick, where nothing else says how long; doubled each time.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MOST: Duration = Duration::from_secs(30);

const _: () = assert!(HOLD.as_secs() + super::BEFORE_A_REQUEST.as_secs() + super::REQUEST_NEEDS.as_secs() <= TICK.as_secs());
const _: () = assert!(HOLD_UNCLEAR.as_secs() + super::REQUEST_NEEDS.as_secs() <= TICK.as_secs());

/// What became of a timer tick, for the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// A failed tick is answered with 500. Waiting for Exact's gate is no failure; a chain that needs a person is.
    pub failed: bool,
    /// One line for a person, without any secret.
    pub line: String,
}

impl Refresher {
    /// One tick: looks, holds if that helps, refreshes if it may, and tries again while that is promising and there is time.
    pub async fn tick(self: &Arc<Self>) -> Tick {
        let begun = self.clock.monotonic();
        let elapsed = || self.clock.monotonic().saturating_sub(begun);
        let mut last = None;
        let mut pause = PAUSE;
        loop {
            let looked = self.look().await;
            let view = self.view();
            if view.unsaved || looked.is_ok() {
                let wanted = self.tick_wants_pass(last.is_none());
                if wanted && (last.is_none() || elapsed() < HOLD_UNCLEAR) {
                    last = Some(self.pass_until(begun + TICK).await);
                }
            } else if let Err(problem) = looked {
                last = Some(Outcome::StoreFailed(problem));
            }
            // Its work is done: the next gate is the next tick's.
            if last == Some(Outcome::Refreshed) {
                return self.report(last);
            }
            let Some(hold) = self.hold(elapsed(), pause, last.as_ref()) else { return self.report(last) };
            info!(seconds = hold.as_secs(), "holding until Exact Online may be asked");
            self.hold_for(hold).await;
            pause = (pause * 2).min(PAUSE_MOST);
        }
    }

    /// What the pass brought, or how far it is by then: it goes on by itself, and so may one that somebody else began later than this tick.
    async fn pass_until(self: &Arc<Self>, end: Duration) -> Outcome {
        let left = end.saturating_sub(self.clock.monotonic());
        tokio::select! {
            biased;
            outcome = Box::pin(self.pass(self.policy.mode, end)) => outcome,
            () = self.clock.sleep(left) => match self.unsaved() {
                Some(_) => Outcome::Unsaved("the store has not taken it by the end of this tick; it is still tried".to_owned()),
                None => Outcome::Busy,
            },
        }
    }

    fn tick_wants_pass(&self, first: bool) -> bool {
        let view = self.view();
        let Some(ledger) = &view.ledger else { return view.unsaved };
        let now_due = matches!(due(ledger, view.head.as_deref(), view.now, &self.policy), Due::Now(_));
        let repair = view.ledger_lost || !ledger.open.is_empty() || ledger.is_ahead_of(view.head.as_deref(), view.now);
        now_due || view.unsaved || (first && repair)
    }

    /// How long to hold now; None if the tick is over.
    fn hold(&self, elapsed: Duration, pause: Duration, last: Option<&Outcome>) -> Option<Duration> {
        let view = self.view();
        let Some(ledger) = view.ledger.as_ref() else {
            // A new process that met a store which is away: it may be back in a moment.
            let passes = matches!(last, Some(Outcome::StoreFailed(LookError::Unavailable(_))));
            return (passes && elapsed + pause <= HOLD).then_some(pause);
        };
        let limit = if ledger.is_unsettled(view.now) { HOLD_UNCLEAR } else { HOLD };
        let wait = match due(ledger, view.head.as_deref(), view.now, &self.policy) {
            Due::NotYet { until, .. } => Duration::try_from(until.duration_since(view.now)).unwrap_or(Duration::ZERO),
            Due::Now(_) => Duration::ZERO,
            Due::NeedsConsent(_) => return None,
        };
        let hold = (wait + GRACE).max(pause);
        (!view.unsaved && elapsed + hold <= limit).then_some(hold)
    }

    /// In slices, because the clock that a sleep goes by may stand still while the machine sleeps: then the time has come as soon as it wakes.
    async fn hold_for(&self, hold: Duration) {
        let end = self.ledger.now().saturating_add(hold).unwrap_or(Timestamp::MAX);
        let mut left = hold;
        while !left.is_zero() {
            let slice = left.min(SLICE);
            self.clock.sleep(slice).await;
            let by_the_wall = Duration::try_from(end.duration_since(self.ledger.now())).unwrap_or(Duration::ZERO);
            left = left.saturating_sub(slice).min(by_the_wall);
        }
    }

    fn report(&self, last: Option<Outcome>) -> Tick {
        let view = self.view();
        if let Some(warning) = self.ending(&view) {
            warn!("{warning}");
        }
        let alive = match answer(view.servable.as_deref(), view.served_at, jiff::SignedDuration::ZERO) {
            Answer::Token { remaining } => format!("the access token lives {} s more", remaining.as_secs()),
            Answer::RenewFirst | Answer::WaitUntil(_) | Answer::NeedsConsent => "there is no living access token".to_owned(),
        };
        let next = view.ledger.as_ref().map(|ledger| due(ledger, view.head.as_deref(), view.now, &self.policy));
        let (failed, what) = match last {
            Some(Outcome::Refreshed) => (false, "refreshed".to_owned()),
            Some(Outcome::Busy) => (false, "another process or call is at work on the tokens".to_owned()),
            Some(Outcome::Failed(what)) => (true, format!("the refresh failed: {what}")),
            Some(Outcome::Unsaved(why)) => (true, format!("a new pair of tokens could not be stored and is kept in memory: {why}")),
            Some(Outcome::StoreFailed(LookError::Unavailable(why) | LookError::Damaged(why))) => (true, format!("nothing was sent: {why}")),
            Some(Outcome::Crashed) => (true, "the refresh ended abnormally".to_owned()),
            Some(Outcome::NotDue { .. } | Outcome::NeedsConsent(_)) | None => (false, "no refresh".to_owned()),
        };
        let (needs_more, then) = match next {
            Some(Due::NeedsConsent(why)) => (true, format!("a person is needed: {}", view.needed(why))),
            Some(Due::NotYet { until, why }) => (!is_ordinary(why), format!("next not before {}: {why}", seconds(until))),
            Some(Due::Now(reason)) => (false, format!("next as soon as possible: {reason}")),
            None => (true, "nothing is known of the chain".to_owned()),
        };
        Tick { failed: failed || needs_more, line: format!("{what}; {alive}; {then}") }
    }
}

/// What is waited for when all goes well.
fn is_ordinary(why: Wait) -> bool {
    match why {
        Wait::TooYoung | Wait::NobodyAsks | Wait::AttemptInFlight | Wait::Consent => true,
        Wait::UnclearOutcome
        | Wait::Refused(_)
        | Wait::Backoff(_)
        | Wait::ClockBehind
        | Wait::Misconfigured(_)
        | Wait::HourlyBudget
        | Wait::DailyBudget => false,
    }
}

/// A time to the second: nobody needs more in a log.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
