//! How a chain begins: a person consents in the browser, or brings a refresh token that exists already.
//!
//! [`Consent`] is the browser's way, from the button to the new chain; the exchange itself is a piece of the pass. [`import`] takes over a token.
//! [`outcome`] is all that a consent can come to, in words that page and command line share.

pub mod import;
pub mod outcome;
mod pasted;
mod signed;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ports::ConsentEndpoint;
use crate::refresh_token::pass::exchange::{Code, ExchangeError, Exchanged};
use crate::refresh_token::{LookError, PASS, Refresher};
use crate::task;
use crate::token::consent::STATE_LIFETIME;
use crate::token::ledger::FailureKind;
use crate::token::reply::{Misconfiguration, Refusal};
use crate::token::schedule::Why;
use crate::token::{Person, Secret, VersionId};
use signed::{BegunIn, Checked, Purpose, Signer, new_cookie};

pub use crate::refresh_token::pass::person::Decision;
pub use import::{ImportError, Imported, plausible};
pub use outcome::{Connected, Failed, Finished, Problem};
pub use pasted::Unusable;

/// How long a browser may try again without the page's own link. The cookie should be kept as long.
pub const AGAIN_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// How long a person who presses the button waits for an earlier pair to be stored.
const SAVE_WITHIN: Duration = Duration::from_mins(1);

/// A consent that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Exact's log-in page, with our state: the browser goes there.
    pub authorize_url: Secret,
    /// For the browser to keep until [`Callback::cookie`]: the state is good only beside it. 43 characters of base64url.
    pub cookie: Secret,
}

/// What a browser brings back.
#[derive(Debug, Default)]
pub struct Callback {
    /// As it was sent to Exact.
    pub state: Option<Secret>,
    /// Decoded once.
    pub code: Option<Secret>,
    /// Exact's error code, in place of a code. No secret, but a text that anybody can make a browser send.
    pub error: Option<Secret>,
    /// What the browser keeps of [`Begun`].
    pub cookie: Option<Secret>,
}

/// Which pair a person decides about.
#[derive(Debug)]
pub enum Waiting {
    /// The one of the log-in that this browser has just made: what [`Finished::Confirm`] gave it, and its cookie.
    Signed {
        /// Good for 10 minutes.
        confirm: Secret,
        /// What the browser keeps of [`Begun`].
        cookie: Option<Secret>,
    },
    /// The one that the status names, for somebody who may see that.
    Named(VersionId),
}

/// The consents of one app.
pub struct Consent {
    refresher: Arc<Refresher>,
    endpoint: Arc<dyn ConsentEndpoint>,
    signer: Signer,
    redirect_uri: Option<String>,
}

impl Consent {
    /// `redirect_uri` is the one that is registered for the app; without it nothing can begin.
    #[must_use]
    pub fn new(refresher: Arc<Refresher>, endpoint: Arc<dyn ConsentEndpoint>, client_secret: &Secret, redirect_uri: Option<String>) -> Self {
        Self { refresher, endpoint, signer: Signer::new(client_secret), redirect_uri }
    }

    /// The button was pressed, by somebody who may. The cookie is the one that the browser has already: with a new one, a log-in that is under way in
    /// another tab could not be brought to its end.
    pub async fn begin(&self, cookie: Option<Secret>) -> Result<Begun, Problem> {
        self.begin_until(self.refresher.ledger.now() + AGAIN_WITHIN, cookie).await
    }

    async fn begin_until(&self, again_until: Timestamp, cookie: Option<Secret>) -> Result<Begun, Problem> {
        let redirect_uri = self.redirect_uri()?;
        // Better now than after a log-in with MFA. What is damaged is no hindrance: a new chain may be what mends it.
        self.save_what_is_not_stored().await?;
        let looked = self.refresher.look().await;
        if let Err(LookError::Unavailable(why)) = looked {
            return Err(Problem::Store(why));
        }
        if self.refresher.is_of_another_lock() {
            return Err(Problem::Store(format!("{}; {}", Why::OtherLock, Why::OtherLock.remedy())));
        }
        let ledger = self.refresher.view().ledger.filter(|_| looked.is_ok());
        if let Some(ledger) = &ledger
            && let Some(until) = ledger.code_budget(self.refresher.ledger.now())
        {
            return Err(Problem::Budget { until });
        }
        self.refresher.prepare(&*self.endpoint).await?;
        let cookie = cookie.unwrap_or_else(new_cookie);
        let rest = BegunIn { epoch: ledger.map(|ledger| ledger.epoch), again_until }.to_string();
        let state = self.signer.sign(Purpose::State, STATE_LIFETIME, &cookie, &rest, self.refresher.ledger.now());
        Ok(Begun { authorize_url: Secret::new(self.endpoint.authorize_url(redirect_uri, state.reveal())), cookie })
    }

