//! How often a token with a minute's life is at hand: against how often the timer fires, the policy, and how long Exact is away.

use std::time::Duration;

use exact_token_broker::token::schedule::Mode;

use crate::history::live_through;
use crate::scenario::Scenario;
use crate::world::facts::Facts;

/// Minutes between two ticks.
pub const SCHEDULES: [i64; 2] = [9, 1];
/// Policies.
pub const POLICIES: [Mode; 2] = [Mode::KeepWarm, Mode::OnDemand];
/// Minutes for which Exact is away, once in eight hours.
pub const OUTAGES: [u64; 6] = [0, 5, 15, 30, 60, 120];
/// Histories for each.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=10;

/// Of one way to run it.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Minutes between two ticks.
    pub tick_minutes: i64,
    /// Policy.
    pub mode: Mode,
    /// Minutes without Exact.
    pub outage: u64,
    /// Of all time, in hundredths of a percent: such a token is in the memory of a process.
    pub at_hand: u64,
    /// Of all calls with the defaults, likewise: got one.
    pub served: u64,
    /// Requests to Exact in a day.
    pub requests_a_day: u64,
}

/// All of them, and in how many histories a promise was not kept.
#[must_use]
pub fn table() -> (Vec<Cell>, usize) {
    let mut cells = Vec::new();
    let mut broken = 0;
    for tick_minutes in SCHEDULES {
        for mode in POLICIES {
            for outage in OUTAGES {
                let mut facts = Facts::default();
                for seed in SEEDS {
                    let history = live_through(Scenario::quiet(seed, tick_minutes, mode, Duration::from_secs(60 * outage)));
                    broken += usize::from(!history.broken.is_empty());
                    facts.add(&history.facts);
                }
                let share = |part: u64, of: u64| (part * 10_000).checked_div(of).unwrap_or(0);
                cells.push(Cell {
                    tick_minutes,
                    mode,
                    outage,
                    at_hand: share(facts.warm.0, facts.warm.0 + facts.warm.1),
                    served: share(facts.served, facts.calls),
                    requests_a_day: (facts.requests * 86_400).checked_div(facts.seconds).unwrap_or(0),
                });
            }
        }
    }
    (cells, broken)
}
