//! When a timer fires: pure decisions over a schedule, its stored status and the time.
//!
//! Source: azure-webjobs-sdk-extensions, `TimerListener` and `ScheduleMonitor`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::ncrontab::Ncrontab;

/// A schedule: NCRONTAB, or a constant interval from the start of the last invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ticks {
    Cron(Ncrontab),
    Every(Duration),
}

impl Ticks {
    /// Far in the future for an expression that never occurs again.
    pub(super) fn next_after(&self, time: Timestamp) -> Timestamp {
        match self {
            Self::Cron(cron) => cron.next_after(time).unwrap_or(Timestamp::MAX),
            Self::Every(every) => SignedDuration::try_from(*every).ok().and_then(|every| time.checked_add(every).ok()).unwrap_or(Timestamp::MAX),
        }
    }

    pub(super) fn adjusts_for_dst(&self) -> bool {
        matches!(self, Self::Cron(_))
    }

    /// More than one tick a minute: the host then keeps no status.
    pub(super) fn within_a_minute(&self) -> bool {
        match self {
            Self::Cron(cron) => cron.within_a_minute(),
            Self::Every(every) => *every < Duration::from_mins(1),
        }
    }
}

/// What the host stores of a timer, after each invocation. `None` is .NET's year 1: never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScheduleStatus {
    pub(super) last: Option<Timestamp>,
    pub(super) next: Timestamp,
    pub(super) last_updated: Option<Timestamp>,
}

impl ScheduleStatus {
    pub(super) fn after(ticks: &Ticks, started: Timestamp) -> Self {
        Self { last: Some(started), next: ticks.next_after(started), last_updated: Some(started) }
    }
}

/// What a listener does first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The stored next tick has gone by, once or often: one invocation with `IsPastDue`.
    PastDue,
    /// `runOnStartup` asks for it.
    OnStartup,
    WaitUntil(Timestamp),
}

/// Decides the first step, and what the stored status becomes before it.
pub(super) fn first(ticks: &Ticks, stored: Option<ScheduleStatus>, run_on_startup: bool, now: Timestamp) -> (First, ScheduleStatus) {
    let status = match stored {
        None => ScheduleStatus { last: None, next: ticks.next_after(now), last_updated: None },
        Some(mut status) => {
            // A schedule that has changed since is not past due: the new next tick counts.
            if let Some(base) = status.last.or(status.last_updated) {
                status.next = ticks.next_after(base);
            }
            status
        }
    };
    let first = if now > status.next {
        First::PastDue
    } else if run_on_startup {
        First::OnStartup
    } else {
        First::WaitUntil(status.next)
    };
    (first, status)
}

/// What a listener does after an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    At(Timestamp),
    /// The invocation outlasted one tick or more: exactly one more at once, not past due.
    CatchUp,
}

pub(super) fn next(ticks: &Ticks, started: Timestamp, now: Timestamp) -> Next {
    let due = ticks.next_after(started);
    if due <= now { Next::CatchUp } else { Next::At(due) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: &str) -> Timestamp {
        format!("2026-11-23T{clock}Z").parse().unwrap()
    }

    fn nine_minutes() -> Ticks {
        Ticks::Cron(Ncrontab::parse("0 */9 * * * *").unwrap())
    }

    #[test]
    fn a_missed_tick_is_past_due_once_however_many_were_missed() {
        let ticks = nine_minutes();
        let stored = ScheduleStatus::after(&ticks, at("16:36:00"));
        let (step, _) = first(&ticks, Some(stored.clone()), false, at("16:40:00"));
        assert_eq!(step, First::WaitUntil(at("16:45:00")));
        let (step, status) = first(&ticks, Some(stored), true, at("18:00:30"));
        assert_eq!(step, First::PastDue);
        assert_eq!(status.next, at("16:45:00"));
        assert_eq!(next(&ticks, at("18:00:30"), at("18:00:31")), Next::At(at("18:09:00")));
    }

    #[test]
    fn a_first_start_waits_for_the_next_tick_unless_told_to_run() {
        let ticks = nine_minutes();
        let (step, status) = first(&ticks, None, false, at("16:40:00"));
        assert_eq!(step, First::WaitUntil(at("16:45:00")));
        assert_eq!(status.last, None);
        assert_eq!(first(&ticks, None, true, at("16:40:00")).0, First::OnStartup);
    }

    #[test]
    fn an_overrun_is_caught_up_once() {
        let ticks = nine_minutes();
        // Three ticks went by during the invocation.
        assert_eq!(next(&ticks, at("16:09:00"), at("16:40:00")), Next::CatchUp);
        // The catch-up starts at 16:40, and the schedule goes on from there.
        assert_eq!(next(&ticks, at("16:40:00"), at("16:40:01")), Next::At(at("16:45:00")));
    }

    #[test]
    fn a_time_span_counts_from_the_last_start() {
        let ticks = Ticks::Every(Duration::from_mins(9));
        assert_eq!(next(&ticks, at("16:01:07"), at("16:01:09")), Next::At(at("16:10:07")));
    }
}
