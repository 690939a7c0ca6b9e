//! When to try the same refresh token again after an outcome that left open whether it was spent.
//!
//! What is known (public reports contradict each other): Exact may go on taking the old token for 600 s after it was spent, or until the new one
//! is used, or not at all; and no token is granted within 570 s of the last grant. If the lost reply was a grant made at time `x`, then only a
//! request between `x + 570` and `x + 600` is sure to be within both. `x` lies between the opening of the attempt and the moment at which it
//! became unclear, so a request at `t` covers every `x` in `t − 600 ..= t − 570`, and a few requests cover all of them. These are the *aims*.
//! A back-off that doubles hits that window almost never. Nearly every grant is made within a second of the opening: the first aim is as early in its
//! window as clocks allow, since whoever is awake only later asks then, and whoever is held up still asks in time.

use jiff::{SignedDuration, Timestamp};

use super::credential::Fingerprint;
use super::ledger::{BUDGET_HOUR, Ledger, OpenAttempt, UNGRANTED_AN_HOUR};

/// The first retry after an unclear outcome that its own process recorded. A process that died is waited for by its quarantine instead.
pub const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(30);
/// So many requests of the hour are not spent on the retry's aim: of what is refused twice a person has to hear.
const KEPT: usize = 2;
/// Without anything better to aim at.
pub const PERIOD: SignedDuration = SignedDuration::from_secs(600);

/// Storage time is told in whole seconds, and each process measures how far its own clock is off: two of them differ by a second or two.
const FIRST_AIM: SignedDuration = SignedDuration::from_secs(573);
/// A grant made this soon after the opening is covered by the first aim.
const FIRST_COVERS: SignedDuration = SignedDuration::from_secs(3);
/// If there is more to cover, the next follow before the 30 s that each covers are over.
const AIM_STEP: SignedDuration = SignedDuration::from_secs(28);
/// A request was made for an aim if it was made no earlier, as far as two clocks tell: half a minute may begin right there.
const CLOCKS: SignedDuration = SignedDuration::from_secs(2);
/// How long after an aim it is still worth asking.
const STILL_IN_TIME: SignedDuration = SignedDuration::from_secs(10);
/// A request for an aim whose outcome is unclear as well is made once more while the half minute lasts.
const ONCE_MORE: SignedDuration = SignedDuration::from_secs(17);
/// From an aim to the end of the half minute.
const WINDOW: SignedDuration = SignedDuration::from_secs(27);
/// How soon in that half minute it is tried again what could not be sent.
const NOT_SENT_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// The times at which a request covers the whole of what may have become of `attempt`; at least one, at most six.
pub fn aims(attempt: &OpenAttempt) -> impl Iterator<Item = Timestamp> + use<> {
    let opened = attempt.opened;
    let unknown = attempt.spent_by().duration_since(opened).clamp(SignedDuration::ZERO, SignedDuration::from_secs(140));
    let further = (unknown - FIRST_COVERS).max(SignedDuration::ZERO);
    let (whole, rest) = (further.as_millis() / AIM_STEP.as_millis(), further.as_millis() % AIM_STEP.as_millis());
    let count = 1 + i32::try_from(whole).unwrap_or(0) + i32::from(rest > 0);
    (0..count).map(move |at| opened + FIRST_AIM + AIM_STEP * at)
}

/// After this no aim of `attempt` is left.
#[must_use]
pub fn last_aim(attempt: &OpenAttempt) -> Timestamp {
    aims(attempt).max().unwrap_or(attempt.opened) + STILL_IN_TIME
}

