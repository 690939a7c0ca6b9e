//! Two questions that are never one: may Exact be asked now ([`due`]), and may this token be handed out ([`answer`])?

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::credential::{ChainIdentity, Credential, Fingerprint, LockId, RENEWAL_WINDOW};
use super::ledger::{BUDGET_HOUR, BackoffCause, Dead, Ledger, REQUESTS_A_DAY, UNGRANTED_AN_HOUR};
use super::reply::{Misconfiguration, Refusal};
use super::retry;

/// A stored time this far ahead of the clock means that the clock is wrong, not that two machines differ a little.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// A second refusal counts only this long after the first.
pub const REFUSED_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// From this age on a refresh token is renewed whatever the policy: long before its 30 days, often enough to survive a holiday.
pub const KEEP_ALIVE_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The least life that any caller can insist on losing: a grant's lifetime less this is the most that can be asked for.
pub const UNASKABLE: SignedDuration = SignedDuration::from_secs(60);

/// What lives less is dying: it would be told as 0 s.
const LEAST_LIFE: SignedDuration = SignedDuration::from_secs(1);

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What the settings say about when and as whom to ask.
#[derive(Clone, Debug)]
pub struct Policy {
    /// When a tick refreshes.
    pub mode: Mode,
    /// The app and the site of the settings.
    pub chain: ChainIdentity,
    /// Changes when any of the settings that Exact judges changes.
    pub settings: Fingerprint,
    /// The lock that this process takes.
    pub lock_id: LockId,
}

/// When a refresh is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As soon as Exact allows.
    KeepWarm,
    /// Once the refresh token is 7 days old; otherwise only when a caller needs a token.
    OnDemand,
}

/// Whether Exact may be asked for a new pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Yes.
    Now(Reason),
    /// No, and not before `until`; then ask again.
    NotYet {
        /// The earliest time at which the answer can change by itself.
        until: Timestamp,
        /// What keeps it back.
        why: Wait,
    },
    /// No, and no waiting helps: a person has to do something.
    NeedsConsent(Why),
}

/// Why a refresh is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The access token is in its last 30 s.
    Renewable,
    /// The access token is dead.
    Expired,
    /// There is no access token: an import, or a candidate that came without one.
    NoAccessToken,
    /// The refresh token is 7 days old.
    KeepAlive,
    /// An earlier request had an unclear outcome: the same token again.
    RetryUnclear,
    /// The token was refused once: only a second refusal counts.
    ConfirmRefusal,
    /// The chain looks dead; now and then it is tried all the same.
    Probe,
    /// Exact did not accept the app; a setting changed or an hour went by.
    RetrySettings,
}

/// What keeps a refresh back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Exact would say "`access_token` not expired".
    TooYoung,
    /// Another process may be waiting for the reply to its request.
    AttemptInFlight,
    /// The next try of the same token after an unclear outcome.
    UnclearOutcome,
    /// The second try after a refusal.
    Refused(Refusal),
    /// After a failure that spent nothing.
    Backoff(BackoffCause),
    /// The clock is behind the last grant, so its age is not known.
    ClockBehind,
    /// Exact does not accept the app.
    Misconfigured(Misconfiguration),
    /// `REFRESH_POLICY` is `on-demand` and nobody asks.
    NobodyAsks,
    /// 8 requests without a grant in an hour.
    HourlyBudget,
    /// 200 requests in a UTC day.
    DailyBudget,
    /// A person is logging in at Exact.
    Consent,
}

/// Why a person is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no chain yet.
    NeverConnected,
    /// Head and candidates were refused twice each.
    Refused(Refusal),
    /// The stored chain belongs to another app or site than the settings name.
    OtherApp,
    /// The stored chain was got under another lock than this process would take.
    OtherLock,
}

/// Whether the token at hand may be given to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes, and it lives this much longer.
    Token {
        /// At least 1 s.
        remaining: SignedDuration,
    },
    /// Not this one; a new one may be asked for at once.
    RenewFirst,
    /// Not this one, and Exact grants no new one before then.
    WaitUntil(Timestamp),
    /// There is no chain.
    NeedsConsent,
}

