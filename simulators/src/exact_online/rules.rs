//! The state machine: no sockets, no clock, and the same requests always get the same replies.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::bodies;
use super::chain::{AccessTokens, Chain, Issued, Right};
use super::config::{Config, Gate, OldToken, TooEarly};
use super::credentials::{Fingerprint, Mint};
use super::faults::{Fault, OddGrant};
use super::grant;
use super::log::{AskedMe, Logged, Outcome, Violation, Visit};
use super::me::MeFault;
use super::reply::Reply;
use super::request::{self, Ask, Reading, TokenRequest};

/// Exact Online's token service and what it remembers. A clone is another world with the same past.
#[derive(Clone)]
pub struct Rules {
    pub(super) config: Config,
    pub(super) mint: Mint,
    pub(super) chains: Vec<Chain>,
    pub(super) refresh_tokens: BTreeMap<String, Issued>,
    pub(super) newest: Option<Pair>,
    pub(super) access_tokens: AccessTokens,
    pub(super) codes: BTreeMap<String, Code>,
    pub(super) authorizations: usize,
    pub(super) script: VecDeque<Fault>,
    pub(super) standing: Option<Fault>,
    pub(super) me_fault: Option<MeFault>,
    pub(super) log: Vec<Logged>,
    pub(super) visits: Vec<Visit>,
    pub(super) asked_me: Vec<AskedMe>,
    pub(super) violations: Vec<(Timestamp, Violation)>,
}

/// An access token and the refresh token that came with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// Opens the data API.
    pub access_token: String,
    /// Brings the next pair.
    pub refresh_token: String,
}

#[derive(Clone)]
pub(super) struct Code {
    pub(super) user: usize,
    pub(super) redirect_uri: String,
    pub(super) expires: Timestamp,
    /// Counts authorizations: the highest of a user is the newest.
    pub(super) number: usize,
    pub(super) used: bool,
}

/// What a grant will change.
enum Permit {
    Refresh { chain: usize, token: String, right: Right },
    Exchange { code: String, user: usize },
}

struct Refused {
    outcome: Outcome,
    reply: Reply,
}

impl Rules {
    /// A token service that has issued nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            mint: Mint::new(config.seed),
            config,
            chains: Vec::new(),
            refresh_tokens: BTreeMap::new(),
            newest: None,
            access_tokens: AccessTokens::default(),
            codes: BTreeMap::new(),
            authorizations: 0,
            script: VecDeque::new(),
            standing: None,
            me_fault: None,
            log: Vec::new(),
            visits: Vec::new(),
            asked_me: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// One request to the token endpoint. What it changes is changed when this returns, whatever becomes of the reply.
    pub fn token(&mut self, now: Timestamp, request: &TokenRequest) -> Reply {
        let fault = self.script.pop_front().or_else(|| self.standing.clone()).filter(|it| *it != Fault::Pass);
        let Reading { kind, presented, violations, ask } = request::read(request, &self.config);
        self.violations.extend(violations.into_iter().map(|it| (now, it)));

        let judged = if let Some(Fault::NoCommit(_)) = fault {
            Err(Refused { outcome: Outcome::NotJudged, reply: bodies::HTML_503.reply() })
        } else {
            self.judge(now, ask)
        };
        let mut issued = None;
        let (outcome, committed, reply) = match judged {
            Err(refused) => (refused.outcome, false, grant::refused(fault.as_ref(), refused.reply)),
            Ok(permit) => {
                let outcome = permit.outcome();
                let pair = self.commit(now, permit, fault.as_ref());
                issued = Some(Fingerprint::of(&pair.refresh_token));
                (outcome, true, grant::granted(&self.config, fault.as_ref(), &pair))
            }
        };
        self.log.push(Logged {
            at: now,
            kind,
            presented: presented.as_deref().map(Fingerprint::of),
            outcome,
            committed,
            issued,
            granted: committed && grant::says_all(fault.as_ref()) && reply.arrives(),
            status: reply.status,
            delivery: reply.delivery,
            fault: fault.as_ref().map(Fault::describe),
        });
        reply
    }

    fn judge(&self, now: Timestamp, ask: Result<Ask, Outcome>) -> Result<Permit, Refused> {
        match ask {
            Ok(Ask::Refresh { token }) => self.judge_refresh(now, token),
            Ok(Ask::Exchange { code, redirect_uri }) => self.judge_exchange(now, code, &redirect_uri),
            Err(outcome) => Err(self.refusal(outcome)),
        }
    }

