//! The use cases in process and in virtual time, over doubles of the ports that fail and die on command.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report; the lint's own exception covers only #[test] functions")]

mod callers;
mod clocks;
mod consents;
mod contract;
mod crash_matrix;
mod day;
mod ending;
mod late_reply;
#[path = "../ledger_contract/mod.rs"]
mod ledger_contract;
mod life;
mod live;
mod live_odd;
mod lost_head;
mod many_versions;
mod processes;
mod replies;
mod stores;
mod timelines;
mod unread_ledger;
mod world;
