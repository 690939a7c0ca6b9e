//! What a person is told while there is still time: the refresh token dies 30 days after its issue, and only a log-in brings another.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::Refresher;
use super::memory::View;
use crate::token::credential::REFRESH_TOKEN_LIFETIME;
use crate::token::schedule::Why;

/// From this long before the end on, every tick, every caller and every look at the status hears of it. A chain that is well is renewed at the age of
/// 7 days at the latest, so by then refreshes have failed, or nothing has run, for two weeks.
pub const WARN_BEFORE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What else a person may do where a log-in is asked for. No name: it goes to callers and into the log.
const WAITING: &str = "the tokens of a log-in are stored and wait to be confirmed: if it is meant, say so on the page Consent, and nobody has to log \
                       in; if not";

/// Why nothing goes on without a person, and what that person has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Why.
    pub why: Why,
    /// Whether a consent waits to be confirmed that may be all that is needed.
    pub confirmation_waits: bool,
}

impl From<Why> for Needed {
    fn from(why: Why) -> Self {
        Self { why, confirmation_waits: false }
    }
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (why, remedy) = (&self.why, self.why.remedy());
        if self.confirmation_waits { write!(f, "{why}; {WAITING}: {remedy}") } else { write!(f, "{why}; {remedy}") }
    }
}

impl View {
    /// What a person has to do about it. What waits under another lock, or for another app, cannot be confirmed.
    #[must_use]
    pub fn needed(&self, why: Why) -> Needed {
        let pending = self.ledger.as_ref().is_some_and(|ledger| ledger.consents.pending.is_some());
        Needed { confirmation_waits: pending && !matches!(why, Why::OtherLock | Why::OtherApp), why }
    }
}

impl Refresher {
    /// With the address of the page where a person connects again.
    #[must_use]
    pub fn with_consent_at(mut self, url: Option<String>) -> Self {
        self.consent_url = url;
        self
    }

    /// Where a person connects again, if this installation has a page for it.
    #[must_use]
    pub fn consent_url(&self) -> Option<&str> {
        self.consent_url.as_deref()
    }

    /// That the refresh token ends soon, or should have ended, and what to do; None while there is time. No secret.
    #[must_use]
    pub fn ending(&self, view: &View) -> Option<String> {
        let credential = view.servable.as_deref().or(view.head.as_deref())?;
        // Nearly every call ends here, and has not taken a hash for it.
        let granted = credential.granted_at + REFRESH_TOKEN_LIFETIME;
        let earliest =
            view.ledger.as_ref().and_then(|ledger| ledger.issued).map_or(granted, |issued| granted.min(issued.at + REFRESH_TOKEN_LIFETIME));
        if earliest.duration_since(view.now) > WARN_BEFORE {
            return None;
        }
        let end = view.refresh_token_expires_at(credential);
        let left = end.duration_since(view.now);
        if left > WARN_BEFORE {
            return None;
        }
        let end = Timestamp::from_second(end.as_second()).unwrap_or(end);
        let when = match left.as_hours() {
            _ if left <= SignedDuration::ZERO => format!("the 30 days of the refresh token were over at {end}"),
            hours @ 48.. => format!("the refresh token ends at {end}, in {} days, unless a refresh succeeds before", hours / 24),
            hours => format!("the refresh token ends at {end}, in {hours} h, unless a refresh succeeds before"),
        };
        Some(match self.consent_url() {
            Some(url) => format!("{when}; connect to Exact Online again at {url}"),
            None => format!("{when}; connect to Exact Online again with `exact-token-broker consent`"),
        })
    }
}
