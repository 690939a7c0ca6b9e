//! One process: the shipped use cases over the shipped adapters, wired as `app` wires them, but for transports and clocks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_core::http::{Transport, Url};
use exact_token_broker::azure::{Access, BlobLedger, Identity, KeyVault, StorageSettings, key_vault};
use exact_token_broker::consent::Consent;
use exact_token_broker::exact_online::ExactOnline;
use exact_token_broker::ports::{Clock, LedgerStore};
use exact_token_broker::refresh_token::Refresher;
use exact_token_broker::task::watched;
use exact_token_broker::token::schedule::Policy;
use exact_token_broker::token::{ChainIdentity, Fingerprint, Secret};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

use super::control::{Control, Stop};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::time::SkewedClock;
use crate::transport::azure::AzureWire;
use crate::transport::exact::ExactWire;
use crate::transport::identity::credentials;
use crate::world::{EXACT_URL, OTHER_STORAGE_HOST, ProcessId, REDIRECT_URI, SECRET_NAME, STORAGE_HOST, Seen, VAULT_HOST, World};

/// A process of the app.
pub struct Process {
    /// Its number.
    pub id: ProcessId,
    /// Its life.
    pub control: Arc<Control>,
    /// What it keeps alive.
    pub refresher: Arc<Refresher>,
    /// How a person begins.
    pub consent: Consent,
    /// Its clocks.
    pub clock: Arc<SkewedClock>,
    /// It belongs to another installation.
    pub misplaced: bool,
    /// What it handed out last.
    pub served: Mutex<Option<Served>>,
    retiring: AtomicBool,
    world: World,
}

/// A token as a caller got it.
pub struct Served {
    /// What it is.
    pub token: Secret,
    /// Of which epoch.
    pub epoch: u64,
    /// When it ends, as the caller was told.
    pub ends: Timestamp,
}

impl Process {
    /// Starts one. Sends nothing yet.
    ///
    /// # Panics
    ///
    /// If the product refuses the made-up settings.
    #[must_use]
    pub fn start(world: &World, scenario: &Scenario, id: ProcessId, random: &mut Random, misplaced: bool) -> Arc<Self> {
        let clock = Arc::new(SkewedClock::new(world.time, off(random, scenario.fates.wild_clocks)));
        let exact = &scenario.exact;
        let secret = Secret::new(exact.client_secret.clone());
        let host = if misplaced { OTHER_STORAGE_HOST } else { STORAGE_HOST };
        let endpoint = Url::parse(&format!("https://{host}")).expect("a made-up URL is one");
        let storage = StorageSettings { endpoint, access: Access::Identity { client_id: None } };
        let http = AzureWire::of(world.clone(), id);
        let identities = credentials(world, id);
        let local: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let ledger =
            BlobLedger::new(&storage, Some(Arc::clone(&identities)), &Transport::new(Arc::clone(&http)), Arc::clone(&local), VAULT_HOST, SECRET_NAME);
        let ledger = ledger.expect("made-up settings do for the ledger");
        let settings = key_vault::Settings {
            vault_url: format!("https://{VAULT_HOST}"),
            secret_name: SECRET_NAME.to_owned(),
            identity: Identity::Managed { endpoint: "http://127.0.0.1/msi/token".to_owned(), client_id: None },
            owner: Some("made-up-app".to_owned()),
        };
        let vault = KeyVault::over(settings, identities, http).expect("made-up settings do for the vault");
        let policy = Policy {
            mode: scenario.mode,
            chain: ChainIdentity { base_url: EXACT_URL.to_owned(), client_id: exact.client_id.clone(), user: None },
            settings: Fingerprint::of_parts(&[EXACT_URL, &exact.client_id, secret.reveal()]),
            lock_id: ledger.lock_id(),
        };
        let wire = Arc::new(ExactWire::new(world.clone(), id));
        let endpoint = Arc::new(ExactOnline::over(wire, EXACT_URL.to_owned(), exact.client_id.clone(), secret.clone()));
        let refresher = Arc::new(Refresher::new(Arc::clone(&endpoint) as _, Arc::new(vault), Arc::new(ledger), local, policy));
        let consent = Consent::new(Arc::clone(&refresher), endpoint, &secret, Some(REDIRECT_URI.to_owned()));
        let control = Control::new(world.time);
        let seen =
            Seen { control: Arc::clone(&control), refresher: Arc::clone(&refresher), misplaced, leased: None, told_the_time: false, put: None };
        {
            let now = world.time.now();
            let mut state = world.state();
            state.processes.insert(id, seen);
            state.note(now, id, if misplaced { "started elsewhere" } else { "started" });
            state.facts.count("process started");
        }
        let process = Self {
            id,
            control,
            refresher,
            consent,
            clock,
            misplaced,
            served: Mutex::default(),
            retiring: AtomicBool::new(false),
            world: world.clone(),
        };
        let process = Arc::new(process);
        tokio::spawn(mourn(world.clone(), id, Arc::clone(&process.control)));
        process
    }

    /// Work of this process: it stops where the process stops, and then has no result.
    pub fn run<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(watched(Arc::clone(&self.control) as _, work))
    }

    /// Whether the host gives it something to do.
    #[must_use]
    pub fn takes_calls(&self) -> bool {
        !self.control.is_dead() && !self.retiring.load(Ordering::Relaxed)
    }

    /// The host gives it nothing to do any more, and kills it soon.
    pub fn retire(self: &Arc<Self>, after: Duration) {
        self.retiring.store(true, Ordering::Relaxed);
        self.world.note(self.id, "is scaled in");
        let control = Arc::clone(&self.control);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            control.stop_in(0, Stop::Kill);
        });
    }
}

/// Clocks are off by 2 s at most, and wild ones by 30.
fn off(random: &mut Random, wild: bool) -> SignedDuration {
    let most = if wild { 30_000 } else { 2_000 };
    let millis = i64::try_from(random.below(2 * most + 1)).unwrap_or(0) - i64::try_from(most).unwrap_or(0);
    SignedDuration::from_millis(millis)
}

/// Tells the world when a process has died or was frozen.
async fn mourn(world: World, id: ProcessId, control: Arc<Control>) {
    loop {
        control.stopped().await;
        let now = world.time.now();
        let mut state = world.state();
        state.strike(now, id);
        if control.is_dead() {
            state.note(now, id, "is dead");
            state.facts.count("process killed");
            return state.died(now, id);
        }
        state.note(now, id, "is frozen");
        state.facts.count("process frozen");
    }
}
