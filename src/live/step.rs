//! The questions, and what can come back. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::token::reply::{Misconfiguration, Refusal, Reply, Unclear};
use crate::token::{Grant, Secret};

/// One question to Exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the table in `plan.rs` has them")]
pub enum Step {
    Code,
    FirstUse,
    Unused1s,
    Unused60s,
    Unused9m36s,
    UnusedAgain,
    SecondUse,
    TooEarlyOnPurpose,
    ThirdUse,
    Used1s,
    Used60s,
    Used9m36s,
    FourthUse,
    DeadToken,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A new pair.
    Granted,
    /// A new refresh token in a reply that is odd otherwise.
    OddGrant(Unclear),
    /// The gate.
    TooEarly,
    /// The token is dead.
    Refused(Refusal),
    /// Nothing that says either.
    Unclear(Unclear),
    /// Nothing was sent.
    NotSent,
    /// Exact asks for patience.
    Throttled,
    /// Exact does not accept the app.
    Misconfigured(Misconfiguration),
    /// None came before the program was ended.
    None,
}

/// One question, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub step: Step,
    /// When it was sent.
    pub at: Timestamp,
    /// Since the last grant before it was received.
    pub since_grant: Option<SignedDuration>,
    /// Since the previous token was used first, where that is what was sent.
    pub age: Option<SignedDuration>,
    /// What came back.
    pub answer: Answer,
}

/// Which token a step sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The latest that Exact gave.
    Newest,
    /// The one before it.
    Previous,
    /// One that was refused.
    Dead,
}

impl Step {
    /// In the order in which they are asked, the last one also earlier.
    pub const ALL: [Self; 14] = [
        Self::Code,
        Self::FirstUse,
        Self::Unused1s,
        Self::Unused60s,
        Self::Unused9m36s,
        Self::UnusedAgain,
        Self::SecondUse,
        Self::TooEarlyOnPurpose,
        Self::ThirdUse,
        Self::Used1s,
        Self::Used60s,
        Self::Used9m36s,
        Self::FourthUse,
        Self::DeadToken,
    ];

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Code => "the code of the log-in",
            Self::FirstUse => "the given token, for the first time",
            Self::Unused1s => "the previous token 1 s after its use, its successor unused",
            Self::Unused60s => "the previous token 60 s after its use, its successor unused",
            Self::Unused9m36s => "the previous token 9.6 min after its use, its successor unused",
            Self::UnusedAgain => "the previous token once more, no successor of it used",
            Self::SecondUse => "the newest token, for the first time",
            Self::TooEarlyOnPurpose => "the newest token, too early on purpose",
            Self::ThirdUse => "the newest token: the first use of the previous one's successor",
            Self::Used1s => "the previous token 1 s after its successor's use",
            Self::Used60s => "the previous token 60 s after its successor's use",
            Self::Used9m36s => "the previous token 9.6 min after its successor's use",
            Self::FourthUse => "the newest token, to close the gate once more",
            Self::DeadToken => "a token that is known to be dead, right after a grant",
        }
    }

    /// Which token it sends.
    #[must_use]
    pub fn subject(self) -> Subject {
        match self {
            Self::Unused1s | Self::Unused60s | Self::Unused9m36s | Self::UnusedAgain | Self::Used1s | Self::Used60s | Self::Used9m36s => {
                Subject::Previous
            }
            Self::DeadToken => Subject::Dead,
            Self::Code | Self::FirstUse | Self::SecondUse | Self::TooEarlyOnPurpose | Self::ThirdUse | Self::FourthUse => Subject::Newest,
        }
    }
}

impl Answer {
    /// What a reply comes to, and the token that it brought.
    pub(super) fn of(reply: Reply) -> (Self, Option<Secret>) {
        match reply {
            Reply::Granted(Grant { refresh_token, .. }) => (Self::Granted, Some(refresh_token)),
            Reply::OddGrant { refresh_token, problem } => (Self::OddGrant(problem), Some(refresh_token)),
            Reply::TooEarly => (Self::TooEarly, None),
            Reply::Refused(refusal) => (Self::Refused(refusal), None),
            Reply::Unclear(unclear) => (Self::Unclear(unclear), None),
            Reply::NotSent(_) => (Self::NotSent, None),
            Reply::Throttled { .. } => (Self::Throttled, None),
            Reply::Misconfigured(what) => (Self::Misconfigured(what), None),
        }
    }

    /// A new refresh token came.
    #[must_use]
    pub fn is_granted(self) -> bool {
        matches!(self, Self::Granted | Self::OddGrant(_))
    }
}
