//! A simulated blob service, as far as one blob and its lease go: Microsoft Learn, "Lease Blob", "Put Blob", "Get Blob" and "Blob Storage error
//! codes". [`Rules`] is a pure state machine without sockets, for tests in virtual time; where sockets can be had, Azurite stands in its place.
//!
//! It refuses what the real service refuses, with its codes. The times of leases are its own.

mod rules;
#[cfg(test)]
mod tests;

pub use rules::{Blob, Effect, Request, Rules};