    /// The same in a browser that was allowed to begin within the last hour.
    pub async fn begin_again(&self, again: &Secret, cookie: Option<Secret>) -> Result<Begun, Failed> {
        let checked = self.signer.check(Purpose::Again, again, cookie.as_ref()).and_then(|checked| checked.in_time(self.refresher.ledger.now()));
        match checked {
            Ok(Checked { expires_at, .. }) => {
                let begun = self.begin_until(expires_at, cookie.clone()).await;
                begun.map_err(|problem| self.failed(problem, expires_at, cookie.as_ref()))
            }
            Err(problem) => Err(problem.into()),
        }
    }

    /// Exact sent the browser back. Must run to its end.
    pub async fn finish(&self, callback: Callback) -> Result<Finished, Failed> {
        let state = callback.state.as_ref().map(|state| self.signer.check(Purpose::State, state, callback.cookie.as_ref()));
        let checked = match (state, &callback.error) {
            (Some(Ok(checked)), _) => checked,
            // Nothing follows from an error but what the page says; where the app is not known, Exact does not give the state back.
            (None, Some(error)) => return Err(sent_by_exact(error).into()),
            (None, None) => return Err(Problem::Forged.into()),
            (Some(Err(problem)), _) => return Err(problem.into()),
        };
        let cookie = callback.cookie.as_ref();
        let BegunIn { epoch, again_until } = checked.rest.parse()?;
        let exchanged = match (&callback.error, callback.code) {
            (Some(error), _) => Err(sent_by_exact(error)),
            (None, Some(code)) if !code.reveal().trim().is_empty() => self.exchange_in_time(checked, code).await,
            (None, _) => Err(Problem::NoCode),
        };
        if let Err(Problem::NotSaved(_)) = exchanged {
            // Nobody need come by before it is tried again.
            let refresher = Arc::clone(&self.refresher);
            drop(task::spawn(async move { refresher.save_unsaved(PASS).await }));
            tokio::task::yield_now().await;
        }
        exchanged.map(|exchanged| self.finished(exchanged, epoch, cookie)).map_err(|problem| self.failed(problem, again_until, cookie))
    }

    /// A person says whether another's consent is meant.
    pub async fn decide(&self, waiting: Waiting, decision: Decision) -> Result<Finished, Failed> {
        let (version, cookie) = match waiting {
            Waiting::Signed { confirm, cookie } => {
                let checked = self.signer.check(Purpose::Confirm, &confirm, cookie.as_ref())?;
                (VersionId(checked.in_time(self.refresher.ledger.now())?.rest), cookie)
            }
            Waiting::Named(version) => (version, None),
        };
        match self.refresher.decide(&version, decision).await {
            Ok(Some(exchanged)) => Ok(self.finished(exchanged, None, cookie.as_ref())),
            Ok(None) => Ok(Finished::LeftAsItWas),
            Err(ExchangeError::Overtaken) => Err(Problem::NothingToConfirm.into()),
            // The page that asked still asks.
            Err(error) => Err(Problem::from(error).into()),
        }
    }

    /// The log-in alone would end the chain of a pair that is not stored yet.
    async fn save_what_is_not_stored(&self) -> Result<(), Problem> {
        match self.refresher.save_unsaved(SAVE_WITHIN).await {
            Some(why) => Err(Problem::NotSaved(why)),
            None => Ok(()),
        }
    }

    fn redirect_uri(&self) -> Result<&str, Problem> {
        self.redirect_uri
            .as_deref()
            .ok_or_else(|| Problem::Settings("EXACT_REDIRECT_URI is not set, and WEBSITE_HOSTNAME, from which it would follow, neither".to_owned()))
    }

