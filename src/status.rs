//! What is known of the chain, for a person and for a monitor. No secret.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use crate::refresh_token::memory::View;
use crate::refresh_token::{LookError, Refresher};
use crate::token::Ledger;
use crate::token::schedule::{Answer, Due, Mode, Policy, Wait, Why, answer, due};

/// Raised when a member changes its meaning or goes away.
const VERSION: u32 = 1;

/// A monitor waits this long for the store; then what memory has is said. Store and monitor may both be slow, and a caller's own limit is seldom less
/// than 10 s.
pub const LOOK: Duration = Duration::from_secs(4);

/// Past the end of the access token: two ticks.
const LATE: SignedDuration = SignedDuration::from_mins(18);

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
    /// Looks at the store and says what it found. Sends nothing and takes no lock.
    pub async fn of(refresher: &Arc<Refresher>) -> Self {
        let looked = refresher.look().await;
        Self::from_memory(refresher, looked)
    }

    /// The same for who does not wait long: a store that is silent is left to itself after [`LOOK`], and memory answers.
    pub async fn soon(refresher: &Arc<Refresher>) -> Self {
        let looked = tokio::select! {
            biased;
            looked = refresher.look() => looked,
            () = refresher.clock.sleep(LOOK) => {
                Err(LookError::Unavailable(format!("the token store does not answer within {} s", LOOK.as_secs())))
            }
        };
        Self::from_memory(refresher, looked)
    }

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

    /// From what this process knows, after a look at the store that may have failed.
    fn from_memory(refresher: &Refresher, looked: Result<(), LookError>) -> Self {
        let view = refresher.view();
        let mut status = Self { at: Some(view.now), store_read_seconds_ago: view.age.map(|age| age.as_secs()), ..Self::unknown() };
        status.consent_url = refresher.consent_url().map(str::to_owned);
        let answer = answer(view.servable.as_deref(), view.served_at, crate::get_token::Ask::DEFAULT_MIN_VALIDITY);
        status.servable = matches!(answer, Answer::Token { .. });
        status.tell_tokens(&view);
        if let Some(ledger) = &view.ledger {
            status.tell_ledger(ledger, &view);
        }
        if let Err(problem) = looked {
            (status.state, status.summary) = match problem {
                LookError::Damaged(what) if !status.servable => (State::Misconfigured, what),
                LookError::Damaged(why) | LookError::Unavailable(why) => (State::Degraded, why),
            };
            "nothing, until the store can be read".clone_into(&mut status.next);
        } else if let Some(ledger) = &view.ledger {
            status.servable |= a_refresh_would_serve(refresher, ledger, &view);
            status.judge(refresher, ledger, &view);
        }
        status.unsaved_grant = view.unsaved;
        if status.unsaved_grant {
            status.mention("A NEW PAIR OF TOKENS IS NOT STORED YET: it is kept in memory and tried again; do not restart the app".to_owned());
        }
        if let Some(pending) = &status.pending_consent {
            let who = pending.user.as_deref().unwrap_or("somebody whose name Exact Online did not tell");
            let waits = format!("{who} connected, and not the user whose tokens are stored: the page Consent asks whether that is meant");
            status.mention(waits);
        }
        if let Some(ending) = refresher.ending(&view)
            && matches!(status.state, State::Connected | State::Degraded)
        {
            status.mention(ending);
        }
        status
    }

    /// Something needs attention besides.
    fn mention(&mut self, what: String) {
        if self.state == State::Connected {
            (self.state, self.summary) = (State::Degraded, what);
        } else {
            self.summary = format!("{}; {what}", self.summary);
        }
    }

    fn tell_tokens(&mut self, view: &View) {
        let Some(credential) = view.servable.as_deref() else { return };
        self.base_url = Some(credential.chain.base_url.clone());
        // The age of an imported token is not known until it has brought a pair.
        let Some(access) = &credential.access else { return };
        self.last_grant_at = Some(credential.granted_at);
        self.refresh_token_expires_at = Some(credential.refresh_token_expires_at());
        let days = credential.refresh_token_expires_at().duration_since(view.now).max(SignedDuration::ZERO).as_hours() / 24;
        self.refresh_token_days_left = Some(days);
        self.access_token_expires_at = Some(access.expires_at);
        self.access_token_seconds_left = access.expires_at.duration_since(view.served_at).as_secs().max(0);
    }

    fn tell_ledger(&mut self, ledger: &Ledger, view: &View) {
        self.renewable_at = view.servable.as_deref().map(|credential| crate::token::schedule::renewable_at(ledger, credential, view.now));
        self.epoch = Some(ledger.epoch);
        self.generation = Some(ledger.generation);
        self.failures_in_a_row = ledger.last_failure.map_or(0, |failure| failure.in_a_row);
        self.last_failure_class = ledger.last_failure.map(|failure| failure.what.class());
        self.last_failure = ledger.last_failure.map(|failure| failure.what.to_string());
        self.last_failure_at = ledger.last_failure.map(|failure| failure.at);
        self.requests_today = ledger.requests_today(view.now);
        self.ungranted_this_hour = ledger.ungranted_in_hour(view.now);
        self.open_attempts = ledger.open.len();
        self.candidates = ledger.candidates.len();
        self.company = ledger.consents.person.as_ref().map(|person| person.company.clone());
        self.user = ledger.consents.person.as_ref().map(|person| person.name.clone());
        self.recent_grants.clone_from(&ledger.recent_grants);
        self.pending_consent = ledger.consents.pending.as_ref().map(|pending| PendingConsent {
            version: pending.pointer.version.to_string(),
            user: pending.person.as_ref().map(|person| person.name.clone()),
            company: pending.person.as_ref().map(|person| person.company.clone()),
            granted_at: pending.pointer.granted_at,
        });
    }

    /// With a timer that works, a token is renewed before it ends; a tick and an open attempt after that, something is wrong.
    fn renewal_is_late(&self, refresher: &Refresher, view: &View) -> bool {
        let late = |end: Timestamp| view.now.duration_since(end) > LATE;
        refresher.policy.mode == Mode::KeepWarm && self.access_token_expires_at.is_some_and(late)
    }

    fn judge(&mut self, refresher: &Refresher, ledger: &Ledger, view: &View) {
        let next = due(ledger, view.head.as_deref(), view.now, &refresher.policy);
        self.next = said(&next, crate::token::schedule::next_probe(ledger, view.now));
        (self.state, self.summary) = match &next {
            Due::NeedsConsent(Why::NeverConnected) => {
                (State::NeverConnected, "no token is stored yet: a person has to connect Exact Online".to_owned())
            }
            Due::NeedsConsent(why @ (Why::OtherApp | Why::OtherLock)) => (State::Misconfigured, why.to_string()),
            Due::NeedsConsent(why @ Why::Refused(_)) => (State::ConsentRequired, why.to_string()),
            Due::Now(_) | Due::NotYet { .. } if view.ledger_lost => (State::Degraded, "the ledger is gone; the next tick rebuilds it".to_owned()),
            Due::Now(_) | Due::NotYet { .. } => match ledger.last_failure {
                Some(failure) if ledger.misconfigured.is_some() => (State::Misconfigured, failure.what.to_string()),
                Some(failure) => (State::Degraded, failure.what.to_string()),
                None if ledger.rebuilt_at.is_some() => {
                    (State::Degraded, "the ledger was lost and was rebuilt from the vault; the next grant settles it".to_owned())
                }
                None if self.access_token_expires_at.is_none() => {
                    (State::Connected, "a refresh token is stored; it has brought no pair yet".to_owned())
                }
                None if self.renewal_is_late(refresher, view) => {
                    (State::Degraded, "the access token should have been renewed and was not: does the timer function run?".to_owned())
                }
                None => (State::Connected, "connected to Exact Online".to_owned()),
            },
        };
    }
}

