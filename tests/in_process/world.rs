//! What outlives a process: Exact Online, the vault, the ledger with its lock, and time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use exact_token_broker::token::schedule::{Mode, Policy};
use exact_token_broker::token::{ChainIdentity, Credential, Fingerprint, Ledger, LockId, VersionId};
use jiff::{SignedDuration, Timestamp};
use simulators::exact_online::{Config, Rules};

pub(crate) const BASE_URL: &str = "http://exact.invalid";
pub(crate) const START: i64 = 1_800_000_000;

#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<State>>);

pub(crate) struct State {
    pub(crate) exact: Rules,
    pub(crate) versions: BTreeMap<VersionId, (Timestamp, Credential)>,
    pub(crate) ledger: Option<(Ledger, u64)>,
    pub(crate) lock: Option<(String, Timestamp)>,
    /// Where the next process begins.
    pub(crate) now: Timestamp,
    /// The wall clock is this much off, for the processes that live from here on.
    pub(crate) skew: SignedDuration,
    pub(crate) vault: VaultIs,
    pub(crate) ledger_up: bool,
    /// How long each call of vault and ledger takes.
    pub(crate) store_takes: Duration,
    pub(crate) mode: Mode,
}

/// What the vault does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum VaultIs {
    Well,
    ReadOnly,
    /// It proves writable and then takes no version.
    Full,
}

impl World {
    /// A world in which nothing is stored and Exact knows the app.
    pub(crate) fn new(config: Config) -> Self {
        Self(Arc::new(Mutex::new(State {
            exact: Rules::new(config),
            versions: BTreeMap::new(),
            ledger: None,
            lock: None,
            now: Timestamp::from_second(START).unwrap(),
            skew: SignedDuration::ZERO,
            vault: VaultIs::Well,
            ledger_up: true,
            store_takes: Duration::ZERO,
            mode: Mode::KeepWarm,
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn policy(&self) -> Policy {
        let state = self.state();
        Policy { mode: state.mode, chain: chain(state.exact.config()), settings: Fingerprint([1; 16]), lock_id: lock_id() }
    }
}

impl State {
    /// Whether any refresh token that is stored would still be granted.
    pub(crate) fn stored_chain_lives(&self, now: Timestamp) -> bool {
        self.versions.values().any(|(_, credential)| self.exact.is_chain_alive(credential.refresh_token.reveal(), now))
    }
}

pub(crate) fn chain(config: &Config) -> ChainIdentity {
    ChainIdentity { base_url: BASE_URL.to_owned(), client_id: config.client_id.clone(), user: None }
}

pub(crate) fn lock_id() -> LockId {
    LockId("made-up-lock".to_owned())
}
