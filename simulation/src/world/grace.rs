//! Where Exact takes the previous token for 600 s more: whether that could have been used, by anybody, under the rules that the product keeps.
//!
//! No new pair is granted within 570 s of the lost one, so half a minute is left, and of that what clocks leave of it. It is looked at second by second:
//! one in which nothing stood in the way, and nobody asked, makes the loss ours.

use std::collections::BTreeMap;

use exact_token_broker::token::ledger::{BackoffCause, UNGRANTED_AN_HOUR};
use exact_token_broker::token::{Fingerprint, Ledger, Secret};
use jiff::{SignedDuration, Timestamp};

use super::oracle::Made;
use super::weather::Port;
use super::{ProcessId, State};

const GATE: SignedDuration = SignedDuration::from_secs(570);
/// Nobody may ask in the first seconds of that: storage time is told in whole seconds and two readings of it differ by a second or two, so what is asked
/// for 570 s later by one of them can be too early by the other, and too early spends the hour's requests. From here on every clock agrees. A tick that
/// could hold to the seconds before and no longer, with nobody awake after it, cannot use them (seed 3360).
const CLOCKS_AGREE: SignedDuration = SignedDuration::from_secs(575);
const GRACE: SignedDuration = SignedDuration::from_secs(600);
/// A pass that nothing disturbs needs no longer from its first step to Exact.
const STEPS: SignedDuration = SignedDuration::from_secs(2);
/// A tick begins nothing later: what it begins has to end before the host kills it.
const TICK_BEGINS_WITHIN: SignedDuration = SignedDuration::from_secs(365);
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const TEN_MINUTES: SignedDuration = SignedDuration::from_mins(10);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// An invocation: between them nothing runs.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Where.
    pub process: ProcessId,
    /// A tick, or a call of `GetToken`.
    pub tick: bool,
    /// From when.
    pub from: Timestamp,
    /// Until when. None: it is not over, or its process is.
    pub until: Option<Timestamp>,
}

/// A fault that befell one request, or a process.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// When.
    pub at: Timestamp,
    /// Whom. 0: all.
    pub process: ProcessId,
}

/// For how long a process had the lease.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Who.
    pub process: ProcessId,
    /// From when.
    pub from: Timestamp,
    /// Until it gave it back. None: it has not, or another has taken it since.
    pub until: Option<Timestamp>,
}

/// What stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// No invocation ran, or its process was dead or frozen.
    NobodyAwake,
    /// Exact, vault, blob or identity could not be had.
    PortAway,
    /// Eight requests without a grant in the hour.
    Budget,
    /// Some are left, and kept for the rest of the hour: one for each ten minutes of it.
    Pace,
    /// Exact asked for fewer requests, or does not accept the app.
    ToldToWait,
    /// Exact had said twice that this token is dead.
    Refused,
    /// The vault had lost it.
    VaultLostVersion,
    /// A single fault befell who would have asked.
    Struck,
}

impl Obstacle {
    /// As the report calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NobodyAwake => "grace: no invocation ran in its last 30 s",
            Self::PortAway => "grace: a service was away in its last 30 s",
            Self::Budget => "grace: the hour's requests were spent",
            Self::Pace => "grace: the hour's last requests were kept for later",
            Self::ToldToWait => "grace: Exact had told us to wait",
            Self::Refused => "grace: Exact had called the token dead",
            Self::VaultLostVersion => "grace: the vault had lost the token",
            Self::Struck => "grace: a fault befell the one who asked",
        }
    }
}

impl State {
    /// Whether the pair was got by grace itself: then there is no second one.
    pub(super) fn grace_is_used(&self, pair: &Made) -> bool {
        pair.at + GATE >= self.grace_ends(pair)
    }

    fn grace_ends(&self, pair: &Made) -> Timestamp {
        self.oracle.made.iter().find(|made| made.sent == pair.sent).map_or(pair.at, |first| first.at) + GRACE
    }

    /// What stood in the way for all of the time that counts. None: nothing did, at some time.
    pub(super) fn why_grace_ran_out(&self, pair: &Made, killed: bool) -> Option<Obstacle> {
        let urgent = killed || self.is_first_request(pair);
        let (opens, closes) = (pair.at + CLOCKS_AGREE, self.grace_ends(pair) - STEPS);
        let mut seen: BTreeMap<Obstacle, u32> = BTreeMap::new();
        let mut at = opens;
        while at <= closes {
            *seen.entry(self.obstacle(pair, at, closes, urgent)?).or_default() += 1;
            at += SECOND;
        }
        // What was there for the longest time names it.
        seen.into_iter().max_by_key(|(_, seconds)| *seconds).map(|(obstacle, _)| obstacle)
    }