/// Whether a caller for whom no token is at hand would get one all the same: a refresh may be made now, or so soon that he waits for it, and the last
/// one went well. Without this, nothing would be servable for most of the day where tokens are fetched only when they are asked for.
fn a_refresh_would_serve(refresher: &Refresher, ledger: &Ledger, view: &View) -> bool {
    if ledger.last_failure.is_some() || !ledger.open.is_empty() || view.ledger_lost {
        return false;
    }
    let policy = Policy { mode: Mode::KeepWarm, ..refresher.policy.clone() };
    match due(ledger, view.head.as_deref(), view.now, &policy) {
        Due::Now(_) => true,
        Due::NotYet { until, why: Wait::TooYoung } => until.duration_since(view.now) < crate::get_token::Ask::DEFAULT_MAX_WAIT,
        Due::NotYet { .. } | Due::NeedsConsent(_) => false,
    }
}

fn said(next: &Due, probe: Option<Timestamp>) -> String {
    match next {
        Due::Now(reason) => format!("a refresh at the next tick or call: {reason}"),
        Due::NotYet { until, why } => format!("no refresh before {}: {why}", second(*until)),
        Due::NeedsConsent(why) => match (why, probe) {
            (Why::Refused(_), Some(at)) => format!("the refused token is tried once more from {} on, in case it was a mistake", second(at)),
            _ => "nothing, until a person connects Exact Online".to_owned(),
        },
    }
}

/// One screen for a person.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| second(at).to_string());
        let state = match self.state {
            State::Connected => "connected",
            State::Degraded => "degraded",
            State::ConsentRequired => "consent required",
            State::NeverConnected => "never connected",
            State::Misconfigured => "misconfigured",
        };
        writeln!(f, "state           {state}: {}", self.summary)?;
        writeln!(f, "site            {}", self.base_url.as_deref().unwrap_or("-"))?;
        if let (Some(user), Some(company)) = (&self.user, &self.company) {
            writeln!(f, "connected as    {user} of {company}")?;
        }
        match self.access_token_expires_at {
            Some(until) => writeln!(f, "access token    {} s left, until {}", self.access_token_seconds_left, second(until))?,
            None => writeln!(f, "access token    none yet")?,
        }
        match (self.refresh_token_days_left, self.refresh_token_expires_at) {
            (Some(days), Some(until)) => writeln!(f, "refresh token   {days} days left, until {}", second(until))?,
            _ if self.base_url.is_some() => writeln!(f, "refresh token   has brought no pair yet, so its age is not known")?,
            _ => writeln!(f, "refresh token   none yet")?,
        }
        writeln!(f, "last grant      {}", when(self.last_grant_at))?;
        writeln!(f, "next            {}", self.next)?;
        let failure = self.last_failure.as_deref().map_or_else(String::new, |what| format!(", the last: {what}"));
        writeln!(f, "failures        {} in a row{failure}", self.failures_in_a_row)?;
        writeln!(f, "requests        {} today, {} without a grant this hour", self.requests_today, self.ungranted_this_hour)?;
        writeln!(f, "unclear         {} open attempts, {} candidates", self.open_attempts, self.candidates)?;
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        writeln!(f, "ledger          epoch {}, generation {}", number(self.epoch), number(self.generation))?;
        if let Some(LockHolder { pid, since }) = self.lock_holder {
            let pid = pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
            writeln!(f, "lock            held by process {pid} since {}; a process that hangs has to be ended by you", when(since))?;
        }
        writeln!(f, "store           {}", self.store)?;
        write!(f, "build           {}", self.build)
    }
}

fn second(at: Timestamp) -> Timestamp {
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
