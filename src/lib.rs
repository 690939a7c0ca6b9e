//! Keeps an Exact Online token chain alive.
pub mod app;
pub mod get_token;
pub mod local;
pub mod ports;
pub mod refresh_token;
pub mod stored;
pub mod token;
