//! Whole function apps in virtual time, from a seed: the proof that no token chain is lost by us.
//!
//! The code under test is the shipped one, use cases and adapters, down to the clients of the Azure SDK. Simulated are the transports, the clocks,
//! and what stands behind them. One seed is one history, and the same history every time.
//!
//! Reading order: [`scenario`] (what a seed means), [`history`] (how it is lived through), [`run`] (many of them), [`availability`] (quiet ones, for a
//! table), [`app`] (processes and who uses them), [`transport`] (how requests travel), [`world`] (what they reach, what goes wrong there, and who
//! watches: `world::oracle`, `world::sent`).

pub mod app;
pub mod availability;
pub mod ears;
pub mod history;
pub mod random;
pub mod run;
pub mod scenario;
pub mod time;
pub mod transport;
pub mod world;
