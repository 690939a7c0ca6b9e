//! What is known of the chain, for a person and for a monitor: found out and judged here. No secret.

mod form;
mod screen;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::refresh_token::memory::View;
use crate::refresh_token::{LookError, Refresher};
use crate::token::Ledger;
use crate::token::schedule::{Answer, Due, Mode, Policy, Wait, Why, answer, due};
use form::second;

pub use form::{LockHolder, PendingConsent, State, Status};

/// A monitor waits this long for the store; then what memory has is said. Store and monitor may both be slow, and a caller's own limit is seldom less
/// than 10 s.
pub const LOOK: Duration = Duration::from_secs(4);

/// Past the end of the access token: two ticks.
const LATE: SignedDuration = SignedDuration::from_mins(18);

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
        // What this process still holds is not lost.
        status.cut_off_log_in_at = view.ledger.as_ref().filter(|_| !view.unsaved).and_then(|ledger| ledger.cut_off(view.now));
        if let Some(at) = status.cut_off_log_in_at {
            status.mention(format!("the log-in of {} was cut off before its tokens were stored: unless its process is still at that, whoever made it has to connect again", second(at)));
        }
        status.unsaved_grant = view.unsaved;
        if status.unsaved_grant {
            status.mention("A NEW PAIR OF TOKENS IS NOT STORED YET: it is kept in memory and tried again; do not restart the app".to_owned());
        }
        if let Some(pending) = &status.pending_consent {
            let waits = match &pending.user {
                Some(who) => format!("{who} connected, and not the user whose tokens are stored: the page Consent asks whether that is meant"),
                None => "somebody whose name Exact Online did not tell connected: the page Consent asks whether that is meant".to_owned(),
            };
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
        let end = view.refresh_token_expires_at(credential);
        self.refresh_token_expires_at = Some(end);
        let days = end.duration_since(view.now).max(SignedDuration::ZERO).as_hours() / 24;
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
    if ledger.last_failure.is_some() || ledger.is_unsettled(view.now) || view.ledger_lost {
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
