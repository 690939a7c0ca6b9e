//! Keeps an Exact Online token chain alive.
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod consent;
pub mod exact_online;
pub mod functions;
pub mod get_token;
pub mod http;
pub mod local;
pub mod ports;
pub mod refresh_token;
pub mod status;
pub mod stored;
pub mod telemetry;
pub mod token;