/// May Exact be asked now? `credential` is the one that the ledger's head names.
#[must_use]
pub fn due(ledger: &Ledger, credential: Option<&Credential>, now: Timestamp, policy: &Policy) -> Due {
    let (Some(head), Some(credential)) = (&ledger.head, credential) else {
        return Due::NeedsConsent(Why::NeverConnected);
    };
    if ledger.lock_id != policy.lock_id || credential.lock_id != policy.lock_id {
        return Due::NeedsConsent(Why::OtherLock);
    }
    if !credential.chain.same_app(&policy.chain) {
        return Due::NeedsConsent(Why::OtherApp);
    }
    let retry = retry::next(ledger, head.fingerprint);
    let probe = ledger.dead.as_ref().and_then(|dead| probe_at(dead, ledger, now));
    if let (Some(dead), Some(at)) = (&ledger.dead, probe)
        && at > now
    {
        return Due::NeedsConsent(Why::Refused(dead.refusal));
    }
    let refused = ledger.refusals.iter().find(|refused| refused.fingerprint == head.fingerprint);
    let unsettled = retry.is_some() || refused.is_some() || ledger.dead.is_some() || credential.access.is_none();
    let misconfigured = ledger.misconfigured.filter(|problem| problem.settings == policy.settings);

    let holds = [
        Some((renewable_at(ledger, credential, now), if clock_is_behind(credential, now) { Wait::ClockBehind } else { Wait::TooYoung })),
        ledger.backoff.map(|backoff| (backoff.until, Wait::Backoff(backoff.cause))),
        retry.map(|at| (at, Wait::UnclearOutcome)),
        refused.filter(|_| ledger.dead.is_none()).map(|refused| (refused.last + REFUSED_AGAIN_AFTER, Wait::Refused(refused.refusal))),
        misconfigured.map(|problem| (problem.last + HOUR, Wait::Misconfigured(problem.what))),
        (policy.mode == Mode::OnDemand && !unsettled).then(|| (known_age_since(ledger, credential) + KEEP_ALIVE_AFTER, Wait::NobodyAsks)),
        hourly_budget(ledger, now).map(|until| (until, Wait::HourlyBudget)),
        (ledger.requests_today(now) >= REQUESTS_A_DAY).then(|| (next_utc_day(now), Wait::DailyBudget)),
        // The few moments at which an unclear outcome can be made good are not given up for anything.
        ledger.held_off_until().filter(|_| retry.is_none()).map(|until| (until, Wait::Consent)),
        // Last, because of two that end together the last is named: while a reply may still come, that is what is waited for.
        ledger.in_quarantine(now).map(|attempt| attempt.quarantine_until).max().map(|until| (until, Wait::AttemptInFlight)),
    ];
    if let Some((until, why)) = holds.into_iter().flatten().filter(|(until, _)| *until > now).max_by_key(|(until, _)| *until) {
        return Due::NotYet { until, why };
    }
    Due::Now(if ledger.dead.is_some() {
        Reason::Probe
    } else if refused.is_some() {
        Reason::ConfirmRefusal
    } else if retry.is_some() {
        Reason::RetryUnclear
    } else if ledger.misconfigured.is_some() {
        Reason::RetrySettings
    } else {
        match &credential.access {
            None => Reason::NoAccessToken,
            Some(_) if policy.mode == Mode::OnDemand => Reason::KeepAlive,
            Some(access) if access.expires_at <= now => Reason::Expired,
            Some(_) => Reason::Renewable,
        }
    })
}

/// May the token at hand be handed to a caller who needs `min_validity` of life?
#[must_use]
pub fn answer(credential: Option<&Credential>, now: Timestamp, min_validity: SignedDuration) -> Answer {
    let Some(credential) = credential else { return Answer::NeedsConsent };
    let Some(access) = &credential.access else { return Answer::RenewFirst };
    let remaining = access.expires_at.duration_since(now);
    let insisted = min_validity.min(access.lifetime - UNASKABLE).max(SignedDuration::ZERO);
    if clock_is_behind(credential, now) {
        Answer::RenewFirst
    } else if remaining >= insisted.max(LEAST_LIFE) {
        Answer::Token { remaining }
    } else if credential.renewable_at <= now {
        Answer::RenewFirst
    } else {
        Answer::WaitUntil(credential.renewable_at)
    }
}

/// Whether the credential was granted in what the clock calls the future: then nothing is known about its age.
#[must_use]
pub fn clock_is_behind(credential: &Credential, now: Timestamp) -> bool {
    credential.granted_at > now + CLOCK_TOLERANCE
}

/// When Exact grants the next refresh at the earliest. While the clock is behind the last grant, that is counted from when this was noticed. A clock
/// that has reached the time of the grant may have been put right, and then the pair is as young as it says: early is worse than late, so from there
/// on the stored time counts again.
#[must_use]
pub fn renewable_at(ledger: &Ledger, credential: &Credential, now: Timestamp) -> Timestamp {
    let stored = credential.renewable_at.duration_since(credential.granted_at);
    let gate = credential.access.as_ref().map_or(stored, |access| stored.max(access.lifetime - RENEWAL_WINDOW)) + SignedDuration::from_secs(1);
    match ledger.clock_behind_since {
        Some(noticed) if noticed < credential.granted_at && now < credential.granted_at => credential.renewable_at.min(noticed + gate),
        _ if clock_is_behind(credential, now) => credential.renewable_at.min(now + gate),
        _ => credential.renewable_at,
    }
}

