//! The core: what is known about a token chain and what follows from it.
//!
//! Nothing here waits, reads, writes, logs or looks at a clock. Time comes in as an argument, a decision goes out with its reason, and what a
//! reply makes of the ledger is a method that a test can call with made-up times.
//!
//! Reading order: [`secret`], [`credential`], [`ledger`], then [`schedule`] (may I ask Exact? may I hand this out?), [`reply`] (what Exact said),
//! [`failure`], [`rotation`] and [`consent`] (what that makes of the ledger).

pub mod consent;
pub mod credential;
pub mod failure;
pub mod ledger;
pub mod reply;
pub mod retry;
pub mod rotation;
pub mod schedule;
pub mod secret;

pub use consent::Person;
pub use credential::{AccessToken, AttemptId, ChainIdentity, Credential, Fingerprint, Issued, LockId, VersionId};
pub use ledger::{Ledger, OpenAttempt, Pointer};
pub use reply::{CodeReply, Grant, Reply};
pub use secret::Secret;

#[cfg(test)]
mod tests;
