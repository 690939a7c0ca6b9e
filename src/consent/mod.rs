//! How a chain begins: a person consents in the browser, or brings a refresh token that exists already.
//!
//! [`import`] takes over a token. [`outcome`] is all that a consent can come to, in words that page and command line share.

pub mod import;
pub mod outcome;

use crate::token::Secret;

pub use import::{ImportError, Imported};
pub use outcome::{Connected, Failed, Finished, Problem};

/// A consent that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Exact's log-in page, with our state: the browser goes there.
    pub authorize_url: String,
    /// For the browser to keep until [`Callback::cookie`]: the state is good only beside it. 43 characters of base64url.
    pub cookie: Secret,
}

/// What a browser brings back.
#[derive(Debug, Default)]
pub struct Callback {
    /// As it was sent to Exact.
    pub state: Option<String>,
    /// Decoded once.
    pub code: Option<Secret>,
    /// Exact's error code, in place of a code.
    pub error: Option<String>,
    /// What the browser keeps of [`Begun`].
    pub cookie: Option<Secret>,
}
