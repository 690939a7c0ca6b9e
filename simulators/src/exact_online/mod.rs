//! A simulated Exact Online: the login, the token endpoint and `current/Me`.
//!
//! [`Rules`] is a pure state machine: time comes in as an argument, requests and replies are plain data. Tests in
//! virtual time drive it in process; [`ExactOnline`] puts it behind real sockets. It asserts as it goes: what a
//! correct client never sends is refused and recorded in [`Rules::violations`].
//!
//! What is known of the real service comes from reports of its users and from the source of their clients; each fact
//! names its source. Where they contradict one another there is a switch in [`Config`]. Every made-up secret holds
//! [`MARKER`].
//!
//! Reading order: `config`, `rules`, `chain`, `faults`, `bodies`; then `request`, `grant`, `login`, `log`, `oracles`; at
//! the edge `server` and `connection`.

pub mod bodies;
mod chain;
mod clock;
mod config;
mod connection;
mod credentials;
mod faults;
mod form;
mod grant;
pub mod log;
mod login;
mod me;
mod oracles;
mod reply;
mod request;
mod rules;
mod server;
#[cfg(test)]
mod tests;

pub use clock::{Clock, ManualClock, system_clock};
pub use config::{Config, DeadToken, ExpiresIn, Gate, Grace, OldToken, TooEarly, User};
pub use credentials::{Fingerprint, MARKER};
pub use faults::{Fault, Loss, OddGrant};
pub use log::{AskedMe, Kind, Logged, Outcome, Violation, Visit, Visited};
pub use login::AuthRequest;
pub use me::{MeFault, MeRequest};
pub use reply::{Delivery, Reply};
pub use request::TokenRequest;
pub use rules::{Pair, Rules};
pub use server::ExactOnline;
