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
    /// How many versions were ever put: a name is not given twice.
    pub(crate) put: usize,
    pub(crate) ledger: Option<(Ledger, u64)>,
    pub(crate) lock: Option<(String, Timestamp)>,
    /// Where the next process begins.
    pub(crate) now: Timestamp,
    /// The wall clock is this much off, for the processes that live from here on.
    pub(crate) skew: SignedDuration,
    pub(crate) vault: VaultIs,
    pub(crate) ledger_up: bool,
    /// It is there and is nothing that this program wrote.
    pub(crate) ledger_damaged: bool,
    /// How long each call of vault and ledger takes.
    pub(crate) store_takes: Duration,
    /// How much longer a list of the versions takes.
    pub(crate) list_takes: Duration,
    pub(crate) mode: Mode,
}

/// What the vault does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum VaultIs {
    Well,
    ReadOnly,
    /// It proves writable and then takes no version.
    Full,
    /// Nobody reaches it.
    Away,
}

impl World {
    /// A world in which nothing is stored and Exact knows the app.
    pub(crate) fn new(config: Config) -> Self {
        Self(Arc::new(Mutex::new(State {
            exact: Rules::new(config),
            versions: BTreeMap::new(),
            put: 0,
            ledger: None,
            lock: None,
            now: Timestamp::from_second(START).unwrap(),
            skew: SignedDuration::ZERO,
            vault: VaultIs::Well,
            ledger_up: true,
            ledger_damaged: false,
            store_takes: Duration::ZERO,
            list_takes: Duration::ZERO,
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
    /// How long a call of this operation takes, and whether nobody answers it.
    pub(crate) fn meets(&self, op: &str) -> (Duration, bool) {
        match op {
            "exact.refresh" => (Duration::ZERO, false),
            "vault.list" => (self.store_takes + self.list_takes, self.vault == VaultIs::Away),
            op => (self.store_takes, self.vault == VaultIs::Away && op.starts_with("vault.")),
        }
    }

    /// The version that the ledger names.
    pub(crate) fn head(&self) -> VersionId {
        self.ledger.as_ref().and_then(|(ledger, _)| ledger.head.as_ref()).map(|head| head.version.clone()).unwrap()
    }

    /// The vault goes back to before the head, as after a restore. What it lost.
    pub(crate) fn lose_head(&mut self) -> (VersionId, (Timestamp, Credential)) {
        let head = self.head();
        let lost = self.versions.remove(&head).unwrap();
        (head, lost)
    }

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
