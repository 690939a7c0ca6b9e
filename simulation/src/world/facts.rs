//! What is counted, in whole numbers, so that histories can be added up in any order.

use std::collections::BTreeMap;
use std::time::Duration;

/// Of one history or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Histories.
    pub histories: u64,
    /// Virtual seconds.
    pub seconds: u64,
    /// Grants that Exact made for a refresh.
    pub rotations: u64,
    /// Requests to the token service.
    pub requests: u64,
    /// Requests that brought no grant.
    pub ungranted: u64,
    /// The most of them in any hour, and the most requests in any UTC day.
    pub most: (u64, u64),
    /// Ticks, calls of `GetToken`, those that got a token.
    pub ticks: u64,
    /// See above.
    pub calls: u64,
    /// See above.
    pub served: u64,
    /// By name: kills, freezes, starts, faults by port and kind.
    pub events: BTreeMap<String, u64>,
    /// Chains lost, by cause.
    pub lost: BTreeMap<&'static str, u64>,
    /// Lengths of times without a token of a minute's life anywhere, while the chain lived: in seconds, how often.
    pub gaps: BTreeMap<u64, u64>,
    /// Samples with such a token, and without.
    pub warm: (u64, u64),
    /// How long after the faults stopped it served again: in seconds, how often.
    pub recovered: BTreeMap<u64, u64>,
}

impl Facts {
    /// Once more.
    pub fn count(&mut self, event: impl Into<String>) {
        *self.events.entry(event.into()).or_default() += 1;
    }

    /// A time without a token.
    pub fn gap(&mut self, length: Duration) {
        *self.gaps.entry(length.as_secs()).or_default() += 1;
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.seconds += other.seconds;
        self.rotations += other.rotations;
        self.requests += other.requests;
        self.ungranted += other.ungranted;
        self.most = (self.most.0.max(other.most.0), self.most.1.max(other.most.1));
        self.ticks += other.ticks;
        self.calls += other.calls;
        self.served += other.served;
        self.warm = (self.warm.0 + other.warm.0, self.warm.1 + other.warm.1);
        for (name, count) in &other.events {
            *self.events.entry(name.clone()).or_default() += count;
        }
        for (cause, count) in &other.lost {
            *self.lost.entry(cause).or_default() += count;
        }
        for (mine, others) in [(&mut self.gaps, &other.gaps), (&mut self.recovered, &other.recovered)] {
            for (length, count) in others {
                *mine.entry(*length).or_default() += count;
            }
        }
    }
}

/// The value below which `percent` of them lie.
#[must_use]
pub fn percentile(of: &BTreeMap<u64, u64>, percent: u64) -> u64 {
    let all: u64 = of.values().sum();
    let mut left = (all * percent).div_ceil(100);
    for (value, count) in of {
        if *count >= left {
            return *value;
        }
        left -= count;
    }
    of.keys().next_back().copied().unwrap_or(0)
}
