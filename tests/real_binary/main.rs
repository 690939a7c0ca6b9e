//! The program as it is shipped: its own process, started by the simulated Functions host with the real `host.json` and `function.json`, against
//! a simulated Exact Online, over real sockets and in real time.
//!
//! What takes hours is tested in process and in virtual time. Where an hour matters here, the process gets a clock that is ahead
//! ([`stage::Stage::set_clocks`]).

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report; the lint's own exception covers only #[test] functions")]

mod canary;
mod consent;
mod consent_terminal;
mod console;
mod crowd;
mod damaged_store;
mod doctor;
mod endings;
mod first_answer;
mod garbage;
mod kill;
mod leaks;
mod live;
mod main_job;
mod odd_replies;
mod settings;
mod slow_exact;
#[path = "../stage/mod.rs"]
mod stage;
mod status;
mod terminal;
mod wrong_clock;
