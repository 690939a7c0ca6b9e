//! A chain's life as a sequence of whatever can happen to it, with an account of it that is kept apart from the ledger.
//!
//! The account counts time that went by on the storage clock: what a clock that goes back takes away is not taken away here, so that an hour is
//! an hour of waiting. Without jumps that is true time.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::arbitrary::{at, failure, policy};
use crate::token::failure::Outcome;
use crate::token::ledger::{FailureKind, REQUESTS_A_DAY, utc_day};
use crate::token::reply::{Grant, Refusal, Unclear};
use crate::token::rotation::SentFrom;
use crate::token::schedule::{Due, Policy, Wait, due};
use crate::token::{AttemptId, ChainIdentity, Credential, Fingerprint, Ledger, LockId, OpenAttempt, Pointer, Secret, VersionId};

/// What becomes of one request.
#[derive(Clone, Debug)]
enum Fate {
    Granted,
    GrantedOddly,
    Fails(FailureKind, Option<i64>),
    /// The process dies; Exact may or may not have granted.
    Dies,
    /// It dies after it has stored the version: the next pass finds that.
    DiesAfterStoring,
    /// It is frozen and comes back with a grant when others have gone on.
    Freezes,
}

#[derive(Clone, Debug)]
struct Step {
    /// Seconds until somebody looks again; None: until it is due.
    pause: Option<i64>,
    /// What the clock does besides.
    jump: i64,
    /// How long the request takes.
    took: i64,
    fate: Fate,
    /// Whether one of the frozen wakes up first.
    thaw: bool,
    /// Whether a person connects again first.
    consent: bool,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Granted),
        1 => Just(Fate::GrantedOddly),
        6 => (failure(), option::of(0..4_000_i64)).prop_map(|(what, retry_after)| Fate::Fails(what, retry_after)),
        5 => Just(Fate::Fails(FailureKind::Refused(Refusal::OldTokenUsed), None)),
        2 => Just(Fate::Dies),
        1 => Just(Fate::DiesAfterStoring),
        2 => Just(Fate::Freezes),
    ]
}

fn steps(jump: impl Strategy<Value = i64> + Clone) -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![3 => Just(None), 2 => (1..900_i64).prop_map(Some), 1 => (0..30_000_i64).prop_map(Some)];
    let step = (pause, jump, 0..=100_i64, fate(), prop::bool::weighted(0.1), prop::bool::weighted(0.03));
    vec(step.prop_map(|(pause, jump, took, fate, thaw, consent)| Step { pause, jump, took, fate, thaw, consent }), 1..120)
}

struct Life {
    policy: Policy,
    ledger: Ledger,
    vault: BTreeMap<VersionId, Credential>,
    frozen: Vec<(AttemptId, SentFrom, Credential)>,
    clock: Timestamp,
    /// Seconds that went by on the storage clock.
    gone_by: i64,
    /// Requests that nobody knows to have been granted.
    ungranted: Vec<(AttemptId, i64)>,
    per_day: BTreeMap<i64, u32>,
    granted: HashMap<Fingerprint, i64>,
    refused: HashMap<Fingerprint, Vec<i64>>,
    names: usize,
}

impl Life {
    fn begin(policy: Policy) -> Self {
        let ledger = Ledger::begin(policy.lock_id.clone(), "writer");
        let mut life = Self {
            policy,
            ledger,
            vault: BTreeMap::new(),
            frozen: Vec::new(),
            clock: at(0),
            gone_by: 0,
            ungranted: Vec::new(),
            per_day: BTreeMap::new(),
            granted: HashMap::new(),
            refused: HashMap::new(),
            names: 0,
        };
        life.consent();
        life
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("{}", self.names)
    }

    fn wait(&mut self, seconds: i64) {
        self.clock += SignedDuration::from_secs(seconds);
        self.gone_by += seconds.max(0);
    }

    fn store(&mut self, credential: Credential) -> Pointer {
        let version = VersionId(self.name());
        let pointer = Pointer::to(version.clone(), &credential);
        self.vault.insert(version, credential);
        pointer
    }

    fn consent(&mut self) {
        let credential = Credential {
            refresh_token: Secret::new(self.name()),
            access: None,
            granted_at: self.clock,
            renewable_at: self.clock,
            attempt: AttemptId(self.name()),
            epoch: self.ledger.epoch + 1,
            lock_id: self.policy.lock_id.clone(),
            chain: self.policy.chain.clone(),
        };
        let pointer = self.store(credential);
        let old = self.ledger.head.clone();
        self.ledger.new_epoch(pointer);
        self.refused.clear();
        assert!(old.is_none_or(|old| self.keeps(&old)), "I3: the old head stays as a candidate");
    }

