//! The program as it is shipped, on what production has: the ledger in a real blob service (Azurite), the tokens in a Key Vault behind TLS, the
//! app's managed identity, the Functions host in front and Exact Online behind.
//!
//! Vault, identity, host and Exact are simulated; the vault is judged by the official Python SDK (`tests/azure_vault`), which also reads back what
//! the program stored in it (`read_back`). No independent emulator of Key Vault has been in its place yet: none could be installed.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report; the lint's own exception covers only #[test] functions")]

mod access;
mod azure;
mod counted;
mod crowd;
mod degraded;
mod doctor;
mod hour;
mod killed;
mod killed_holder;
mod killed_saver;
mod laptop;
mod main_job;
mod moved_storage;
mod read_back;
#[path = "../stage/mod.rs"]
mod stage;
mod storage;
mod whole_life;
