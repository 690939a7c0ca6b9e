//! Made-up ledgers and credentials of every shape.

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::token::consent::{Consents, Pending, UsedState};
use crate::token::ledger::{Backoff, BackoffCause, Dead, Failure, FailureKind, Misconfigured, Refused, Today};
use crate::token::reply::{Misconfiguration, NotSent, Refusal, Unclear};
use crate::token::{
    AccessToken, AttemptId, ChainIdentity, Credential, Fingerprint, Issued, Ledger, LockId, OpenAttempt, Person, Pointer, Secret, VersionId,
};

/// How far values may go beyond what is read back.
#[derive(Clone, Copy)]
pub(super) enum Reach {
    InRange,
    Anything,
}

fn time(reach: Reach) -> BoxedStrategy<Timestamp> {
    let seconds = match reach {
        Reach::InRange => 946_684_800..7_289_654_400_i64,
        Reach::Anything => Timestamp::MIN.as_second()..Timestamp::MAX.as_second(),
    };
    // Clocks give nanoseconds, microseconds, or whole seconds (the Date header).
    let fraction = prop_oneof![Just(0), (0..1_000).prop_map(|milli| milli * 1_000_000), 0..1_000_000_000_i32];
    (seconds, fraction).prop_map(|(second, fraction)| Timestamp::new(second.max(1 - 377_705_116_800), fraction).unwrap_or(Timestamp::MAX)).boxed()
}

fn number(reach: Reach) -> BoxedStrategy<u32> {
    match reach {
        Reach::InRange => (0..=1_000_000_000_u32).boxed(),
        Reach::Anything => any::<u32>().boxed(),
    }
}

fn whole(reach: Reach) -> BoxedStrategy<u64> {
    match reach {
        Reach::InRange => (0..=1_u64 << 53).boxed(),
        Reach::Anything => any::<u64>().boxed(),
    }
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 1..12).prop_map(String::from_iter)
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    any::<[u8; 16]>().prop_map(Fingerprint)
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![Just(Refusal::OldTokenUsed), Just(Refusal::InvalidChain), Just(Refusal::Expired)]
}

fn misconfiguration() -> impl Strategy<Value = Misconfiguration> {
    prop_oneof![Just(Misconfiguration::InvalidClient), Just(Misconfiguration::UnauthorizedClient)]
}

fn not_sent() -> impl Strategy<Value = NotSent> {
    prop_oneof![Just(NotSent::Unreachable), Just(NotSent::VaultNotWritable), Just(NotSent::LedgerNotWritable), Just(NotSent::Overtaken)]
}

fn unclear() -> impl Strategy<Value = Unclear> {
    prop_oneof![
        Just(Unclear::TimedOut),
        Just(Unclear::ConnectionLost),
        any::<u16>().prop_map(Unclear::Status),
        Just(Unclear::Empty),
        Just(Unclear::NotAGrant),
        Just(Unclear::TooLarge),
    ]
}

fn failure_kind() -> impl Strategy<Value = FailureKind> {
    prop_oneof![
        not_sent().prop_map(FailureKind::NotSent),
        Just(FailureKind::TooEarly),
        unclear().prop_map(FailureKind::Unclear),
        refusal().prop_map(FailureKind::Refused),
        misconfiguration().prop_map(FailureKind::Misconfigured),
        Just(FailureKind::Throttled),
    ]
}

fn cause() -> impl Strategy<Value = BackoffCause> {
    prop_oneof![not_sent().prop_map(BackoffCause::NotSent), Just(BackoffCause::TooEarly), Just(BackoffCause::Throttled), Just(BackoffCause::Rebuilt),]
}

fn pointer(reach: Reach) -> impl Strategy<Value = Pointer> {
    (text(), fingerprint(), whole(reach), option::of(text()), time(reach)).prop_map(|(version, fingerprint, epoch, user, granted_at)| Pointer {
        version: VersionId(version),
        fingerprint,
        epoch,
        user,
        granted_at,
    })
}

fn open_attempt(reach: Reach) -> impl Strategy<Value = OpenAttempt> {
    (text(), fingerprint(), time(reach), time(reach), option::of(time(reach)), option::of(whole(reach))).prop_map(
        |(id, fingerprint, opened, quarantine_until, unclear_since, code_in)| OpenAttempt {
            id: AttemptId(id),
            fingerprint,
            opened,
            quarantine_until,
            unclear_since,
            code_in,
        },
    )
}

