//! The only file of the simulated host that reads the real clock and the real environment.
//!
//! A functions host lives in real time beside a real process, so both are needed here; everything that decides
//! takes them as arguments.

use jiff::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the simulated host follows real time, as the processes that it starts do")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// The search path for executables: the one variable of this process that a handler inherits.
#[expect(clippy::disallowed_methods, reason = "a handler that is a command, not a file, is found through PATH")]
pub(super) fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}