    fn judge_refresh(&self, now: Timestamp, token: String) -> Result<Permit, Refused> {
        let issued = *self.refresh_tokens.get(&token).ok_or_else(|| self.refusal(Outcome::SignedData))?;
        let chain = &self.chains[issued.chain];
        if chain.is_used_at_once(&token, now, &self.config) {
            return Ok(Permit::Refresh { chain: issued.chain, token, right: Right::Grace });
        }
        let too_early = now < chain.opens(&self.config);
        if too_early && self.config.gate == Gate::BeforeTokenCheck {
            return Err(self.refusal(Outcome::TooEarly));
        }
        if now >= issued.expires {
            let reply = bodies::refresh_token_expired(issued.expires, now);
            return Err(Refused { outcome: Outcome::Expired, reply });
        }
        let right = chain.right(&token, now, self.config.grace).map_err(|outcome| self.refusal(outcome))?;
        if too_early {
            return Err(self.refusal(Outcome::TooEarly));
        }
        Ok(Permit::Refresh { chain: issued.chain, token, right })
    }

    fn judge_exchange(&self, now: Timestamp, code: String, redirect_uri: &str) -> Result<Permit, Refused> {
        // Mangled, made up, still percent-encoded, or another app's.
        let known = self.codes.get(&code).ok_or_else(|| self.refusal(Outcome::SignedData))?;
        let newest = self.codes.values().filter(|it| it.user == known.user).map(|it| it.number).max();
        let gate = self.chains.iter().filter(|it| it.user == known.user).map(|it| it.opens(&self.config)).max();
        if self.config.gate_covers_codes && gate.is_some_and(|opens| now < opens) {
            Err(self.refusal(Outcome::TooEarly))
        } else if Some(known.number) != newest {
            Err(self.refusal(Outcome::ChainId))
        } else if known.used || now >= known.expires || known.redirect_uri != redirect_uri {
            Err(self.refusal(Outcome::InvalidRequest))
        } else {
            Ok(Permit::Exchange { code, user: known.user })
        }
    }

    fn refusal(&self, outcome: Outcome) -> Refused {
        let canned = match outcome {
            Outcome::TooEarly => match self.config.too_early {
                TooEarly::AccessDenied400 => bodies::TOO_EARLY,
                TooEarly::AccessDenied401 => bodies::TOO_EARLY_401,
                TooEarly::InvalidRequest400 => bodies::TOO_EARLY_INVALID_REQUEST,
            },
            Outcome::OldToken => match self.config.old_token {
                OldToken::OldRefreshTokenUsed => bodies::OLD_REFRESH_TOKEN,
                OldToken::ChainId => bodies::CHAIN_ID,
            },
            Outcome::ChainId => bodies::CHAIN_ID,
            Outcome::Expired => bodies::REFRESH_TOKEN_EXPIRED,
            Outcome::SignedData => bodies::SIGNED_DATA,
            Outcome::InvalidClient => bodies::INVALID_CLIENT,
            Outcome::InvalidClientInHeader => bodies::INVALID_CLIENT_BASIC,
            Outcome::InvalidRequest | Outcome::Granted | Outcome::GrantedByGrace | Outcome::NotJudged => bodies::INVALID_REQUEST,
        };
        Refused { outcome, reply: canned.reply() }
    }

    fn commit(&mut self, now: Timestamp, permit: Permit, fault: Option<&Fault>) -> Pair {
        let access_token = self.mint.access_token();
        let (chain, refresh_token) = match permit {
            Permit::Refresh { chain, token, .. }
                if fault == Some(&Fault::Odd(OddGrant::UnchangedRefreshToken)) && self.chains[chain].is_current(&token) =>
            {
                self.chains[chain].keep(now);
                (chain, token)
            }
            Permit::Refresh { chain, right, .. } => {
                let successor = self.mint.refresh_token();
                self.chains[chain].rotate(right, successor.clone(), now);
                (chain, successor)
            }
            Permit::Exchange { code, user } => {
                if let Some(code) = self.codes.get_mut(&code) {
                    code.used = true;
                }
                let first = self.mint.refresh_token();
                (self.begin_chain(now, user, first.clone()), first)
            }
        };
        if self.config.rotation_ends_access_tokens {
            self.access_tokens.end_all_of(chain, now);
        }
        let pair = Pair { access_token, refresh_token };
        self.record(now, chain, &pair);
        pair
    }

    /// One chain per app and user: a new one ends the others.
    pub(super) fn begin_chain(&mut self, now: Timestamp, user: usize, first: String) -> usize {
        for chain in self.chains.iter_mut().filter(|it| it.user == user) {
            chain.ended = true;
        }
        self.chains.push(Chain::begin(user, first, now));
        self.chains.len() - 1
    }

    pub(super) fn record(&mut self, now: Timestamp, chain: usize, pair: &Pair) {
        self.access_tokens.insert(pair.access_token.clone(), chain, now + self.config.access_token_lifetime);
        let expires = now + self.config.refresh_token_lifetime;
        self.refresh_tokens.entry(pair.refresh_token.clone()).or_insert(Issued { chain, expires });
        self.newest = Some(pair.clone());
    }
}

impl Permit {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Refresh { right: Right::Grace, .. } => Outcome::GrantedByGrace,
            Self::Refresh { right: Right::Current, .. } | Self::Exchange { .. } => Outcome::Granted,
        }
    }
}
