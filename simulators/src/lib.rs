//! Stand-ins for the outside world, for tests and for the demo.
//!
//! They assert on what they receive, refuse what the real thing refuses, can be told to fail, and never stand in where the real part can be had.
//! The product does not depend on this crate, nor this crate on the product.

pub mod blob_storage;
pub mod emulators;
pub mod exact_online;
pub mod functions_host;
pub mod key_vault;
pub mod managed_identity;
