//! The form of a ledger. It has no place for a secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::form::{form_by_twin, list, one, optional};
use crate::token::consent::{Consents, MAX_USED, Pending, UsedState};
use crate::token::ledger::{Backoff, BackoffCause, Dead, Failure, FailureKind, MAX_CANDIDATES, MAX_OPEN, Misconfigured, Refused, Today};
use crate::token::reply::{Misconfiguration, NotSent, Refusal, Unclear};
use crate::token::{AttemptId, Fingerprint, Issued, Ledger, LockId, OpenAttempt, Person, Pointer, VersionId};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ledger")]
struct LedgerForm {
    #[serde(with = "one")]
    epoch: u64,
    #[serde(with = "one")]
    generation: u64,
    #[serde(with = "optional")]
    head: Option<Pointer>,
    #[serde(with = "list")]
    candidates: Vec<Pointer>,
    #[serde(with = "list")]
    open: Vec<OpenAttempt>,
    #[serde(with = "list")]
    refusals: Vec<Refused>,
    #[serde(with = "optional")]
    backoff: Option<Backoff>,
    #[serde(with = "list")]
    ungranted: Vec<Timestamp>,
    #[serde(with = "one")]
    today: Today,
    #[serde(with = "optional")]
    dead: Option<Dead>,
    #[serde(with = "optional")]
    misconfigured: Option<Misconfigured>,
    #[serde(with = "optional")]
    clock_behind_since: Option<Timestamp>,
    #[serde(with = "optional")]
    last_failure: Option<Failure>,
    #[serde(with = "optional")]
    rebuilt_at: Option<Timestamp>,
    #[serde(default, with = "list")]
    recent_grants: Vec<Timestamp>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    issued: Option<Issued>,
    #[serde(default, with = "one")]
    consents: Consents,
    #[serde(with = "one")]
    lock_id: LockId,
    writer: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Pointer")]
struct PointerForm {
    #[serde(with = "one")]
    version: VersionId,
    #[serde(with = "one")]
    fingerprint: Fingerprint,
    #[serde(with = "one")]
    epoch: u64,
    user: Option<String>,
    #[serde(with = "one")]
    granted_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OpenAttempt")]
struct OpenAttemptForm {
    #[serde(with = "one")]
    id: AttemptId,
    #[serde(with = "one")]
    fingerprint: Fingerprint,
    #[serde(with = "one")]
    opened: Timestamp,
    #[serde(with = "one")]
    quarantine_until: Timestamp,
    #[serde(with = "optional")]
    unclear_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code_in: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Refused")]
struct RefusedForm {
    #[serde(with = "one")]
    fingerprint: Fingerprint,
    #[serde(with = "one")]
    refusal: Refusal,
    #[serde(with = "one")]
    count: u32,
    #[serde(with = "one")]
    last: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Backoff")]
struct BackoffForm {
    #[serde(with = "one")]
    cause: BackoffCause,
    #[serde(with = "one")]
    first: Timestamp,
    #[serde(with = "one")]
    count: u32,
    #[serde(with = "one")]
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Issued")]
struct IssuedForm {
    #[serde(with = "one")]
    fingerprint: Fingerprint,
    #[serde(with = "one")]
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Today")]
struct TodayForm {
    #[serde(with = "one")]
    day: i64,
    #[serde(with = "one")]
    requests: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Dead")]
struct DeadForm {
    #[serde(with = "one")]
    since: Timestamp,
    #[serde(with = "one")]
    refusal: Refusal,
    #[serde(with = "one")]
    probes: u32,
    #[serde(with = "optional")]
    last_probe: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Misconfigured")]
struct MisconfiguredForm {
    #[serde(with = "one")]
    what: Misconfiguration,
    #[serde(with = "one")]
    settings: Fingerprint,
    #[serde(with = "one")]
    last: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Failure")]
struct FailureForm {
    #[serde(with = "one")]
    what: FailureKind,
    #[serde(with = "one")]
    at: Timestamp,
    #[serde(with = "one")]
    in_a_row: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FailureKind", rename_all = "snake_case")]
enum FailureKindForm {
    NotSent(#[serde(with = "one")] NotSent),
    TooEarly,
    Unclear(#[serde(with = "one")] Unclear),
    Refused(#[serde(with = "one")] Refusal),
    Misconfigured(#[serde(with = "one")] Misconfiguration),
    Throttled,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BackoffCause", rename_all = "snake_case")]
enum BackoffCauseForm {
    NotSent(#[serde(with = "one")] NotSent),
    TooEarly,
    Throttled,
    Rebuilt,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NotSent", rename_all = "snake_case")]
enum NotSentForm {
    Unreachable,
    VaultNotWritable,
    LedgerNotWritable,
    Overtaken,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Unclear", rename_all = "snake_case")]
enum UnclearForm {
    TimedOut,
    ConnectionLost,
    Status(u16),
    Empty,
    NotAGrant,
    TooLarge,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Refusal", rename_all = "snake_case")]
enum RefusalForm {
    OldTokenUsed,
    InvalidChain,
    Expired,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Misconfiguration", rename_all = "snake_case")]
enum MisconfigurationForm {
    InvalidClient,
    UnauthorizedClient,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Consents")]
struct ConsentsForm {
    #[serde(with = "list")]
    used: Vec<UsedState>,
    #[serde(with = "optional")]
    begun: Option<Timestamp>,
    #[serde(with = "optional")]
    person: Option<Person>,
    #[serde(with = "optional")]
    pending: Option<Pending>,
    #[serde(default, with = "list", skip_serializing_if = "Vec::is_empty")]
    declined: Vec<Fingerprint>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "UsedState")]
struct UsedStateForm {
    #[serde(with = "one")]
    state: Fingerprint,
    #[serde(with = "one")]
    expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Pending")]
struct PendingForm {
    #[serde(with = "one")]
    pointer: Pointer,
    #[serde(with = "optional")]
    person: Option<Person>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Person")]
struct PersonForm {
    id: String,
    name: String,
    login: String,
    company: String,
    division: i64,
}

/// The latest first.
fn latest(list: &[Pointer]) -> &[Pointer] {
    &list[..list.len().min(MAX_CANDIDATES)]
}

form_by_twin!(Ledger, LedgerForm);
form_by_twin!(
    Pointer,
    PointerForm,
    const AT_MOST: usize = MAX_CANDIDATES;,
    fn kept(list: &[Self]) -> &[Self] {
        latest(list)
    }
);
form_by_twin!(OpenAttempt, OpenAttemptForm, const AT_MOST: usize = MAX_OPEN;);
form_by_twin!(Consents, ConsentsForm);
form_by_twin!(UsedState, UsedStateForm, const AT_MOST: usize = MAX_USED;);
form_by_twin!(Pending, PendingForm);
form_by_twin!(Person, PersonForm);
form_by_twin!(Refused, RefusedForm);
form_by_twin!(Backoff, BackoffForm);
form_by_twin!(Issued, IssuedForm);
form_by_twin!(Today, TodayForm);
form_by_twin!(Dead, DeadForm);
form_by_twin!(Misconfigured, MisconfiguredForm);
form_by_twin!(Failure, FailureForm);
form_by_twin!(FailureKind, FailureKindForm);
form_by_twin!(BackoffCause, BackoffCauseForm);
form_by_twin!(NotSent, NotSentForm);
form_by_twin!(Unclear, UnclearForm);
form_by_twin!(Refusal, RefusalForm);
form_by_twin!(Misconfiguration, MisconfigurationForm);
