//! The store that production has, on the official crates of the Azure SDK for Rust: credentials are versions of a Key Vault secret, the ledger is the
//! body of a blob, and the lease of that blob is the lock.
//!
//! Reading order: [`identity`] (as whom), [`key_vault`] (one port), [`storage`] (how the app's own storage is reached), [`blob_ledger`] (the other
//! port), then what they stand on: [`shared_key`] (signing with an account key, which the official crate leaves out), the storage clock, what an
//! error comes to, and when a read is tried again.
//!
//! Nothing made here carries a text from outside: an error of the crates is looked at for its kind, its status and its code, and dropped. Its
//! `Debug` may hold a backtrace, its `Display` a server's text or a URL with a signature.

pub mod blob_ledger;
pub mod identity;
pub mod key_vault;
pub mod shared_key;
pub mod storage;

mod read_retry;
mod storage_clock;
mod storage_error;
mod transport;

pub use blob_ledger::BlobLedger;
pub use identity::Identity;
pub use key_vault::KeyVault;
pub use shared_key::AccountKey;
pub use storage::{Access, StorageSettings};
