//! Made-up ledgers, credentials, policies and times that have something to do with one another: most times lie within hours of `now`, and there
//! are so few tokens, versions and attempts that they meet.

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::token::failure::Outcome;
use crate::token::ledger::{Backoff, BackoffCause, Dead, Failure, FailureKind, MAX_CANDIDATES, MAX_OPEN, Misconfigured, Refused, Today, utc_day};
use crate::token::reply::{Misconfiguration, NotSent, Refusal, Unclear};
use crate::token::schedule::{Mode, Policy};
use crate::token::{AccessToken, AttemptId, ChainIdentity, Credential, Fingerprint, Ledger, LockId, OpenAttempt, Pointer, Secret, VersionId};

/// All that [`due`](crate::token::schedule::due) looks at. The credential is the head's, where there is one.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) ledger: Ledger,
    pub(super) credential: Option<Credential>,
    pub(super) now: Timestamp,
    pub(super) policy: Policy,
}

const BASE: i64 = 1_800_000_000;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BASE + second).unwrap()
}

/// Any moment of two days, so that midnight is among them.
pub(super) fn now() -> impl Strategy<Value = Timestamp> {
    (0..172_800_i64, 0..1_000_i64).prop_map(|(second, milli)| at(second) + SignedDuration::from_millis(milli))
}

/// Seconds from `now`: mostly of the last hours, sometimes ahead (a clock that went back), at times of a wholly different day.
fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -7_200..=0_i64, 2 => -700..=700_i64, 1 => -172_800..=172_800_i64]
}

fn time(now: Timestamp) -> impl Strategy<Value = Timestamp> {
    offset().prop_map(move |second| now + SignedDuration::from_secs(second))
}

pub(super) fn token(number: u8) -> Secret {
    Secret::new(format!("made-up-refresh-token-{number}"))
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    (0..6_u8).prop_map(|number| Fingerprint::of(&token(number)))
}

fn user() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof![Just("joke".to_owned()), Just("wout".to_owned())])
}

pub(super) fn pointer(now: Timestamp) -> impl Strategy<Value = Pointer> {
    (0..8_u8, fingerprint(), 0..3_u64, user(), time(now)).prop_map(|(version, fingerprint, epoch, user, granted_at)| Pointer {
        version: VersionId(format!("version-{version}")),
        fingerprint,
        epoch,
        user,
        granted_at,
    })
}

fn attempt_id() -> impl Strategy<Value = AttemptId> {
    (0..20_u8).prop_map(|number| AttemptId(format!("attempt-{number}")))
}

fn open_attempt(now: Timestamp) -> impl Strategy<Value = OpenAttempt> {
    let times = (time(now), 0..=140_i64, option::of(0..=140_i64));
    (attempt_id(), fingerprint(), times, option::weighted(0.2, 0..4_u64)).prop_map(|(id, fingerprint, (opened, quarantine, unclear), code_in)| {
        OpenAttempt {
            id,
            fingerprint,
            opened,
            quarantine_until: opened + SignedDuration::from_secs(quarantine),
            unclear_since: unclear.map(|second| opened + SignedDuration::from_secs(second)),
            code_in,
        }
    })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![Just(Refusal::OldTokenUsed), Just(Refusal::InvalidChain), Just(Refusal::Expired)]
}

fn not_sent() -> impl Strategy<Value = NotSent> {
    prop_oneof![Just(NotSent::Unreachable), Just(NotSent::VaultNotWritable), Just(NotSent::LedgerNotWritable), Just(NotSent::Overtaken)]
}

fn misconfiguration() -> impl Strategy<Value = Misconfiguration> {
    prop_oneof![Just(Misconfiguration::InvalidClient), Just(Misconfiguration::UnauthorizedClient)]
}

pub(super) fn failure() -> impl Strategy<Value = FailureKind> {
    prop_oneof![
        not_sent().prop_map(FailureKind::NotSent),
        Just(FailureKind::TooEarly),
        prop_oneof![Just(Unclear::TimedOut), Just(Unclear::Empty), any::<u16>().prop_map(Unclear::Status)].prop_map(FailureKind::Unclear),
        refusal().prop_map(FailureKind::Refused),
        misconfiguration().prop_map(FailureKind::Misconfigured),
        Just(FailureKind::Throttled),
    ]
}

pub(super) fn outcome() -> impl Strategy<Value = Outcome> {
    let patience = option::of((0..200_000_i64).prop_map(SignedDuration::from_secs));
    (failure(), patience, settings()).prop_map(|(what, retry_after, settings)| Outcome { what, retry_after, settings })
}

fn settings() -> impl Strategy<Value = Fingerprint> {
    (0..2_u8).prop_map(|number| Fingerprint([number; 16]))
}

fn backoff(now: Timestamp) -> impl Strategy<Value = Backoff> {
    let cause = prop_oneof![
        not_sent().prop_map(BackoffCause::NotSent),
        Just(BackoffCause::TooEarly),
        Just(BackoffCause::Throttled),
        Just(BackoffCause::Rebuilt)
    ];
    (cause, time(now), 0..9_u32, 0..=90_000_i64).prop_map(|(cause, first, count, length)| Backoff {
        cause,
        first,
        count,
        until: first + SignedDuration::from_secs(length),
    })
}

pub(super) fn dead(now: Timestamp) -> impl Strategy<Value = Dead> {
    (time(now), refusal(), 0..6_u32, option::of(time(now))).prop_map(|(since, refusal, probes, last_probe)| Dead {
        since,
        refusal,
        probes,
        last_probe,
    })
}

