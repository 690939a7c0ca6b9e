//! What can go wrong with one token request.

use std::time::Duration;

use super::bodies::{self, Canned};
use super::reply::{Delivery, Reply};

/// What happens to one token request. The important question is whether the token was spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: a place in the script for a request that goes well.
    Pass,
    /// The request is judged, a grant takes effect, and *then* this happens. Where the rules refuse, their reply goes
    /// out with the same fate, except that [`Loss::Reply`] replaces grants alone.
    CommitThen(Loss),
    /// Nobody judges the request, the token is not spent.
    NoCommit(Loss),
    /// A grant takes effect, but what it says is odd. A refusal stays as it is.
    Odd(OddGrant),
}

/// What happens instead of the right reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The connection is reset before the first byte.
    Reset,
    /// No byte ever comes, the connection stays open.
    Never,
    /// The reply breaks off in the middle of its body. Without a commit: a 503 page does.
    Cut,
    /// The reply comes whole after this time; 35 s was reported (exactonline/exactonline-api-dotnet-client#152).
    /// Without a commit: a 503 page comes.
    Late(Duration),
    /// Another reply comes.
    Reply(Reply),
}

/// A grant that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddGrant {
    /// 200 with a new refresh token, without an access token.
    LacksAccessToken,
    /// 200 with an access token, without the new refresh token: the chain is lost but for a grace
    /// (exactonline/exactonline-api-dotnet-client#150).
    LacksRefreshToken,
    /// 400 "not expired" that carries the new refresh token (claimed in picqer/exact-php-client#559).
    ErrorWithRefreshToken,
    /// 200 with a new access token and the refresh token that was sent, which stays the current one.
    /// A code exchange is not affected.
    UnchangedRefreshToken,
}

impl Fault {
    /// A fixed reply in place of the grant; the token is spent.
    #[must_use]
    pub fn commit_then(reply: impl Into<Reply>) -> Self {
        Self::CommitThen(Loss::Reply(reply.into()))
    }

    /// A fixed reply, and nobody has judged the request.
    #[must_use]
    pub fn instead(reply: impl Into<Reply>) -> Self {
        Self::NoCommit(Loss::Reply(reply.into()))
    }

    /// 429 with so many seconds in `Retry-After`.
    #[must_use]
    pub fn throttled(retry_after: u32) -> Self {
        Self::instead(Reply::new(429, &[("Retry-After", &retry_after.to_string())], ""))
    }

    /// 403 with one of the reasons of picqer/exact-php-client#451.
    #[must_use]
    pub fn forbidden(reason: &str) -> Self {
        Self::instead(Reply::new(403, &[("Reason", reason)], ""))
    }

    /// One fault of every sort, named: those that spend the token, then those that do not, then odd grants.
    #[must_use]
    pub fn all() -> Vec<(&'static str, Self)> {
        let commit = |canned: Canned| Self::commit_then(canned);
        let mut all = vec![
            ("rotated, then 500 ExtractVariables", commit(bodies::EXTRACT_VARIABLES)),
            ("rotated, then an empty 200", commit(bodies::EMPTY_200)),
            ("rotated, then a page", commit(bodies::HTML_200)),
            ("rotated, then 1 MiB", Self::commit_then(bodies::oversized())),
            ("rotated, then reset", Self::CommitThen(Loss::Reset)),
            ("rotated, then 35 s late", Self::CommitThen(Loss::Late(Duration::from_secs(35)))),
            ("rotated, then 36 s late", Self::CommitThen(Loss::Late(Duration::from_secs(36)))),
            ("rotated, then cut", Self::CommitThen(Loss::Cut)),
            ("rotated, then silent", Self::CommitThen(Loss::Never)),
            ("reset", Self::NoCommit(Loss::Reset)),
            ("silent", Self::NoCommit(Loss::Never)),
            ("503 cut", Self::NoCommit(Loss::Cut)),
            ("503 late", Self::NoCommit(Loss::Late(Duration::from_secs(35)))),
            ("1 MiB", Self::instead(bodies::oversized())),
            ("lacks the access token", Self::Odd(OddGrant::LacksAccessToken)),
            ("lacks the refresh token", Self::Odd(OddGrant::LacksRefreshToken)),
            ("error with a refresh token", Self::Odd(OddGrant::ErrorWithRefreshToken)),
            ("unchanged refresh token", Self::Odd(OddGrant::UnchangedRefreshToken)),
        ];
        all.extend(bodies::ALL.iter().map(|canned| (canned.name, Self::instead(*canned))));
        all
    }

    /// For a line on a screen: what happens, without a byte of any reply.
    #[must_use]
    pub fn describe(&self) -> String {
        let loss = |loss: &Loss| match loss {
            Loss::Reset => "reset".to_owned(),
            Loss::Never => "silent".to_owned(),
            Loss::Cut => "cut".to_owned(),
            Loss::Late(by) => format!("{} s late", by.as_secs()),
            Loss::Reply(reply) => format!("{} with {} bytes", reply.status, reply.body.len()),
        };
        match self {
            Self::Pass => "none".to_owned(),
            Self::CommitThen(it) => format!("handled, then {}", loss(it)),
            Self::NoCommit(it) => format!("not handled, {}", loss(it)),
            Self::Odd(odd) => format!("{odd:?}"),
        }
    }
}

impl Loss {
    /// What becomes of a reply that suffers this loss.
    pub(super) fn befall(&self, reply: Reply) -> Reply {
        match self {
            Self::Reset => reply.delivered(Delivery::Reset),
            Self::Never => reply.delivered(Delivery::Never),
            Self::Cut => reply.delivered(Delivery::Cut),
            Self::Late(by) => reply.delivered(Delivery::After(*by)),
            Self::Reply(other) => other.clone(),
        }
    }
}