/// Since when the refresh token certainly exists: a grant that a clock ahead of time dated is as old as the finding that it is ahead.
fn known_age_since(ledger: &Ledger, credential: &Credential) -> Timestamp {
    ledger.clock_behind_since.map_or(credential.granted_at, |noticed| credential.granted_at.min(noticed))
}

/// When a chain that looks dead is tried next: 1, 6 and 24 h after it was declared dead, then daily. None while the unclear outcome of a probe is
/// being cleared up: a retry of it is no probe, whatever it brings.
fn probe_at(dead: &Dead, ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
    if ledger.is_probing(now) {
        return None;
    }
    let hours = |hours| dead.since + SignedDuration::from_hours(hours);
    Some(match (dead.probes, dead.last_probe) {
        (0, _) | (_, None) => hours(1),
        (1, _) => hours(6),
        (2, _) => hours(24),
        (_, Some(last)) => last + SignedDuration::from_hours(24),
    })
}

/// When a chain that looks dead is tried next, if it does.
#[must_use]
pub fn next_probe(ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
    ledger.dead.as_ref().and_then(|dead| probe_at(dead, ledger, now))
}

/// When the oldest request leaves the hour, if the hour is full.
fn hourly_budget(ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
    let in_hour: Vec<_> = ledger.ungranted.iter().filter(|at| **at > now - BUDGET_HOUR).collect();
    let full_by = in_hour.len().checked_sub(UNGRANTED_AN_HOUR)?;
    in_hour.get(full_by).map(|at| **at + BUDGET_HOUR)
}

pub(super) fn next_utc_day(now: Timestamp) -> Timestamp {
    let midnight = (super::ledger::utc_day(now) + 1) * 86_400;
    Timestamp::from_second(midnight).unwrap_or(Timestamp::MAX)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Renewable => "the access token is in its last 30 s",
            Self::Expired => "the access token has expired",
            Self::NoAccessToken => "there is no access token yet",
            Self::KeepAlive => "the refresh token is 7 days old",
            Self::RetryUnclear => "an earlier request had an unclear outcome",
            Self::ConfirmRefusal => "the refresh token was refused once",
            Self::Probe => "the chain looks dead and is tried once more",
            Self::RetrySettings => "Exact Online did not accept the app's settings before",
        })
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooYoung => f.write_str("Exact Online grants no new token before 30 s from the end of the last"),
            Self::AttemptInFlight => f.write_str("another request may still be waiting for its reply"),
            Self::UnclearOutcome => f.write_str("the last request had an unclear outcome; the same token is tried again then"),
            Self::Refused(refusal) => write!(f, "{refusal}; it is asked once more before that is believed"),
            Self::Backoff(BackoffCause::NotSent(cause)) => cause.fmt(f),
            Self::Backoff(BackoffCause::TooEarly) => f.write_str("Exact Online says that the access token has not expired yet"),
            Self::Backoff(BackoffCause::Throttled) => f.write_str("Exact Online asks for fewer requests"),
            Self::Backoff(BackoffCause::Rebuilt) => f.write_str("the ledger was lost and rebuilt; a request may still be waiting for its reply"),
            Self::ClockBehind => f.write_str("the clock is behind the time of the last grant, so its age is not known"),
            Self::Misconfigured(what) => what.fmt(f),
            Self::NobodyAsks => f.write_str("the policy is on-demand and nobody has asked"),
            Self::HourlyBudget => f.write_str("8 requests in an hour brought no token; more could get the app blocked"),
            Self::DailyBudget => f.write_str("200 token requests were made today"),
            Self::Consent => f.write_str("a person is connecting Exact Online right now"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverConnected => f.write_str("no refresh token is stored yet"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::OtherApp => f.write_str("the stored tokens belong to another client id or region than the settings name"),
            Self::OtherLock => f.write_str("the stored tokens were got under another lock than this installation uses"),
        }
    }
}

impl Why {
    /// What a person has to do.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NeverConnected => {
                "connect Exact Online on the page Consent or with `exact-token-broker consent`, or bring a refresh token with `exact-token-broker import`"
            }
            Self::Refused(_) => {
                "a person must log in at Exact Online again: on the page Consent, with `exact-token-broker consent`, or elsewhere and then with \
                 `exact-token-broker import --replace`"
            }
            Self::OtherApp => {
                "set EXACT_CLIENT_ID and EXACT_REGION back, or connect the app that they name on the page Consent or with `exact-token-broker consent`"
            }
            Self::OtherLock => {
                "check AzureWebJobsStorage; if the storage was moved and nothing else uses these tokens any more, take them over with \
                 `exact-token-broker adopt`"
            }
        }
    }
}