fn lock_id() -> impl Strategy<Value = LockId> {
    prop_oneof![9 => Just(LockId("lock".to_owned())), 1 => Just(LockId("another lock".to_owned()))]
}

fn chain() -> impl Strategy<Value = ChainIdentity> {
    let client_id = prop_oneof![9 => Just("app"), 1 => Just("another app")];
    let base_url = prop_oneof![9 => Just("https://start.exactonline.nl"), 1 => Just("https://start.exactonline.be")];
    (client_id, base_url, user()).prop_map(|(client_id, base_url, user)| ChainIdentity {
        base_url: base_url.to_owned(),
        client_id: client_id.to_owned(),
        user,
    })
}

/// As the store would take it. Mostly as a grant makes it, sometimes with times that contradict one another.
pub(super) fn credential(now: Timestamp) -> impl Strategy<Value = Credential> {
    let lifetime = prop_oneof![6 => Just(600_i64), 1 => 1..=120_i64, 1 => 1..=86_400_i64];
    let odd = option::weighted(0.1, (time(now), time(now)));
    let whose = (0..6_u8, attempt_id(), 0..3_u64, lock_id(), chain());
    (whose, time(now), lifetime, 0..=100_i64, any::<bool>(), odd).prop_map(|(whose, granted_at, lifetime, took, imported, odd)| {
        let (number, attempt, epoch, lock_id, chain) = whose;
        let seconds = SignedDuration::from_secs;
        let ordinary = (granted_at - seconds(took) + seconds(lifetime), granted_at + seconds((lifetime - 30).max(0)));
        let (expires_at, renewable_at) = odd.unwrap_or(ordinary);
        let access = AccessToken { value: Secret::new("made-up-access-token"), expires_at, lifetime: seconds(lifetime) };
        let access = (!(imported && number == 0)).then_some(access);
        Credential { refresh_token: token(number), access, granted_at, renewable_at, attempt, epoch, lock_id, chain }
    })
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let mode = prop_oneof![Just(Mode::KeepWarm), Just(Mode::OnDemand)];
    (mode, chain(), settings(), lock_id()).prop_map(|(mode, chain, settings, lock_id)| Policy { mode, chain, settings, lock_id })
}

/// A ledger whose head, if it has one, points to that credential; with each kind of trouble at this probability.
fn ledger(now: Timestamp, credential: &Credential, trouble: f64) -> impl Strategy<Value = Ledger> + use<> {
    let head = option::weighted(0.95, Just(Pointer::to(VersionId("version-0".to_owned()), credential)));
    let refused =
        (fingerprint(), refusal(), 0..4_u32, time(now)).prop_map(|(fingerprint, refusal, count, last)| Refused { fingerprint, refusal, count, last });
    let order = (
        (0..4_u64, head),
        vec(pointer(now), 0..=MAX_CANDIDATES),
        option::weighted(trouble, vec(open_attempt(now), 0..=MAX_OPEN)),
        vec(time(now), 0..=12),
        (prop_oneof![8 => 0..1_i64, 1 => -2..=2_i64], prop_oneof![4 => 0..150_u32, 1 => 195..=205_u32]),
    );
    let failures = (
        option::weighted(trouble, vec(refused, 0..=4)),
        option::weighted(trouble, backoff(now)),
        option::weighted(trouble, dead(now)),
        option::weighted(trouble, (misconfiguration(), settings(), time(now))),
        option::weighted(trouble, time(now)),
        option::of((failure(), time(now), 0..9_u32)),
    );
    (order, failures, lock_id()).prop_map(move |(order, failures, lock_id)| {
        let ((epoch, head), mut candidates, open, mut ungranted, (day, requests)) = order;
        let (refusals, backoff, dead, misconfigured, clock_behind_since, last_failure) = failures;
        let (mut open, mut refusals) = (open.unwrap_or_default(), refusals.unwrap_or_default());
        // The store takes no two of a name, and lists are kept in the order of time.
        let mut versions: Vec<_> = head.iter().map(|pointer| pointer.version.clone()).collect();
        candidates.retain(|candidate| {
            let is_new = !versions.contains(&candidate.version);
            versions.push(candidate.version.clone());
            is_new
        });
        open.sort_by(|a, b| a.id.0.cmp(&b.id.0));
        open.dedup_by(|a, b| a.id == b.id);
        open.sort_by_key(|attempt| attempt.opened);
        refusals.sort_by_key(|refused| refused.fingerprint.0);
        refusals.dedup_by_key(|refused| refused.fingerprint);
        ungranted.sort_unstable();
        Ledger {
            epoch,
            head,
            candidates,
            open,
            refusals,
            backoff,
            ungranted,
            today: Today { day: utc_day(now) + day, requests },
            dead,
            misconfigured: misconfigured.map(|(what, settings, last)| Misconfigured { what, settings, last }),
            clock_behind_since,
            last_failure: last_failure.map(|(what, at, in_a_row)| Failure { what, at, in_a_row }),
            lock_id,
            ..Ledger::begin(LockId(String::new()), "writer")
        }
    })
}

pub(super) fn scene(trouble: f64) -> impl Strategy<Value = Scene> {
    now().prop_flat_map(|now| (credential(now), policy(), Just(now))).prop_flat_map(move |(credential, policy, now)| {
        ledger(now, &credential, trouble).prop_map(move |ledger| Scene {
            credential: ledger.head.is_some().then(|| credential.clone()),
            ledger,
            now,
            policy: policy.clone(),
        })
    })
}
