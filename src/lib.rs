//! Keeps an Exact Online token chain alive.
pub mod app;
pub mod clock;
pub mod consent;
pub mod exact_online;
pub mod get_token;
pub mod http;
pub mod ports;
pub mod refresh_token;
pub mod token;
