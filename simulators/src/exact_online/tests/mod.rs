//! Timelines: seconds since the start, what is sent, what comes back.

mod codes;
mod counting;
mod data_api;
mod faults;
mod gate;
mod login;
mod requests;
mod rotation;
mod sockets;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::bodies::Canned;
use super::*;

const START: &str = "2026-11-23T17:00:00Z";
const REDIRECT_URI: &str = "https://broker.example.test/api/ConsentCallback";

/// Rules and the time.
struct World {
    rules: Rules,
    start: Timestamp,
    now: Timestamp,
}

/// Rules with live switches, but for those that the closure sets, and no chain.
fn world(set: impl FnOnce(&mut Config)) -> World {
    let mut config = Config::default();
    set(&mut config);
    let start: Timestamp = START.parse().unwrap();
    World { rules: Rules::new(config), start, now: start }
}

impl World {
    /// The clock shows so many seconds since the start.
    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = self.start + Duration::from_secs(seconds);
        self
    }

    fn chain(&mut self) -> String {
        self.rules.issue_chain(self.now)
    }

    fn refresh(&mut self, token: &str) -> Reply {
        let request = TokenRequest::refresh(self.rules.config(), token);
        self.rules.token(self.now, &request)
    }

    /// A refresh that must be granted.
    fn granted(&mut self, token: &str) -> Pair {
        pair(&self.refresh(token))
    }

    fn authorize(&mut self) -> String {
        let user = self.user();
        self.rules.authorize(self.now, &user, REDIRECT_URI)
    }

    fn exchange(&mut self, code: &str) -> Reply {
        let request = TokenRequest::code(self.rules.config(), code, REDIRECT_URI);
        self.rules.token(self.now, &request)
    }

    fn alive(&self, token: &str) -> bool {
        self.rules.is_chain_alive(token, self.now)
    }

    fn user(&self) -> String {
        self.rules.config().users[0].id.clone()
    }
}

fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

#[track_caller]
fn pair(reply: &Reply) -> Pair {
    assert_eq!(reply.status, 200);
    let body = json(reply);
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Pair { access_token: text("access_token"), refresh_token: text("refresh_token") }
}

#[track_caller]
fn assert_is(reply: &Reply, canned: Canned) {
    assert!(*reply == canned.reply(), "expected {}, got {}: {}", canned.name, reply.status, String::from_utf8_lossy(&reply.body));
}
