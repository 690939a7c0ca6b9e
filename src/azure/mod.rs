//! The parts that production has, on the official crates of the Azure SDK for Rust.
//!
//! Nothing that an SDK error says of itself goes further than this folder: its `Debug` carries a backtrace when `RUST_BACKTRACE` is set, and its
//! `Display` a server's text. What we say of a failure is made here, of the status and of codes from a known list.

pub mod identity;
pub mod key_vault;
mod transport;
