//! Who knows what nobody inside can know: which refresh tokens Exact would still take, who has them, and whose fault it is if nobody does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use simulators::exact_online::Grace;

use super::grace::{Obstacle, Strike};
use super::weather::Port;
use super::{ProcessId, State};

/// A reply that takes longer is given up, and rightly.
const ANSWER_WITHIN: SignedDuration = SignedDuration::from_secs(100);
/// A process that is well, over a vault that is well, stores a grant within this.
const STORED_WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// The same after trouble: a call that hangs is given up after 30 s, and the longest pause before the next is 15 s.
const STORED_LATER_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// Why no token of a chain is left. The names stand in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A process was killed between Exact's reply and the first durable write.
    Killed,
    /// A reply was lost on its way, or took longer than 100 s.
    ReplyLost,
    /// A process was frozen between its last check and the socket: another had asked with the same token meanwhile, or there is a grace and nobody
    /// can know when the request left.
    Overlap,
    /// The vault lost a version that it had confirmed.
    VaultLostVersion,
    /// Killed, or a reply lost, and this stood in the way for the whole of the time in which Exact's grace could have been used.
    GraceRanOut(Obstacle),
    /// Anything else.
    Ours(&'static str),
}

impl Cause {
    /// As the report calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed before the first durable write",
            Self::ReplyLost => "reply lost",
            Self::Overlap => "frozen between check and socket",
            Self::VaultLostVersion => "the vault lost a version",
            Self::GraceRanOut(obstacle) => obstacle.name(),
            Self::Ours(_) => "OURS",
        }
    }
}

/// A pair that Exact made.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that happened to it or did not")]
pub struct Made {
    /// The refresh token.
    pub token: String,
    /// In the order of making, from 1; for the journal.
    pub ordinal: usize,
    /// When.
    pub at: Timestamp,
    /// Who asked. None: a person, elsewhere.
    pub by: Option<ProcessId>,
    /// What was sent for it.
    pub sent: String,
    /// Its reply was no complete grant: what comes of it may be used at once, as if its age were unknown.
    pub odd: bool,
    /// When its reply is there, whole enough to hold the token. None: it never is.
    pub arrives: Option<Timestamp>,
    /// When the process had it.
    pub received: Option<Timestamp>,
    /// It was in the vault.
    pub stored: bool,
    /// Whether a reply that came in time found nobody waiting.
    pub ignored: bool,
    /// Granted to a process that had been frozen a moment before it sent.
    pub overlapping: bool,
}

/// What it remembers.
#[derive(Debug, Default)]
pub struct Oracle {
    /// In the order of making.
    pub made: Vec<Made>,
    by_token: BTreeMap<String, usize>,
    /// In the vault now.
    stored: BTreeSet<String>,
    /// Once in the vault, and taken away by the vault itself.
    rolled_back: BTreeSet<String>,
    /// When Exact said of which token that it is dead, by fingerprint.
    pub refused: BTreeMap<String, Vec<Timestamp>>,
    /// Got elsewhere by a person who has not seen it taken over yet.
    pub with_a_person: Option<String>,
    /// When the current chain was lost.
    pub lost: Option<(Timestamp, Cause)>,
}

impl Oracle {
    /// Exact made a pair.
    pub fn made(&mut self, made: Made) {
        self.by_token.insert(made.token.clone(), self.made.len());
        self.made.push(made);
    }

    /// A pair by its refresh token.
    pub fn pair(&mut self, token: &str) -> Option<&mut Made> {
        self.by_token.get(token).and_then(|at| self.made.get_mut(*at))
    }

    /// For the journal.
    #[must_use]
    pub fn name(&self, token: &str) -> String {
        self.by_token.get(token).map_or_else(|| "r?".to_owned(), |at| format!("r{}", at + 1))
    }

    /// A version with it landed in the vault.
    pub fn stored(&mut self, token: &str) {
        self.stored.insert(token.to_owned());
        if let Some(pair) = self.pair(token) {
            pair.stored = true;
        }
    }

    /// The vault has it no more, by its own doing.
    pub fn rolled_back(&mut self, token: &str) {
        self.stored.remove(token);
        self.rolled_back.insert(token.to_owned());
    }

    /// The vault has it again.
    pub fn caught_up(&mut self, token: &str) {
        self.stored.insert(token.to_owned());
        self.rolled_back.remove(token);
    }
}

