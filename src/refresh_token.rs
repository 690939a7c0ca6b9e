//! The pass: one refresh, from the first look to the saved grant.

/// What became of a timer tick, for the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// A failed tick is answered with 500. Waiting for Exact's gate is no failure; a chain that needs a person is.
    pub failed: bool,
    /// One line for a person, without any secret.
    pub line: String,
}
