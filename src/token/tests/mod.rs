//! The core, tried with made-up ledgers, credentials and times, and read as timelines.

mod answers;
mod arbitrary;
mod consents;
mod dueness;
mod log_ins;
mod misfortunes;
mod pointers;
mod sequences;
mod timeline;