    /// Whether nothing was asked with its token before: what is lost then, and what a killed process leaves, is asked for again whatever the pace.
    fn is_first_request(&self, pair: &Made) -> bool {
        let log = self.exact.log();
        let presented = log.iter().find(|asked| asked.at == pair.at && asked.committed).and_then(|asked| asked.presented.as_ref());
        !log.iter().any(|asked| asked.at < pair.at && asked.presented.as_ref() == presented)
    }

    fn obstacle(&self, pair: &Made, at: Timestamp, closes: Timestamp, urgent: bool) -> Option<Obstacle> {
        let away = [Port::Exact, Port::Vault, Port::Blob, Port::Identity].iter().any(|port| self.weather.is_away_between(*port, at, at + STEPS));
        if away {
            return Some(Obstacle::PortAway);
        }
        let awake: Vec<ProcessId> = self.runs.iter().filter(|run| self.is_awake(run, at)).map(|run| run.process).collect();
        if awake.is_empty() {
            return Some(Obstacle::NobodyAwake);
        }
        if let Some(obstacle) = self.ledger().and_then(|ledger| forbidden(&ledger, pair, at, urgent)) {
            return Some(obstacle);
        }
        if self.head_is_gone() {
            return Some(Obstacle::VaultLostVersion);
        }
        // Whoever asks later than this one was struck asks too late; whoever was struck before may have been asking, and found no time for more.
        let struck = |process: ProcessId| {
            let near = |strike: &&Strike| strike.at >= at - SignedDuration::from_secs(30) && strike.at <= closes + STEPS;
            self.struck.iter().filter(near).any(|strike| strike.process == 0 || strike.process == process)
        };
        // Who has the lock and is struck keeps everybody waiting who is not: only one asks at a time.
        let waited_for = self.held.iter().rev().find(|held| held.from <= at).filter(|held| held.until.is_none_or(|until| at <= until));
        (waited_for.is_some_and(|held| struck(held.process)) || awake.into_iter().all(struck)).then_some(Obstacle::Struck)
    }

    fn is_awake(&self, run: &Run, at: Timestamp) -> bool {
        let runs = run.from <= at && if run.tick { at <= run.from + TICK_BEGINS_WITHIN } else { run.until.is_none_or(|until| at <= until) };
        let well = |seen: &super::Seen| seen.control.died().is_none_or(|died| died > at + STEPS) && !seen.control.was_frozen_between(at, at + STEPS);
        runs && self.processes.get(&run.process).is_some_and(|seen| !seen.misplaced && well(seen))
    }
}

/// What the ledger, as it is now, says against a request at that time.
fn forbidden(ledger: &Ledger, pair: &Made, at: Timestamp, urgent: bool) -> Option<Obstacle> {
    let sent = Fingerprint::of(&Secret::new(&*pair.sent));
    let used = ledger.ungranted.iter().filter(|asked| **asked > at - HOUR && **asked < at).count();
    let waits = ledger.backoff.is_some_and(|backoff| backoff.cause == BackoffCause::Throttled && backoff.until > at);
    let not_taken = ledger.misconfigured.is_some_and(|problem| problem.last + HOUR > at);
    let refused = ledger.refusals.iter().any(|refused| refused.fingerprint == sent && refused.count >= 2 && refused.last < at);
    let oldest = ledger.ungranted.iter().find(|asked| **asked > at - HOUR);
    let left = i64::try_from(UNGRANTED_AN_HOUR.saturating_sub(used)).unwrap_or(0);
    let paced = used >= 4 && oldest.is_some_and(|oldest| at < *oldest + HOUR - TEN_MINUTES * i32::try_from(left).unwrap_or(0));
    if used >= UNGRANTED_AN_HOUR {
        Some(Obstacle::Budget)
    } else if paced && !urgent {
        Some(Obstacle::Pace)
    } else if waits || not_taken {
        Some(Obstacle::ToldToWait)
    } else if refused {
        Some(Obstacle::Refused)
    } else {
        None
    }
}
