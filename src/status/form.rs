//! The form of the status: its members, as a monitor reads them in JSON. Their names are kept, and a new meaning raises [`Status::version`].

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Raised when a member changes its meaning or goes away.
const VERSION: u32 = 1;

/// The state in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All is well.
    Connected,
    /// A token may be at hand, but something needs attention.
    Degraded,
    /// A person must consent again.
    ConsentRequired,
    /// No consent was ever stored.
    NeverConnected,
    /// A setting or the stored document keeps everything from working.
    Misconfigured,
}

/// What is known of the chain at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Of this form.
    pub version: u32,
    /// In one word.
    pub state: State,
    /// In a sentence.
    pub summary: String,
    /// Settings that are missing or wrong, and what to do: by name, without a value. Nothing else is known then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Whether a caller of `GetToken` who asks for nothing special would be served: by the token at hand, or by a refresh that may be made for him
    /// and that nothing speaks against.
    pub servable: bool,
    /// When this was found out, by the store's clock.
    #[serde(serialize_with = "to_the_second")]
    pub at: Option<Timestamp>,
    /// How many seconds before then the store was last read. None: never by this process.
    pub store_read_seconds_ago: Option<u64>,
    /// Where the tokens are kept.
    pub store: String,
    /// The app and the site that the tokens are for.
    pub base_url: Option<String>,
    /// Whole seconds of life of the access token; 0 if it is dead.
    pub access_token_seconds_left: i64,
    /// Its cautious end.
    #[serde(serialize_with = "to_the_second")]
    pub access_token_expires_at: Option<Timestamp>,
    /// When Exact may be asked for the next.
    #[serde(serialize_with = "to_the_second")]
    pub renewable_at: Option<Timestamp>,
    /// When the refresh token dies if it is not used: 30 days after its issue. None for one that has brought no pair yet.
    #[serde(serialize_with = "to_the_second")]
    pub refresh_token_expires_at: Option<Timestamp>,
    /// Whole days until then.
    pub refresh_token_days_left: Option<i64>,
    /// Where a person connects again. None: there is no such page, and `exact-token-broker consent` does it.
    pub consent_url: Option<String>,
    /// The company of the user who consented. None: not told by Exact, or a chain that no consent began.
    pub company: Option<String>,
    /// The user whose permissions the tokens carry.
    pub user: Option<String>,
    /// When the stored pair was granted.
    #[serde(serialize_with = "to_the_second")]
    pub last_grant_at: Option<Timestamp>,
    /// A pair that another user than before consented to, which somebody has to confirm or to discard. None: there is none.
    pub pending_consent: Option<PendingConsent>,
    /// When a log-in was cut off before its tokens were stored. Whoever made it has to connect again; the next grant settles it.
    #[serde(serialize_with = "to_the_second")]
    pub cut_off_log_in_at: Option<Timestamp>,
    /// Whether this process holds a pair in memory that it could not store yet.
    pub unsaved_grant: bool,
    /// The last grants, oldest first.
    #[serde(serialize_with = "each_to_the_second")]
    pub recent_grants: Vec<Timestamp>,
    /// What happens next, and when.
    pub next: String,
    /// Consents, imports and lost ledgers so far.
    pub epoch: Option<u64>,
    /// Writes of the ledger so far.
    pub generation: Option<u64>,
    /// Failures since the last grant.
    pub failures_in_a_row: u32,
    /// `not_sent`, `too_early`, `unclear`, `refused`, `misconfigured` or `throttled`.
    pub last_failure_class: Option<&'static str>,
    /// The same in words.
    pub last_failure: Option<String>,
    /// When that was.
    #[serde(serialize_with = "to_the_second")]
    pub last_failure_at: Option<Timestamp>,
    /// Token requests on this UTC day; 200 at most.
    pub requests_today: u32,
    /// Token requests of the last hour that brought no grant; 8 at most, 9 with a code exchange.
    pub ungranted_this_hour: usize,
    /// Requests of which it is not known what became of them.
    pub open_attempts: usize,
    /// Versions to fall back to.
    pub candidates: usize,
    /// Who holds the embedded store's lock. A holder that hangs is not taken over.
    pub lock_holder: Option<LockHolder>,
    /// The program's version.
    pub build: &'static str,
}

/// Who holds the embedded store's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LockHolder {
    /// Its process.
    pub pid: Option<u32>,
    /// Since when.
    #[serde(serialize_with = "to_the_second")]
    pub since: Option<Timestamp>,
}

/// A consent that is stored and not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingConsent {
    /// Where it is stored. No secret.
    pub version: String,
    /// The user who consented. None: not told by Exact.
    pub user: Option<String>,
    /// The company of that user.
    pub company: Option<String>,
    /// When.
    #[serde(serialize_with = "one_to_the_second")]
    pub granted_at: Timestamp,
}

impl Status {
    /// Of an installation whose settings cannot be used. No problem holds a value.
    #[must_use]
    pub fn misconfigured(problems: &[String]) -> Self {
        let summary = format!("settings are missing or wrong: {}", problems.join("; "));
        let next = "nothing, until the settings are right".to_owned();
        Self { state: State::Misconfigured, summary, problems: problems.to_vec(), next, ..Self::unknown() }
    }

    /// Where nothing could be found out in time.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            version: VERSION,
            state: State::Degraded,
            summary: "the token store has not been read yet".to_owned(),
            problems: Vec::new(),
            servable: false,
            at: None,
            store_read_seconds_ago: None,
            store: String::new(),
            base_url: None,
            access_token_seconds_left: 0,
            access_token_expires_at: None,
            renewable_at: None,
            refresh_token_expires_at: None,
            refresh_token_days_left: None,
            consent_url: None,
            company: None,
            user: None,
            pending_consent: None,
            cut_off_log_in_at: None,
            unsaved_grant: false,
            last_grant_at: None,
            recent_grants: Vec::new(),
            next: String::new(),
            epoch: None,
            generation: None,
            failures_in_a_row: 0,
            last_failure_class: None,
            last_failure: None,
            last_failure_at: None,
            requests_today: 0,
            ungranted_this_hour: 0,
            open_attempts: 0,
            candidates: 0,
            lock_holder: None,
            build: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// What a status tells to a person or a monitor is told to the second.
pub(super) fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn each_to_the_second<S: Serializer>(times: &[Timestamp], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(times.iter().map(|at| second(*at).to_string()))
}

fn one_to_the_second<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&second(*at))
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the member")]
fn to_the_second<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(&second(*at)),
        None => serializer.serialize_none(),
    }
}
