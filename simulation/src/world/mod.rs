//! What outlives every process: Exact Online, the vault, the blob, identities, and time. And who watches them.

pub mod facts;
pub mod grace;
pub mod journal;
pub mod oracle;
pub mod sent;
pub mod weather;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use exact_token_broker::refresh_token::Refresher;
use jiff::Timestamp;
use simulators::{blob_storage, exact_online, key_vault};

use self::facts::Facts;
use self::grace::{Held, Run, Strike};
use self::journal::Journal;
use self::oracle::Oracle;
use self::weather::Weather;
use crate::app::control::Control;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::time::Time;

/// The secret that is kept.
pub const SECRET_NAME: &str = "exact-online-token";
/// The vault that keeps it.
pub const VAULT_HOST: &str = "made-up.vault.azure.net";
/// The storage account of the app.
pub const STORAGE_HOST: &str = "madeup.blob.core.windows.net";
/// That of an installation that should not be there.
pub const OTHER_STORAGE_HOST: &str = "other.blob.core.windows.net";
/// Exact's site.
pub const EXACT_URL: &str = "https://start.exactonline.nl";
/// Where the browser comes back to.
pub const REDIRECT_URI: &str = "https://made-up.azurewebsites.net/api/ConsentCallback";

/// Names a process: a number that grows.
pub type ProcessId = u32;

/// Shared by all that happens in one history.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    /// True time.
    pub time: Time,
}

/// What is so at one moment.
pub struct State {
    /// For what is drawn on the way.
    pub random: Random,
    /// What goes wrong.
    pub weather: Weather,
    /// Exact Online.
    pub exact: exact_online::Rules,
    /// The vault.
    pub vault: key_vault::Rules,
    /// The blob service.
    pub blob: blob_storage::Rules,
    /// The identity tokens before this one are revoked.
    pub identity: u64,
    /// The processes that live or have lived.
    pub processes: BTreeMap<ProcessId, Seen>,
    /// What happened.
    pub journal: Journal,
    /// What is counted.
    pub facts: Facts,
    /// Who knows which token is worth something.
    pub oracle: Oracle,
    /// What was promised and not kept.
    pub broken: Vec<String>,
    /// The faults that befell single requests and processes.
    pub struck: Vec<Strike>,
    /// Ticks and calls.
    pub runs: Vec<Run>,
    /// Who had the lease, in order.
    pub held: Vec<Held>,
    /// When somebody last broke the lease.
    pub lease_broken: Option<Timestamp>,
    /// Who is frozen before its socket.
    pub at_the_socket: Option<AtTheSocket>,
}

/// A process whose request to Exact was about to leave when it was frozen.
pub struct AtTheSocket {
    /// Who.
    pub process: ProcessId,
    /// The token or code that it is going to send.
    pub secret: String,
    /// Whether another has sent the same meanwhile.
    pub met: bool,
}

/// A process, as it is seen from outside.
pub struct Seen {
    /// Whether it lives.
    pub control: Arc<Control>,
    /// What is in its memory.
    pub refresher: Arc<Refresher>,
    /// It belongs to another installation.
    pub misplaced: bool,
    /// When the blob service last gave it the lease, or renewed it.
    pub leased: Option<Timestamp>,
    /// The blob service has told it what time it is.
    pub told_the_time: bool,
    /// The attempt of its latest PUT, and whether it may look for it before another.
    pub put: Option<(String, sent::Put)>,
}

impl World {
    /// As a scenario has it, with nothing stored yet.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let mut random = scenario.random.clone();
        let state = State {
            random: random.fork(),
            weather: scenario.weather.clone(),
            exact: exact_online::Rules::new(scenario.exact.clone()),
            vault: key_vault::Rules::default(),
            blob: blob_storage::Rules::default(),
            identity: 1,
            processes: BTreeMap::new(),
            journal: Journal::new(scenario.start),
            facts: Facts::default(),
            oracle: Oracle::default(),
            broken: Vec::new(),
            struck: Vec::new(),
            runs: Vec::new(),
            held: Vec::new(),
            lease_broken: None,
            at_the_socket: None,
        };
        Self { state: Arc::new(Mutex::new(state)), time: Time::from(scenario.start) }
    }

    /// All of it. Do not hold it across an `await`.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line into the journal.
    pub fn note(&self, process: ProcessId, line: &str) {
        let now = self.time.now();
        self.state().note(now, process, line);
    }
}

impl State {
    /// Writes a line into the journal; process 0 is the world itself.
    pub fn note(&mut self, now: Timestamp, process: ProcessId, line: &str) {
        self.journal.write(now, process, line);
    }

    /// A fault befell a process, or a request of its.
    pub fn strike(&mut self, at: Timestamp, process: ProcessId) {
        self.struck.push(Strike { at, process });
    }

    /// The blob service gave a process the lease, or took it back.
    pub fn lease(&mut self, at: Timestamp, process: ProcessId, kind: &str) {
        match kind {
            "acquire" => self.held.push(Held { process, from: at, until: None }),
            "release" => {
                if let Some(held) = self.held.last_mut().filter(|held| held.process == process) {
                    held.until = held.until.or(Some(at));
                }
            }
            _ => {}
        }
    }

    /// An invocation begins; what is needed to end it.
    pub fn begin_run(&mut self, process: ProcessId, tick: bool, from: Timestamp) -> usize {
        self.runs.push(Run { process, tick, from, until: None });
        self.runs.len() - 1
    }

    /// It ends.
    pub fn end_run(&mut self, run: usize, until: Timestamp) {
        if let Some(run) = self.runs.get_mut(run) {
            run.until = Some(until);
        }
    }

    /// A promise was not kept.
    pub fn broke(&mut self, now: Timestamp, process: ProcessId, what: &str) {
        self.note(now, process, &format!("BROKEN {what}"));
        self.broken.push(what.to_owned());
    }

    /// Whether a process can still do something, be it after a pause.
    #[must_use]
    pub fn lives(&self, process: ProcessId) -> bool {
        self.processes.get(&process).is_some_and(|seen| !seen.control.is_dead())
    }

    /// The ledger as it is stored, read by nobody but us.
    #[must_use]
    pub fn ledger(&self) -> Option<exact_token_broker::token::Ledger> {
        let (_, blob) = self.blob.blobs().iter().find(|(path, _)| path.starts_with(STORAGE_HOST))?;
        exact_token_broker::stored::ledger_from_json(std::str::from_utf8(&blob.body).ok()?).ok()
    }
}
