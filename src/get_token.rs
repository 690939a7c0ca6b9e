//! One answer to a caller who needs a token.

use jiff::{SignedDuration, Timestamp};

use crate::token::Secret;
use crate::token::schedule::Why;

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Life that the token must still have, 0 to 540 s.
    pub min_validity: SignedDuration,
    /// Time that the whole call may take, 0 to 200 s.
    pub max_wait: SignedDuration,
}

impl Ask {
    /// 60 s.
    pub const DEFAULT_MIN_VALIDITY: SignedDuration = SignedDuration::from_secs(60);
    /// 200 s: Data Factory gives up at 230.
    pub const DEFAULT_MAX_WAIT: SignedDuration = SignedDuration::from_secs(200);
}

impl Default for Ask {
    fn default() -> Self {
        Self { min_validity: Self::DEFAULT_MIN_VALIDITY, max_wait: Self::DEFAULT_MAX_WAIT }
    }
}

/// A token, as it is handed out.
#[derive(Clone, Debug)]
pub struct HandedOut {
    /// For the `Authorization: Bearer` header.
    pub access_token: Secret,
    /// Whole seconds of life left, rounded down.
    pub expires_in: i64,
    /// The cautious end of its life.
    pub expires_at: Timestamp,
    /// The Exact site that it is good for.
    pub base_url: String,
    /// What a person should know although this call went well. No secret.
    pub warnings: Vec<String>,
}

/// Why there is no token for this caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// A person must consent.
    ConsentRequired(Why),
    /// The store's content or a setting is wrong, and no waiting helps. The text names what, and what to do.
    ServerError(String),
    /// Not now; the call may be repeated.
    Unavailable {
        /// What is in the way.
        why: String,
        /// Whole seconds, at least 1.
        retry_after: i64,
    },
}
