//! What a person sees: a real Chromium, without a window, in front of the simulated host and the simulated Exact Online.
//!
//! `driver` and `browser` are the machinery, `axe` looks for what keeps people out, `little_server` answers where the product has no part.
//! Screenshots are kept in `target/screenshots`.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report; the lint's own exception covers only #[test] functions")]

mod axe;
mod browser;
mod consent;
mod cookies;
mod demo;
mod driver;
mod little_server;
mod login;
mod machinery;
mod replies;
#[path = "../stage/mod.rs"]
mod stage;
