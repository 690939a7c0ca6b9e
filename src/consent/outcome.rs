//! All that a consent can come to, in words that page and command line share. No secret, and no text from outside but names that Exact gave.

use jiff::Timestamp;

use crate::token::{Person, Secret};

/// How one callback from Exact ended well.
#[derive(Clone, Debug)]
pub enum Finished {
    /// The new pair is the one that is served from now on.
    Connected(Connected),
    /// The pair is stored and not served: somebody else consented than before, and a person has to say that this is meant.
    Confirm {
        /// Whose chain is stored, as far as is known.
        stored: Option<Box<Person>>,
        /// Whose it would be, if Exact told.
        new: Option<Box<Person>>,
        /// To be sent back as `confirm`; good for 10 minutes, in the same browser.
        confirm: Secret,
    },
    /// A person said that such a pair is not meant.
    LeftAsItWas,
}

/// A chain has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Whose permissions the tokens carry. None: Exact did not say.
    pub person: Option<Box<Person>>,
    /// Consents, imports and lost ledgers so far.
    pub epoch: u64,
    /// Whether there was a chain before.
    pub replaced: bool,
    /// Whether that one began while this log-in was under way: in another browser, or by a command.
    pub meanwhile: bool,
}

/// How one callback ended otherwise.
#[derive(Clone, Debug)]
pub struct Failed {
    /// What is wrong.
    pub problem: Problem,
    /// To be sent back as `again`, for another try in the same browser. None where only the page's own link can begin.
    pub again: Option<Secret>,
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self { problem, again: None }
    }
}

/// Why there is no new chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The state is not ours, or was altered.
    #[error("this link did not come from this installation, or it was altered")]
    Forged,
    /// It was begun in another browser, or the browser does not send its cookie.
    #[error("this connection was begun in another browser, or this one does not keep cookies")]
    OtherBrowser,
    /// More than 10 minutes old.
    #[error("the connection was begun more than 10 minutes ago")]
    Expired,
    /// The same callback a second time: back button, reload.
    #[error("this link was used before")]
    Used,
    /// There is neither code nor error.
    #[error("Exact Online sent neither a code nor an error")]
    NoCode,
    /// `access_denied`.
    #[error("the permission was not given at Exact Online")]
    Denied,
    /// `unauthorized_client` and the like.
    #[error("Exact Online does not accept the app for this address")]
    NotThisApp,
    /// Any other error that Exact sends to the browser.
    #[error("Exact Online ended the log-in with an error")]
    EndedByExact,
    /// "Signed data extraction has failed", or no description.
    #[error("Exact Online does not accept the code")]
    CodeRefused,
    /// A chain text: a later authorization counts.
    #[error("a later log-in for the same app and user took the place of this one")]
    Overtaken,
    /// "not expired".
    #[error("Exact Online gives no new tokens yet, because the last ones are younger than 10 minutes")]
    TooEarly,
    /// Client id or secret.
    #[error("Exact Online does not accept the app's own credentials")]
    App,
    /// Nothing was sent.
    #[error("Exact Online could not be reached")]
    Unreachable,
    /// It may have been granted; nobody knows.
    #[error("Exact Online's answer did not arrive whole: the code may be used up")]
    Unclear,
    /// Exact asks for patience.
    #[error("Exact Online asks for fewer requests")]
    Throttled,
    /// Too many requests.
    #[error("too many requests to Exact Online brought nothing; the next may be sent at {until:.0}")]
    Budget {
        /// When there may be another.
        until: Timestamp,
    },
    /// Another process is at work.
    #[error("another process is at work on the tokens")]
    Busy,
    /// Nothing was sent.
    #[error("nothing was asked of Exact Online: {0}")]
    Store(String),
    /// Granted, and not stored.
    #[error("THE NEW TOKENS ARE NOT STORED YET; they are kept in memory and tried again at the next call: {0}")]
    NotSaved(String),
    /// What was to be confirmed is not there any more.
    #[error("there is nothing to confirm any more")]
    NothingToConfirm,
    /// A setting that only the consent needs.
    #[error("{0}")]
    Settings(String),
}

impl Problem {
    /// What a person has to do.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Forged => "Nothing was changed. Begin on the page Consent of this installation.",
            Self::OtherBrowser => "Nothing was changed. Begin and end in the same browser, with cookies allowed, on the page Consent.",
            Self::Expired => "Nothing was changed. Connect again; the log-in has to be done within 10 minutes.",
            Self::Used => {
                "Nothing was changed by using it again. The page Consent shows whether the connection stands; only if it does not, try again."
            }
            Self::NoCode | Self::EndedByExact => "Nothing was changed. Connect again; if it stays so, try later: the fault may be at Exact's side.",
            Self::Denied => "Nothing was changed. Connect again and allow the access, as a user who may see what has to be loaded.",
            Self::NotThisApp => {
                "Nothing was changed. In the Exact App Centre the redirect URI of the app must be the same as EXACT_REDIRECT_URI, letter by letter."
            }
            Self::CodeRefused => {
                "Exact Online says \"Signed data extraction has failed\" or \"invalid_request\": the code was altered, used before, older than 3 minutes, or \
                 another app's; or, as others report, the fault is at Exact's side. Connect again; if it stays so, try later."
            }
            Self::Overtaken => "Look at the page Consent: if another browser has connected, all is well; else connect again.",
            Self::TooEarly => "Wait 10 minutes, then connect again.",
            Self::App => "Check EXACT_CLIENT_ID, EXACT_CLIENT_SECRET (it is not the webhook secret) and EXACT_REGION, then connect again.",
            Self::Throttled => "Wait some minutes, then connect again.",
            Self::Unreachable => "Nothing was used up. Connect again in a minute.",
            Self::Unclear => "Connect again: the tokens that were stored before may be dead.",
            Self::Budget { .. } => "Wait until then: at ten requests without success in an hour, Exact Online blocks the app.",
            Self::Busy => "Connect again in a minute.",
            Self::Store(_) => "No code is used up (one lives 3 minutes). Mend the store, then connect again.",
            Self::NotSaved(_) => "Do not restart the app. Mend the store; the next call or tick saves the tokens by itself.",
            Self::NothingToConfirm => "Look at the page Consent to see how things stand.",
            Self::Settings(_) => "Set it and try again.",
        }
    }

    /// Whether the same browser may go on with a new log-in.
    pub(super) fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Expired
            | Self::Used
            | Self::NoCode
            | Self::Denied
            | Self::EndedByExact
            | Self::CodeRefused
            | Self::Overtaken
            | Self::Unreachable
            | Self::Unclear
            | Self::Busy
            | Self::Store(_) => true,
            Self::Forged
            | Self::OtherBrowser
            | Self::NotThisApp
            | Self::TooEarly
            | Self::App
            | Self::Throttled
            | Self::Budget { .. }
            | Self::NotSaved(_)
            | Self::NothingToConfirm
            | Self::Settings(_) => false,
        }
    }
}
