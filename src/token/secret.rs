//! The opaque string.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A token, a client secret, a code: text that must never reach a log, an error or a page. Wiped from memory when dropped.
///
/// `Debug` and `Display` say nothing, there is no `PartialEq` (compare [`Fingerprint`](super::Fingerprint)s instead) and no serde.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Locks a text away.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself. Only adapters call this, where the text leaves for Exact, for the store or for the caller it is meant for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_display_say_nothing() {
        let secret = Secret::new("made-up-canary");
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "[secret] [secret] [secret]");
        assert_eq!(secret.reveal(), "made-up-canary");
    }
}
