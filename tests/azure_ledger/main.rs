//! The ledger as a blob, against a real blob service: Azurite, started by each test for itself, in memory, on a port of its own.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report; the lint's own exception covers only #[test] functions")]

mod access;
mod azurite;
mod contract;
mod faults;
mod identity;
mod leases;
#[path = "../ledger_contract/mod.rs"]
mod ledger_contract;
mod silence;
mod wire;