fn consents(reach: Reach) -> impl Strategy<Value = Consents> {
    let person = || {
        option::of((text(), text(), any::<i64>()).prop_map(|(id, name, division)| Person {
            login: format!("{name}@example.invalid"),
            company: id.clone(),
            id,
            name,
            division,
        }))
    };
    let used = (fingerprint(), time(reach)).prop_map(|(state, expires_at)| UsedState { state, expires_at });
    let pending = (pointer(reach), person()).prop_map(|(pointer, person)| Pending { pointer, person });
    (vec(used, 0..=32), option::of(time(reach)), person(), option::of(pending), vec(fingerprint(), 0..=4))
        .prop_map(|(used, begun, person, pending, declined)| Consents { used, begun, person, pending, declined })
}

pub(super) fn ledger(reach: Reach) -> impl Strategy<Value = Ledger> {
    let lists = match reach {
        Reach::InRange => [3, 16, 64],
        Reach::Anything => [6, 20, 80],
    };
    let refused = (fingerprint(), refusal(), number(reach), time(reach)).prop_map(|(fingerprint, refusal, count, last)| Refused {
        fingerprint,
        refusal,
        count,
        last,
    });
    let backoff = (cause(), time(reach), number(reach), time(reach)).prop_map(|(cause, first, count, until)| Backoff { cause, first, count, until });
    let day = match reach {
        Reach::InRange => 0..84_371_i64,
        Reach::Anything => i64::MIN..i64::MAX,
    };
    let dead = (time(reach), refusal(), number(reach), option::of(time(reach))).prop_map(|(since, refusal, probes, last_probe)| Dead {
        since,
        refusal,
        probes,
        last_probe,
    });
    let misconfigured = (misconfiguration(), fingerprint(), time(reach)).prop_map(|(what, settings, last)| Misconfigured { what, settings, last });
    let failure = (failure_kind(), time(reach), number(reach)).prop_map(|(what, at, in_a_row)| Failure { what, at, in_a_row });
    let order = (
        whole(reach),
        whole(reach),
        option::of(pointer(reach)),
        vec(pointer(reach), 0..=lists[0]),
        vec(open_attempt(reach), 0..=lists[1]),
        vec(time(reach), 0..=lists[2]),
        (day, number(reach)).prop_map(|(day, requests)| Today { day, requests }),
    );
    let failures = (
        vec(refused, 0..=lists[2]),
        option::of(backoff),
        option::of(dead),
        option::of(misconfigured),
        option::of(time(reach)),
        option::of(failure),
        option::of(time(reach)),
    );
    let issued = option::of((fingerprint(), time(reach)).prop_map(|(fingerprint, at)| Issued { fingerprint, at }));
    (order, failures, (vec(time(reach), 0..=lists[2]), issued, consents(reach)), text(), text()).prop_map(
        |(
            (epoch, generation, head, candidates, open, ungranted, today),
            (refusals, backoff, dead, misconfigured, clock_behind_since, last_failure, rebuilt_at),
            (recent_grants, issued, consents),
            lock_id,
            writer,
        )| Ledger {
            epoch,
            generation,
            head,
            candidates,
            open,
            refusals,
            backoff,
            ungranted,
            today,
            dead,
            misconfigured,
            clock_behind_since,
            last_failure,
            rebuilt_at,
            recent_grants,
            issued,
            consents,
            lock_id: LockId(lock_id),
            writer,
        },
    )
}

pub(super) fn credential(reach: Reach) -> impl Strategy<Value = Credential> {
    let lifetime = match reach {
        Reach::InRange => (1..=86_400_i64).prop_map(SignedDuration::from_secs).boxed(),
        Reach::Anything => (any::<i64>(), 0..1_000_000_000_i32).prop_map(|(seconds, nanos)| SignedDuration::new(seconds / 2, nanos)).boxed(),
    };
    let access =
        (text(), time(reach), lifetime).prop_map(|(value, expires_at, lifetime)| AccessToken { value: Secret::new(value), expires_at, lifetime });
    let chain = (text(), text(), option::of(text())).prop_map(|(base_url, client_id, user)| ChainIdentity { base_url, client_id, user });
    (text(), option::of(access), time(reach), time(reach), text(), whole(reach), text(), chain).prop_map(
        |(refresh_token, access, granted_at, renewable_at, attempt, epoch, lock_id, chain)| Credential {
            refresh_token: Secret::new(refresh_token),
            access,
            granted_at,
            renewable_at,
            attempt: AttemptId(attempt),
            epoch,
            lock_id: LockId(lock_id),
            chain,
        },
    )
}
