//! The stored forms of [`Credential`] and [`Ledger`]: versioned JSON, `{"v":1,…}`. Nothing else in this program knows how they are written.
//!
//! Times are RFC 3339 in UTC, to the nanosecond where the core holds that much; durations are whole seconds; fingerprints are hex. A field that
//! is not known here is passed over, so that a later 1.x may add one; another `v` is an error, and then nothing is touched.
//!
//! What is written here can always be read here: a time, a number or a list out of range is stored as the nearest that is in range, since a
//! refresh token must not be lost over a wrong clock. What is read is not corrected but refused: it came from somewhere else.

mod credential;
mod embedded;
mod form;
mod ledger;
mod malformed;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::token::{Credential, Ledger, Secret};
use form::{Form, Of};
pub use malformed::{Malformed, Position};

pub(crate) use embedded::{Embedded, StoredVersion};

/// The version of all forms.
const VERSION: u64 = 1;

/// The text to keep in the vault. It contains both tokens, so it is a secret itself.
#[must_use]
pub fn credential_to_json(credential: &Credential) -> Secret {
    Secret::new(to_json(credential))
}

/// Reads what [`credential_to_json`] wrote.
pub fn credential_from_json(text: &str) -> Result<Credential, Malformed> {
    malformed::parse(text)
}

/// The text to keep as the ledger. It contains no secret.
#[must_use]
pub fn ledger_to_json(ledger: &Ledger) -> String {
    to_json(ledger)
}

/// Reads what [`ledger_to_json`] wrote.
pub fn ledger_from_json(text: &str) -> Result<Ledger, Malformed> {
    malformed::parse(text)
}

/// The text of the embedded store's file. It contains the tokens of every version.
pub(crate) fn embedded_to_json(content: &Embedded) -> Secret {
    Secret::new(to_json(content))
}

/// Reads what [`embedded_to_json`] wrote.
pub(crate) fn embedded_from_json(text: &str) -> Result<Embedded, Malformed> {
    malformed::parse(text)
}

fn to_json<T: Form>(content: &T) -> String {
    #[derive(Serialize)]
    struct Document<C> {
        v: u64,
        #[serde(flatten)]
        content: C,
    }
    serde_json::to_string_pretty(&Document { v: VERSION, content: Of(content) }).expect("every form is a JSON object with text keys")
}
