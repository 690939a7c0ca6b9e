//! Keeps an Exact Online token chain alive.
pub mod ports;
pub mod token;
