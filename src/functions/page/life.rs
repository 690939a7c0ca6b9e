//! How long the refresh token is good for, judged once for all that the page says of it.

use jiff::{SignedDuration, Timestamp};

use crate::refresh_token::ending::WARN_BEFORE;
use crate::status::{State, Status};

use super::now;

/// What is known of the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// There is none, or it has brought no pair yet.
    Unknown,
    /// Exact has refused it for good, so that its age does not matter.
    Refused,
    /// Its 30 days are over.
    Over(Timestamp),
    /// It ends then.
    Until {
        /// Its end.
        end: Timestamp,
        /// From now until then; more than nothing.
        left: SignedDuration,
    },
}

impl Life {
    pub(super) fn of(status: &Status) -> Self {
        match status.refresh_token_expires_at {
            None => Self::Unknown,
            Some(_) if status.state == State::ConsentRequired => Self::Refused,
            Some(end) if end <= now(status) => Self::Over(end),
            Some(end) => Self::Until { end, left: end.duration_since(now(status)) },
        }
    }

    /// The time that is left, where a person should not wait for the refreshes to mend themselves: from when log and status warn.
    pub(super) fn soon_over(self) -> Option<SignedDuration> {
        match self {
            Self::Until { left, .. } => Some(left).filter(|left| *left <= WARN_BEFORE),
            Self::Unknown | Self::Refused | Self::Over(_) => None,
        }
    }
}