    fn head(&self) -> Credential {
        let head = self.ledger.head.as_ref().expect("a life begins with a consent");
        self.vault[&head.version].clone()
    }

    fn keeps(&self, pointer: &Pointer) -> bool {
        self.ledger.head.iter().chain(&self.ledger.candidates).any(|known| known.version == pointer.version)
    }

    /// What the grant of `attempt` makes of the ledger.
    fn lands(&mut self, attempt: &AttemptId, sent_from: &SentFrom, credential: Credential) {
        let head = self.ledger.head.clone();
        let pointer = self.store(credential);
        self.ledger.grant_saved(attempt, pointer.clone(), sent_from);
        self.arrived(attempt, &pointer, head.as_ref());
    }

    fn arrived(&mut self, attempt: &AttemptId, pointer: &Pointer, head_before: Option<&Pointer>) {
        assert!(self.keeps(pointer), "I3: a grant is head or candidate");
        self.ungranted.retain(|(id, _)| id != attempt);
        if self.ledger.head.as_ref() == Some(pointer) && self.ledger.head.as_ref() != head_before && self.ledger.refusals.is_empty() {
            self.refused.clear();
            let waits = |open: &OpenAttempt| open.unclear_since.is_none() && open.quarantine_until > pointer.granted_at;
            assert!(self.ledger.open.iter().all(waits), "what is open after a grant may still bring something");
        }
    }

    /// As a pass does before it decides.
    fn take_over_and_reanchor(&mut self) {
        for attempt in self.ledger.open.clone() {
            let found = self.vault.iter().find(|(_, credential)| credential.attempt == attempt.id).map(|(version, it)| (version.clone(), it.clone()));
            let Some((version, credential)) = found else { continue };
            let pointer = Pointer::to(version.clone(), &credential);
            if self.keeps(&pointer) {
                continue;
            }
            let head = self.ledger.head.clone();
            self.ledger.adopt(&attempt, version, &credential);
            if credential.access.is_some() {
                self.arrived(&attempt.id, &pointer, head.as_ref());
            }
        }
        let head = self.head();
        if self.ledger.is_ahead_of(Some(&head), self.clock) {
            self.ledger.reanchor(self.clock);
            assert!(!self.ledger.is_ahead_of(Some(&head), self.clock));
        }
    }

    fn due(&self) -> Due {
        due(&self.ledger, Some(&self.head()), self.clock, &self.policy)
    }

    /// The account's own view of whether this request may leave.
    fn may_send(&self, head: &Credential) {
        let in_hour = self.ungranted.iter().filter(|(_, sent)| self.gone_by - sent < 3_600).count();
        assert!(in_hour < 8, "I4: {in_hour} requests of the last hour brought no grant");
        let today = self.per_day.get(&utc_day(self.clock)).copied().unwrap_or(0);
        assert!(today < REQUESTS_A_DAY, "I4: {today} requests on this day");
        if head.access.is_some() {
            let since = self.gone_by - self.granted.get(&head.fingerprint()).copied().unwrap_or(0);
            assert!(since >= 570, "I4: {since} s after the grant");
        }
    }

    fn send(&mut self, step: &Step) {
        let head = self.head();
        self.may_send(&head);
        let attempt = AttemptId(self.name());
        let sent_from = SentFrom { epoch: self.ledger.epoch, head: self.ledger.head.as_ref().expect("due").version.clone() };
        self.ledger.announce(attempt.clone(), head.fingerprint(), self.clock);
        self.ungranted.push((attempt.clone(), self.gone_by));
        *self.per_day.entry(utc_day(self.clock)).or_default() += 1;
        let sent = self.clock;
        self.wait(step.took);
        match &step.fate {
            Fate::Granted => {
                let granted = self.grant(&head, &attempt, sent);
                self.lands(&attempt, &sent_from, granted);
            }
            Fate::GrantedOddly => {
                let odd = head.odd_grant(Secret::new(self.name()), attempt.clone(), self.clock);
                self.record(&attempt, FailureKind::Unclear(Unclear::NotAGrant), None);
                let pointer = self.store(odd);
                self.ledger.odd_grant_saved(pointer.clone());
                assert!(self.keeps(&pointer), "I3: an odd grant as well");
            }
            Fate::Fails(what, retry_after) => {
                if matches!(what, FailureKind::NotSent(_)) {
                    self.ungranted.retain(|(id, _)| *id != attempt);
                    *self.per_day.entry(utc_day(sent)).or_default() -= 1;
                }
                if matches!(what, FailureKind::Refused(_)) {
                    self.refused.entry(head.fingerprint()).or_default().push(self.gone_by);
                }
                self.record(&attempt, *what, *retry_after);
            }
            Fate::Dies => {}
            Fate::DiesAfterStoring => {
                let granted = self.grant(&head, &attempt, sent);
                self.store(granted);
            }
            Fate::Freezes => {
                let granted = self.grant(&head, &attempt, sent);
                self.frozen.push((attempt, sent_from, granted));
            }
        }
    }