    async fn exchange_in_time(&self, checked: Checked, code: Secret) -> Result<Exchanged, Problem> {
        let checked = checked.in_time(self.refresher.ledger.now())?;
        let code = Code { code, redirect_uri: self.redirect_uri()?.to_owned(), state: Some(checked.used()) };
        Ok(self.refresher.exchange(&*self.endpoint, code).await?)
    }

    /// `begun_in` is the epoch in which the log-in began, where that is known.
    fn finished(&self, exchanged: Exchanged, begun_in: Option<u64>, cookie: Option<&Secret>) -> Finished {
        match exchanged {
            Exchanged::Connected { epoch, replaced, person } => {
                let meanwhile = replaced && begun_in.is_some_and(|begun_in| epoch.saturating_sub(1) > begun_in);
                Finished::Connected(Connected { person: person.map(Box::new), epoch, replaced, meanwhile })
            }
            Exchanged::Pending { version, stored, new } => {
                let confirm = self.sign(Purpose::Confirm, STATE_LIFETIME, cookie, &version.0);
                Finished::Confirm { stored: stored.map(Box::new), new: new.map(Box::new), confirm }
            }
        }
    }

    /// However often it is tried, the hour begins with the page that only the function key opens.
    fn failed(&self, problem: Problem, again_until: Timestamp, cookie: Option<&Secret>) -> Failed {
        let left = again_until.duration_since(self.refresher.ledger.now());
        let may = problem.may_be_tried_again() && left > SignedDuration::ZERO;
        Failed { problem, again: may.then(|| self.sign(Purpose::Again, left, cookie, "")) }
    }

    fn sign(&self, purpose: Purpose, lifetime: SignedDuration, cookie: Option<&Secret>, rest: &str) -> Secret {
        let nobody = Secret::new("");
        self.signer.sign(purpose, lifetime, cookie.unwrap_or(&nobody), rest, self.refresher.ledger.now())
    }
}

/// An error that Exact sends the browser back with (RFC 6749, section 4.1.2.1).
fn sent_by_exact(error: &Secret) -> Problem {
    match error.reveal() {
        "access_denied" => Problem::Denied,
        "unauthorized_client" | "invalid_client" | "unsupported_response_type" => Problem::NotThisApp,
        _ => Problem::EndedByExact,
    }
}

impl From<ExchangeError> for Problem {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Used => Self::Used,
            ExchangeError::Budget(until) => Self::Budget { until },
            ExchangeError::Busy => Self::Busy,
            ExchangeError::Store(why) => Self::Store(why),
            ExchangeError::CodeRefused => Self::CodeRefused,
            ExchangeError::Overtaken => Self::Overtaken,
            ExchangeError::NotSaved(why) => Self::NotSaved(why),
            ExchangeError::Failed(what) => match what {
                FailureKind::TooEarly => Self::TooEarly,
                FailureKind::Refused(Refusal::InvalidChain | Refusal::OldTokenUsed) => Self::Overtaken,
                FailureKind::Refused(Refusal::Expired) => Self::CodeRefused,
                FailureKind::Misconfigured(Misconfiguration::InvalidClient | Misconfiguration::UnauthorizedClient) => Self::App,
                FailureKind::NotSent(_) => Self::Unreachable,
                FailureKind::Throttled => Self::Throttled,
                FailureKind::Unclear(_) => Self::Unclear,
            },
        }
    }
}

impl std::fmt::Debug for Consent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consent").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// A name for whoever is asked about: who Exact says it is, or that it did not say.
#[must_use]
pub fn named(person: Option<&Person>) -> String {
    match person {
        // The log-in last: many a company ends with a full stop, and a sentence may end here.
        Some(person) if !person.company.is_empty() => format!("{} of {} ({})", person.name, person.company, person.login),
        Some(person) => format!("{} ({})", person.name, person.login),
        None => "somebody whose name Exact Online did not tell".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_may_end_after_a_name() {
        let person = |company: &str| Person {
            id: "made-up-id".to_owned(),
            name: "Made Up".to_owned(),
            login: "made.up".to_owned(),
            company: company.to_owned(),
            division: 1,
        };
        assert_eq!(named(Some(&person("Made-up Trading B.V."))), "Made Up of Made-up Trading B.V. (made.up)");
        assert_eq!(named(Some(&person(""))), "Made Up (made.up)");
        assert!(!named(None).ends_with('.'));
    }
}
