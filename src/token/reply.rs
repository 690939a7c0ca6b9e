//! What Exact's answer means, named by what to do next. No variant can hold a reply's body.

use std::fmt;

use jiff::SignedDuration;

use super::secret::Secret;

/// The outcome of one request to the token endpoint.
#[derive(Clone, Debug)]
pub enum Reply {
    /// 200 with both tokens: save it, it is the new head.
    Granted(Grant),
    /// Any other reply that carries a new refresh token: keep that token as a candidate, the attempt stays open.
    OddGrant {
        /// The refresh token that came along.
        refresh_token: Secret,
        /// What was odd about the rest.
        problem: Unclear,
    },
    /// Nothing reached Exact, so nothing was spent: back off and try again.
    NotSent(NotSent),
    /// Exact's "`access_token` not expired": the token was not consumed.
    TooEarly,
    /// Anything that leaves open whether the token was spent: the attempt stays open, the same token is tried again.
    Unclear(Unclear),
    /// One of the three texts that, repeated, mean that a person must consent again.
    Refused(Refusal),
    /// Exact does not accept the app's own credentials: stop until a setting changes.
    Misconfigured(Misconfiguration),
    /// Exact asks for patience.
    Throttled {
        /// From `Retry-After`.
        retry_after: Option<SignedDuration>,
    },
}

/// The outcome of one exchange of an authorization code.
#[derive(Clone, Debug)]
pub enum CodeReply {
    /// Turned down: the code was altered, used, too old, or another app's.
    Refused,
    /// As for a refresh.
    Other(Reply),
}

/// Both tokens, as Exact sent them.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Lives `expires_in`.
    pub access_token: Secret,
    /// Replaces the one that was sent.
    pub refresh_token: Secret,
    /// Exact's `expires_in`: 600 s.
    pub expires_in: SignedDuration,
}

/// Why a request never left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotSent {
    /// Exact could not be reached: name look-up, connect or TLS failed.
    Unreachable,
    /// The vault did not prove writable; a token that could not be replaced is not spent.
    VaultNotWritable,
    /// The ledger could not be written, so the attempt could not be announced.
    LedgerNotWritable,
    /// More than 10 s went by between the announcement and the sending, or the lease was lost in between.
    Overtaken,
}

/// Why it is open whether the token was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unclear {
    /// No complete reply within 100 s.
    TimedOut,
    /// The connection broke after the request had begun to leave.
    ConnectionLost,
    /// A reply with this status that is no grant and none of the known refusals.
    Status(u16),
    /// 200 with an empty body.
    Empty,
    /// 200 whose body is not the JSON object of a grant.
    NotAGrant,
    /// More than 64 KiB of body.
    TooLarge,
}

/// The three texts of a dead refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// "Old refresh token used."
    OldTokenUsed,
    /// "Token is not allowed, because of invalid or empty chainId"
    InvalidChain,
    /// "The refresh token expired at …"
    Expired,
}

/// What Exact did not accept about the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misconfiguration {
    /// `invalid_client`: client id or secret.
    InvalidClient,
    /// `unauthorized_client`: the app is not known in this region, or not allowed to do this.
    UnauthorizedClient,
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "Exact Online could not be reached (name, connection or TLS)",
            Self::VaultNotWritable => "the token store is not writable, so the refresh token was not spent",
            Self::LedgerNotWritable => "the ledger is not writable, so the refresh token was not spent",
            Self::Overtaken => "the lock was lost or too much time went by before the request left",
        })
    }
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no complete reply from Exact Online within 100 s"),
            Self::ConnectionLost => f.write_str("the connection to Exact Online broke before its reply was complete"),
            Self::Status(status) => write!(f, "Exact Online answered HTTP {status} with nothing that settles the matter"),
            Self::Empty => f.write_str("Exact Online answered 200 with an empty body"),
            Self::NotAGrant => f.write_str("Exact Online answered 200 with something else than a pair of tokens"),
            Self::TooLarge => f.write_str("Exact Online answered with more than 64 KiB"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OldTokenUsed => "Exact Online says that the refresh token was used before",
            Self::InvalidChain => "Exact Online says that the token chain is broken or superseded by another consent",
            Self::Expired => "Exact Online says that the refresh token has expired (30 days without use)",
        })
    }
}

impl fmt::Display for Misconfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidClient => "Exact Online does not accept the app: check EXACT_CLIENT_ID and EXACT_CLIENT_SECRET",
            Self::UnauthorizedClient => "Exact Online does not know the app in this region: check EXACT_CLIENT_ID and EXACT_REGION",
        })
    }
}
