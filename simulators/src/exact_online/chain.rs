//! Tokens and the chains that they belong to: what is current, what was before it, and what is still good.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::config::{Config, Gate, Grace};
use super::log::Outcome;

/// The pairs that follow one another for one authorization.
#[derive(Clone)]
pub(super) struct Chain {
    /// Index of the user.
    pub(super) user: usize,
    current: String,
    previous: Option<Previous>,
    last_grant: Timestamp,
    /// By a newer authorization of the same user, or by the user's own hand.
    pub(super) ended: bool,
}

#[derive(Clone)]
struct Previous {
    token: String,
    first_used: Timestamp,
}

/// By which right a refresh token is granted a successor.
#[derive(Clone, Copy)]
pub(super) enum Right {
    Current,
    Grace,
}

/// A refresh token that was issued at some time.
#[derive(Clone, Copy)]
pub(super) struct Issued {
    pub(super) chain: usize,
    pub(super) expires: Timestamp,
}

impl Chain {
    pub(super) fn begin(user: usize, current: String, now: Timestamp) -> Self {
        Self { user, current, previous: None, last_grant: now, ended: false }
    }

    /// The first moment at which a request is not too early.
    pub(super) fn opens(&self, config: &Config) -> Timestamp {
        match config.gate {
            Gate::BeforeTokenCheck | Gate::AfterTokenCheck => self.last_grant + config.gate_length(),
            Gate::Off => self.last_grant,
        }
    }

    /// Whether this token of this chain may be exchanged at a given time, apart from its expiry and the gate.
    pub(super) fn right(&self, token: &str, now: Timestamp, grace: Grace) -> Result<Right, Outcome> {
        if self.ended {
            return Err(Outcome::ChainId);
        }
        if self.current == token {
            return Ok(Right::Current);
        }
        let previous = self.previous.as_ref().filter(|it| it.token == token).ok_or(Outcome::OldToken)?;
        let graced = match grace {
            Grace::None => false,
            Grace::Seconds(s) => now < previous.first_used + std::time::Duration::from_secs(u64::from(s)),
            Grace::UntilNewUsed => true,
        };
        if graced { Ok(Right::Grace) } else { Err(Outcome::OldToken) }
    }

    /// Whether it was used so lately that Exact has not noticed yet.
    pub(super) fn is_used_at_once(&self, token: &str, now: Timestamp, config: &Config) -> bool {
        let lately = |previous: &Previous| previous.token == token && now < previous.first_used + config.both_answered;
        !self.ended && self.previous.as_ref().is_some_and(lately)
    }

    pub(super) fn is_current(&self, token: &str) -> bool {
        self.current == token
    }

    /// A new refresh token takes the place of the current one. By grace, the previous one stays the previous one.
    pub(super) fn rotate(&mut self, right: Right, successor: String, now: Timestamp) {
        let superseded = std::mem::replace(&mut self.current, successor);
        match right {
            Right::Current => {
                self.previous = Some(Previous { token: superseded, first_used: now });
            }
            Right::Grace => {}
        }
        self.last_grant = now;
    }

    /// Only an access token was granted.
    pub(super) fn keep(&mut self, now: Timestamp) {
        self.last_grant = now;
    }
}

/// Access tokens, each with its chain and its end.
#[derive(Clone, Default)]
pub(super) struct AccessTokens(BTreeMap<String, (usize, Timestamp)>);

impl AccessTokens {
    pub(super) fn insert(&mut self, token: String, chain: usize, expires: Timestamp) {
        self.0.insert(token, (chain, expires));
    }

    /// The chain of a token, while it is alive.
    pub(super) fn alive(&self, token: &str, now: Timestamp) -> Option<usize> {
        self.0.get(token).filter(|(_, expires)| now < *expires).map(|(chain, _)| *chain)
    }

    pub(super) fn end_all_of(&mut self, chain: usize, now: Timestamp) {
        for (_, expires) in self.0.values_mut().filter(|(it, _)| *it == chain) {
            *expires = now.min(*expires);
        }
    }
}
