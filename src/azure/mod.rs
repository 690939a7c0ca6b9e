//! Azure: the ledger is the body of a blob, and the lease of that blob is the lock.
//!
//! Reading order: [`storage`] (how the app's own storage is reached), [`blob_ledger`] (the port), then what it stands on: [`shared_key`] (signing
//! with an account key, which the official crate leaves out), the storage clock, what an error comes to, and when a read is tried again.
//!
//! Nothing made here carries a text from outside: an error of the crates is looked at for its kind, its status and its code, and dropped. Its
//! `Debug` may hold a backtrace, its `Display` a URL with a signature.

pub mod blob_ledger;
pub mod shared_key;
pub mod storage;

mod bounded_credential;
mod read_retry;
mod storage_clock;
mod storage_error;

pub use blob_ledger::BlobLedger;
pub use shared_key::AccountKey;
pub use storage::{Access, StorageSettings};