    fn grant(&mut self, head: &Credential, attempt: &AttemptId, sent: Timestamp) -> Credential {
        let grant = Grant {
            access_token: Secret::new("made-up-access-token"),
            refresh_token: Secret::new(self.name()),
            expires_in: SignedDuration::from_mins(10),
        };
        let granted = head.granted(&grant, attempt.clone(), sent, self.clock);
        self.granted.insert(granted.fingerprint(), self.gone_by);
        granted
    }

    fn record(&mut self, attempt: &AttemptId, what: FailureKind, retry_after: Option<i64>) {
        let retry_after = retry_after.map(SignedDuration::from_secs);
        let was_dead = self.ledger.dead.is_some();
        self.ledger.record(attempt, Outcome { what, retry_after, settings: self.policy.settings }, self.clock);
        if self.ledger.dead.is_some() && !was_dead {
            self.died_rightly();
        }
    }

    /// A person is called for only when Exact has refused all there is to try, each twice and a minute apart.
    fn died_rightly(&self) {
        let head = self.ledger.head.as_ref().expect("there is a chain to be dead");
        let mine = self.ledger.candidates.iter().filter(|candidate| candidate.same_user(head));
        for pointer in std::iter::once(head).chain(mine) {
            let refusals = self.refused.get(&pointer.fingerprint).map_or(&[][..], Vec::as_slice);
            let apart = refusals.first().zip(refusals.last()).is_some_and(|(first, last)| last - first >= 60);
            assert!(apart, "dead, and {} was refused at {refusals:?}", pointer.version);
        }
    }

    fn step(&mut self, step: &Step) {
        if step.jump != 0 {
            self.wait(step.jump);
        }
        let pause = step.pause.unwrap_or_else(|| match self.due() {
            Due::NotYet { until, .. } => until.duration_since(self.clock).as_secs() + 1,
            Due::Now(_) => 0,
            Due::NeedsConsent(_) => 3_600,
        });
        self.wait(pause);
        if step.consent {
            self.consent();
        }
        if step.thaw
            && let Some((attempt, sent_from, credential)) = self.frozen.pop()
        {
            self.lands(&attempt, &sent_from, credential);
        }
        self.take_over_and_reanchor();
        match self.due() {
            Due::Now(_) => self.send(step),
            Due::NotYet { until, why } => {
                assert!(until > self.clock);
                assert!(why != Wait::NobodyAsks || self.head().access.is_some());
            }
            Due::NeedsConsent(_) => assert!(self.ledger.dead.is_some(), "a person is called for without need"),
        }
    }
}

fn one_app(policy: &Policy) -> Policy {
    let chain = ChainIdentity { base_url: "https://start.exactonline.nl".to_owned(), client_id: "app".to_owned(), user: None };
    Policy { chain, lock_id: LockId("lock".to_owned()), mode: policy.mode, settings: policy.settings }
}

fn lives(policy: &Policy, steps: &[Step]) {
    let mut life = Life::begin(one_app(policy));
    for step in steps {
        life.step(step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn i2_i3_i4_hold_whatever_happens(policy in policy(), steps in steps(Just(0))) {
        lives(&policy, &steps);
    }

    #[test]
    fn i3_i4_hold_by_storage_time_when_the_clock_jumps(policy in policy(), steps in steps(prop_oneof![8 => Just(0), 1 => Just(3_600_i64), 1 => Just(-3_600_i64)])) {
        lives(&policy, &steps);
    }
}