/// When the token is tried next; None if no attempt with it is open. A time in the past means now.
///
/// The first retry, the aims of the first attempt of a series, those of an attempt whose process has died and, while some requests are left, the first
/// aim of the retry are never given up for anything; the others keep the pace that leaves one request for each 10 minutes of the hour, so that an
/// outage of hours does not use up the budget in its first minutes.
#[must_use]
pub fn next(ledger: &Ledger, fingerprint: Fingerprint) -> Option<Timestamp> {
    let mine = || ledger.open.iter().filter(move |attempt| attempt.fingerprint == fingerprint);
    let first = mine().next()?;
    let latest = mine().next_back()?;
    let last_request = ledger.ungranted.last().copied().unwrap_or(latest.opened).max(latest.opened);
    let ahead = move |at: &Timestamp| *at > last_request + CLOCKS;

    let first_retry = first.unclear_since.map_or(first.quarantine_until, |since| since + FIRST_RETRY);
    let some_are_left = ledger.ungranted_in_hour(last_request) + KEPT < UNGRANTED_AN_HOUR;
    let died = mine().skip(1).filter(|attempt| attempt.unclear_since.is_none()).flat_map(aims);
    let of_the_retry = mine().nth(1).filter(|_| some_are_left).and_then(|attempt| aims(attempt).next());
    let urgent = std::iter::once(first_retry).chain(aims(first)).chain(of_the_retry).chain(died).filter(ahead).min();
    let pace = pace(ledger, last_request);
    let once_more = mine().flat_map(aims).filter(|aim| is_unclear_at(ledger, fingerprint, *aim)).map(|aim| aim + ONCE_MORE);
    let once_more = once_more.filter(ahead).filter(|at| pace <= *at).min();
    let steady = mine().skip(1).take(1).chain(std::iter::once(latest)).flat_map(aims).filter(ahead).min();
    let steady = steady.unwrap_or(last_request + PERIOD).min(last_request + PERIOD).max(pace);
    urgent.into_iter().chain(once_more).chain([steady]).min()
}

/// Whether what was asked for that aim brought an unclear outcome in time to ask once more.
fn is_unclear_at(ledger: &Ledger, fingerprint: Fingerprint, aim: Timestamp) -> bool {
    let asked = |attempt: &&OpenAttempt| attempt.fingerprint == fingerprint && (aim - CLOCKS..aim + STILL_IN_TIME).contains(&attempt.opened);
    ledger.open.iter().filter(asked).any(|attempt| attempt.unclear_since.is_some_and(|since| since < aim + ONCE_MORE))
}

/// When to try again what was not sent, if not before `until`: nothing was spent, and an aim is not given up for a pause.
#[must_use]
pub fn not_sent_until(ledger: &Ledger, fingerprint: Fingerprint, now: Timestamp, until: Timestamp) -> Timestamp {
    let aims = ledger.open.iter().filter(|attempt| attempt.fingerprint == fingerprint).flat_map(aims);
    let soon = aims.filter(|aim| now < *aim + WINDOW).map(|aim| aim.max(now + NOT_SENT_AGAIN));
    soon.min().map_or(until, |soon| soon.min(until))
}

