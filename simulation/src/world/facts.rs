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
    pub lost: BTreeMap<String, u64>,
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

    /// As lines, to be read again.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut copy = self.clone();
        let mut lines: Vec<String> = copy.numbers().into_iter().map(|(name, value)| format!("number\t{name}\t{value}")).collect();
        for (kind, named) in [("event", &self.events), ("lost", &self.lost)] {
            lines.extend(named.iter().map(|(name, count)| format!("{kind}\t{name}\t{count}")));
        }
        for (kind, lengths) in [("gap", &self.gaps), ("recovered", &self.recovered)] {
            lines.extend(lengths.iter().map(|(length, count)| format!("{kind}\t{length}\t{count}")));
        }
        lines.join("\n") + "\n"
    }

    /// From [`Facts::to_text`]. None: it is not that.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut facts = Self::default();
        for line in text.lines() {
            let mut parts = line.split('\t');
            let (kind, name, count) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
            match kind {
                "number" => *facts.numbers().into_iter().find(|(known, _)| *known == name)?.1 = count,
                "event" => drop(facts.events.insert(name.to_owned(), count)),
                "lost" => drop(facts.lost.insert(name.to_owned(), count)),
                "gap" => drop(facts.gaps.insert(name.parse().ok()?, count)),
                "recovered" => drop(facts.recovered.insert(name.parse().ok()?, count)),
                _ => return None,
            }
        }
        Some(facts)
    }

    fn numbers(&mut self) -> [(&'static str, &mut u64); 12] {
        [
            ("histories", &mut self.histories),
            ("seconds", &mut self.seconds),
            ("rotations", &mut self.rotations),
            ("requests", &mut self.requests),
            ("ungranted", &mut self.ungranted),
            ("most ungranted in an hour", &mut self.most.0),
            ("most requests in a day", &mut self.most.1),
            ("ticks", &mut self.ticks),
            ("calls", &mut self.calls),
            ("served", &mut self.served),
            ("warm", &mut self.warm.0),
            ("cold", &mut self.warm.1),
        ]
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
            *self.lost.entry(cause.clone()).or_default() += count;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut facts = Facts { histories: 3, most: (9, 70), ..Facts::default() };
        facts.count("process killed");
        facts.gap(Duration::from_secs(75));
        facts.lost.insert("reply lost".to_owned(), 2);
        assert_eq!(Facts::from_text(&facts.to_text()), Some(facts));
        assert_eq!(Facts::from_text("number\tunknown\t1"), None);
    }
}