impl State {
    /// Whether Exact would still take a token that somebody has: the vault, a living process, a reply on its way to one, or a person who brings it.
    #[must_use]
    pub fn chain_lives(&self, now: Timestamp) -> bool {
        self.oracle.made.iter().rev().take(16).any(|pair| self.exact.is_chain_alive(&pair.token, now) && self.is_held(pair, now))
    }

    /// Whether what Exact would still take came with a consent whose process was killed before the ledger knew of it. The product finds such a pair
    /// and keeps it as a candidate, since it cannot tell whose it is; nobody but a person takes it up.
    #[must_use]
    pub fn only_a_consent_lives(&self, now: Timestamp) -> bool {
        let alive = |pair: &&Made| self.exact.is_chain_alive(&pair.token, now) && self.is_held(pair, now);
        let by_code = |pair: &Made| pair.by.is_some() && !self.oracle.by_token.contains_key(&pair.sent);
        self.oracle.made.iter().rev().take(16).filter(alive).all(by_code)
    }

    fn is_held(&self, pair: &Made, now: Timestamp) -> bool {
        if self.oracle.stored.contains(&pair.token) || self.oracle.with_a_person.as_ref() == Some(&pair.token) {
            return true;
        }
        let asker = pair.by.is_some_and(|by| self.lives(by));
        let on_its_way = asker && !pair.ignored && pair.received.is_none() && pair.arrives.is_some_and(|at| at + SignedDuration::from_secs(1) >= now);
        on_its_way
            || self.frozen_before_reading(pair, now)
            || self.in_hand(pair, now)
            || self.processes.iter().any(|(id, _)| self.lives(*id) && self.remembers(*id, &pair.token))
    }

    /// A reply that lies in the socket of a process that is frozen, or was until a moment ago.
    fn frozen_before_reading(&self, pair: &Made, now: Timestamp) -> bool {
        let moment = now - SignedDuration::from_secs(1);
        pair.received.is_none()
            && !pair.ignored
            && pair.arrives.is_some()
            && pair.by.is_some_and(|by| self.lives(by) && self.processes.get(&by).is_some_and(|seen| seen.control.was_frozen_since(moment)))
    }

    /// Received, and not yet where it can be seen: in the hands of a process that is frozen, or was until a moment ago.
    fn in_hand(&self, pair: &Made, now: Timestamp) -> bool {
        let Some(received) = pair.received else { return false };
        let moment = now - SignedDuration::from_secs(1);
        let lately = |by: ProcessId| self.processes.get(&by).is_some_and(|seen| received >= moment || seen.control.was_frozen_since(moment));
        pair.by.is_some_and(|by| self.lives(by) && lately(by)) && !pair.stored
    }

    /// Whether a token is in the memory of a process, dead or alive.
    fn remembers(&self, process: ProcessId, token: &str) -> bool {
        let Some(seen) = self.processes.get(&process) else { return false };
        let unsaved = seen.refresher.unsaved().is_some_and(|unsaved| unsaved.credential.refresh_token.reveal() == token);
        let known = || {
            let view = seen.refresher.view();
            [view.head, view.servable].into_iter().flatten().any(|known| known.refresh_token.reveal() == token)
        };
        unsaved || known()
    }

    /// Looks whether the chain was lost by now, and by whom.
    pub fn judge(&mut self, now: Timestamp) {
        // What the vault found again can be lost again.
        if self.oracle.lost.is_some_and(|(_, cause)| cause == Cause::VaultLostVersion) && self.chain_lives(now) {
            self.oracle.lost = None;
        }
        if self.oracle.lost.is_some() || self.oracle.made.is_empty() || self.chain_lives(now) {
            return;
        }
        let cause = self.cause();
        self.oracle.lost = Some((now, cause));
        *self.facts.lost.entry(cause.name().to_owned()).or_default() += 1;
        self.note(now, 0, &format!("CHAIN LOST {}", cause.name()));
        if let Cause::Ours(why) = cause {
            self.broke(now, 0, &format!("I1 a chain was lost by us: {why}"));
        }
    }