/// The earliest time at which one more request still leaves one for each following 10 minutes, until the oldest request leaves the hour.
fn pace(ledger: &Ledger, last_request: Timestamp) -> Timestamp {
    let hour: Vec<_> = ledger.ungranted.iter().filter(|at| **at > last_request - BUDGET_HOUR).collect();
    let (Some(oldest), used) = (hour.first(), hour.len()) else { return last_request };
    let spare = i64::try_from(UNGRANTED_AN_HOUR.saturating_sub(used + 1)).unwrap_or(0);
    // With `spare` requests left after this one, at most `spare + 1` periods may still lie ahead.
    **oldest + BUDGET_HOUR - SignedDuration::from_secs(PERIOD.as_secs() * (spare + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{AttemptId, LockId};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn attempt(opened: i64, unclear: Option<i64>) -> OpenAttempt {
        OpenAttempt {
            id: AttemptId(format!("attempt-{opened}")),
            fingerprint: Fingerprint([7; 16]),
            opened: at(opened),
            quarantine_until: at(opened + 140),
            unclear_since: unclear.map(at),
            code_in: None,
        }
    }

    #[test]
    fn the_aims_cover_every_moment_at_which_the_lost_grant_may_have_been_made() {
        for unclear in (0..=140).map(Some).chain([None]) {
            let attempt = attempt(0, unclear);
            let aims: Vec<_> = aims(&attempt).collect();
            let mut moment = attempt.opened;
            while moment <= attempt.spent_by() {
                let covered = |aim: &&Timestamp| {
                    let since = aim.duration_since(moment);
                    (SignedDuration::from_secs(570)..=SignedDuration::from_secs(600)).contains(&since)
                };
                assert!(aims.iter().any(|aim| covered(&aim)), "a grant made {moment} is in no window of {aims:?}");
                moment += SignedDuration::from_millis(250);
            }
            assert!((1..=6).contains(&aims.len()));
        }
    }

    /// Seed 1490 of the simulation: the second request was granted, its process died, and an aim at the first had just missed the gate.
    #[test]
    fn an_aim_at_one_attempt_does_not_stand_for_one_at_the_next() {
        let fingerprint = Fingerprint([7; 16]);
        let mut ledger = Ledger::begin(LockId("l".into()), "w");
        for second in [0, 31] {
            ledger.announce(AttemptId(format!("attempt-{second}")), fingerprint, at(second));
        }
        ledger.open[0].unclear_since = Some(at(1));
        // Who was held up asks 20 s after the aim.
        assert_eq!(next(&ledger, fingerprint), Some(at(573)));
        ledger.ungranted.push(at(593));
        assert_eq!(next(&ledger, fingerprint), Some(at(31 + 573)));
    }

    /// Seed 2844: the retry was granted, its reply never came, and the pace of an outage kept it from being aimed at.
    #[test]
    fn the_retry_is_aimed_at_whatever_the_pace() {
        let fingerprint = Fingerprint([7; 16]);
        let mut ledger = Ledger::begin(LockId("l".into()), "w");
        for (second, unclear) in [(0, 1), (32, 132)] {
            ledger.announce(AttemptId(format!("attempt-{second}")), fingerprint, at(second));
            ledger.open.last_mut().unwrap().unclear_since = Some(at(unclear));
        }
        ledger.ungranted.extend([at(573), at(590)]);
        assert_eq!(next(&ledger, fingerprint), Some(at(32 + 573)));
    }

    /// Seed 14926: the request at the aim met a redirect to nowhere, and 25 s were left in which nobody asked.
    #[test]
    fn what_is_unclear_at_the_aim_is_asked_once_more_if_there_are_requests_enough() {
        let fingerprint = Fingerprint([7; 16]);
        let mut ledger = Ledger::begin(LockId("l".into()), "w");
        for (second, unclear) in [(0, None), (573, Some(574))] {
            ledger.announce(AttemptId(format!("attempt-{second}")), fingerprint, at(second));
            ledger.open.last_mut().unwrap().unclear_since = unclear.map(at);
        }
        assert_eq!(next(&ledger, fingerprint), Some(at(590)));
        ledger.open[1].unclear_since = Some(at(595));
        assert_eq!(next(&ledger, fingerprint), Some(at(601)), "the next aim of one that died");
    }

    /// Seed 3856: the vault took no writes for some minutes, and the pause after that went on beyond the half minute that counted.
    #[test]
    fn what_was_not_sent_is_tried_again_at_the_aim() {
        let fingerprint = Fingerprint([7; 16]);
        let mut ledger = Ledger::begin(LockId("l".into()), "w");
        let later = |now: i64| at(now + 300);
        assert_eq!(not_sent_until(&ledger, fingerprint, at(400), later(400)), later(400));
        ledger.announce(AttemptId("attempt".into()), fingerprint, at(0));
        ledger.open[0].unclear_since = Some(at(1));
        assert_eq!(not_sent_until(&ledger, fingerprint, at(100), later(100)), later(100));
        assert_eq!(not_sent_until(&ledger, fingerprint, at(400), later(400)), at(573));
        assert_eq!(not_sent_until(&ledger, fingerprint, at(580), later(580)), at(585));
        assert_eq!(not_sent_until(&ledger, fingerprint, at(601), later(601)), later(601));
    }

    /// An outage in which every request fails at once: what is sent in the first two hours.
    #[test]
    fn an_outage_keeps_the_pace() {
        let mut ledger = Ledger::begin(LockId("l".into()), "w");
        let mut sent = Vec::new();
        let mut now = at(0);
        while now < at(7200) {
            let next = next(&ledger, Fingerprint([7; 16])).unwrap_or(now);
            let full = crate::token::ledger::UNGRANTED_AN_HOUR;
            if next <= now && ledger.ungranted_in_hour(now) < full {
                sent.push(now.duration_since(at(0)).as_secs());
                let id = AttemptId(format!("{}", sent.len()));
                ledger.announce(id, Fingerprint([7; 16]), now);
                ledger.open.last_mut().unwrap().unclear_since = Some(now);
            }
            now += SignedDuration::from_secs(1);
        }
        assert_eq!(&sent[..4], &[0, 30, 573, 603], "the first retry and the aims come first");
        let longest_silence = sent.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest_silence <= 660, "an outage of any length is noticed to be over within 11 minutes: {sent:?}");
    }
}
