//! The program as it is shipped, on what production has: the ledger in a real blob service (Azurite), the tokens in a Key Vault behind TLS, the
//! app's managed identity, the Functions host in front and Exact Online behind.
//!
//! Vault, identity, host and Exact are simulated where faults and time are wanted; `tests/lowkey_vault` has an independent vault.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report; the lint's own exception covers only #[test] functions")]

mod access;
mod azure;
mod counted;
mod crowd;
mod hour;
mod killed;
mod killed_holder;
mod killed_saver;
mod laptop;
mod main_job;
mod moved_storage;
#[path = "../stage/mod.rs"]
mod stage;
mod storage;