    fn cause(&self) -> Cause {
        let Some(newest) = self.oracle.made.last() else { return Cause::Ours("nothing was ever made") };
        // The token that Exact would take is that of the newest pair, or by grace the one that was sent for it.
        if self.oracle.rolled_back.contains(&newest.token) || self.oracle.rolled_back.contains(&newest.sent) {
            return Cause::VaultLostVersion;
        }
        let cause = self.cause_of(newest);
        match (cause, self.exact.config().grace) {
            (Cause::Ours(_), _) => cause,
            _ if self.ended_anothers(newest) => Cause::Overlap,
            (Cause::Killed | Cause::ReplyLost, Grace::Seconds(_))
                if !self.grace_is_used(newest) && self.oracle.by_token.contains_key(&newest.sent) =>
            {
                let obstacle = self.why_grace_ran_out(newest, cause == Cause::Killed);
                // When a request left that waited in a frozen process nobody can know, so nobody can aim.
                if obstacle.is_none() && newest.overlapping {
                    return Cause::Overlap;
                }
                obstacle.map_or(Cause::Ours("the grace of a lost reply was not used"), Cause::GraceRanOut)
            }
            (Cause::Killed | Cause::ReplyLost, Grace::UntilNewUsed) if self.oracle.by_token.contains_key(&newest.sent) => {
                Cause::Ours("the previous token would do and is kept nowhere")
            }
            _ => cause,
        }
    }

    /// Whether what Exact would still take is a version that no ledger knows of any more: its process was frozen before its socket, another asked with
    /// the same token meanwhile, and the process was killed right after it had stored what it was granted. Nobody but a person can help.
    #[must_use]
    pub fn only_an_overlap_lives(&self, now: Timestamp) -> bool {
        let alive = |pair: &&Made| self.exact.is_chain_alive(&pair.token, now) && self.is_held(pair, now);
        self.oracle.made.iter().rev().take(16).filter(alive).all(|pair| self.ended_anothers(pair))
    }

    /// Whether another process was granted something for the same token, while the one that was granted this was frozen before its socket.
    pub(super) fn ended_anothers(&self, pair: &Made) -> bool {
        pair.overlapping && self.oracle.made.iter().any(|other| other.sent == pair.sent && other.token != pair.token && other.by != pair.by)
    }

    fn cause_of(&self, pair: &Made) -> Cause {
        let Some(by) = pair.by else { return Cause::Ours("a person's token was never stored") };
        let died = self.processes.get(&by).and_then(|seen| seen.control.died());
        let soon = |at: &Timestamp| at.duration_since(pair.at) < ANSWER_WITHIN - SignedDuration::from_secs(10);
        let in_time = pair.arrives.filter(soon);
        match (pair.received, died) {
            (Some(received), Some(died)) if self.could_store(by, received, died) => Cause::Ours("not stored although it could be"),
            (Some(_), None) => Cause::Ours("received and dropped"),
            (None, died) if pair.ignored && in_time.is_some_and(|at| died.is_none_or(|died| died > at)) => Cause::Ours("given up before 100 s"),
            (_, Some(_)) => Cause::Killed,
            (None, None) if in_time.is_some() => Cause::Ours("a reply that came in time was dropped"),
            (None, None) => Cause::ReplyLost,
        }
    }

    /// Whether a process had the time to store what it received: right then, or when it was at work later, after all that could hold it up was over.
    fn could_store(&self, by: ProcessId, received: Timestamp, died: Timestamp) -> bool {
        let second = SignedDuration::from_secs(1);
        let (mut from, mut at) = (received, received);
        while at < died {
            if self.is_held_up(by, at, (at + second).min(died)) {
                from = at + second;
            } else {
                let needed = if from == received { STORED_WITHIN } else { STORED_LATER_WITHIN };
                let begun = from.max(self.at_work_from(by, from, at).unwrap_or(at));
                if at.duration_since(begun) >= needed {
                    return true;
                }
            }
            at += second;
        }
        false
    }

    fn is_held_up(&self, by: ProcessId, from: Timestamp, until: Timestamp) -> bool {
        let away = [Port::Vault, Port::Identity, Port::Blob].iter().any(|port| self.weather.is_away_between(*port, from, until));
        let struck = |strike: &Strike| [0, by].contains(&strike.process) && (from..until).contains(&strike.at);
        away || self.struck.iter().any(struck) || self.processes.get(&by).is_some_and(|seen| seen.control.was_frozen_between(from, until))
    }

    /// From when on an invocation ran in the process between the two times: without one nothing is tried.
    fn at_work_from(&self, by: ProcessId, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let runs = self.runs.iter().filter(|run| run.process == by && run.from <= until && run.until.is_none_or(|ended| ended >= from));
        runs.map(|run| run.from.max(from)).min()
    }
}
