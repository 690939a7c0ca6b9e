//! How a simulated host is started.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::wire::Framing;

/// Where the host pretends to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// `func start`: `Content-Length`, keys not enforced, `FUNCTIONS_CORETOOLS_ENVIRONMENT` set, `AzureWebJobsStorage` demanded.
    CoreTools,
    /// A function app: chunked requests, keys enforced, `WEBSITE_*` set.
    Azure,
}

/// The hosting plan, as far as `functionTimeout` depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Default 5 minutes, at most 10.
    Consumption,
    /// Flex, Premium, Dedicated: default 30 minutes, `-1` for unbounded.
    Other,
}

/// What an exit with code 0 means. Both behaviours are live, depending on the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitZero {
    /// Nothing is started again, and invocations go to a dead port.
    StaysDead,
    /// The handler is started again, uncounted, as after code 200.
    Respawns,
}

/// What becomes of the handler's standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerStdout {
    /// Read line by line.
    Read,
    /// The read end is closed at once: a broken pipe, as after the host's death.
    Closed,
}

/// Which ticks timers follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timers {
    /// None: only [`fire_timer`](super::FunctionsHost::fire_timer) and [`fire_scheduled`](super::FunctionsHost::fire_scheduled).
    Off,
    /// The schedules of function.json.
    OnSchedule,
    /// A tick each so often, from the start of the last invocation, in place of every schedule.
    Every(Duration),
}

/// Keys for `authLevel`; all made up.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Good for every function whose level is `function`.
    pub function: String,
    /// Likewise.
    pub host: String,
    /// Good for everything, the admin routes included.
    pub master: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self { function: "FAKE-FUNCTION-KEY".to_owned(), host: "FAKE-HOST-KEY".to_owned(), master: "FAKE-MASTER-KEY".to_owned() }
    }
}

/// Everything that a start can be told. [`HostOptions::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The folder of host.json.
    pub app_root: PathBuf,
    /// Application settings. The handler sees these, PATH and what the host itself sets, and nothing else.
    pub environment: BTreeMap<String, String>,
    /// Add the `Values` of local.settings.json for names that `environment` does not have. Default: no.
    pub local_settings: bool,
    /// In place of `defaultExecutablePath`; wins over the application setting of that meaning.
    pub executable: Option<PathBuf>,
    /// Default: Azure.
    pub platform: Platform,
    /// Default: other than Consumption.
    pub plan: Plan,
    /// The front end's port on 127.0.0.1; 0, the default, for any.
    pub front_port: u16,
    /// `None`, the default: as the platform does.
    pub framing: Option<Framing>,
    /// Default: read.
    pub stdout: HandlerStdout,
    /// Default: respawns.
    pub exit_zero: ExitZero,
    /// Default: made-up ones.
    pub keys: Keys,
    /// How long a handler may take to answer `GET /`; `None`: host.json's `initializationTimeout`, else 30 s.
    pub readiness_budget: Option<Duration>,
    /// How long an invocation waits for a handler that is starting. Default 120 s.
    pub queue_budget: Duration,
    /// In place of host.json's `functionTimeout`, for tests that cannot wait for minutes.
    pub function_timeout: Option<Duration>,
    /// How long a stop waits for what is in flight. Default 10 s.
    pub drain: Duration,
    /// When the front end gives up on a call (230 s in Azure), while the invocation goes on. Default: never.
    pub front_cut: Option<Duration>,
    /// Default: off.
    pub timers: Timers,
    /// Where timers keep their status files; `None`, the default, for a memory that ends with the host.
    pub status_folder: Option<PathBuf>,
    /// In place of the delays of a retry policy.
    pub retry_delay: Option<Duration>,
    /// Act out [`NeverCompletes`](super::Verdict::NeverCompletes): hold the invocation until `functionTimeout`, then kill.
    /// Default: no, report it at once.
    pub act_out_hangs: bool,
    /// The one function whose 200 bodies may hold a secret. Default `GetToken`.
    pub token_function: String,
}

impl HostOptions {
    /// The defaults, for an app root.
    #[must_use]
    pub fn new(app_root: &Path) -> Self {
        Self {
            app_root: app_root.to_owned(),
            environment: BTreeMap::new(),
            local_settings: false,
            executable: None,
            platform: Platform::Azure,
            plan: Plan::Other,
            front_port: 0,
            framing: None,
            stdout: HandlerStdout::Read,
            exit_zero: ExitZero::Respawns,
            keys: Keys::default(),
            readiness_budget: None,
            queue_budget: Duration::from_mins(2),
            function_timeout: None,
            drain: Duration::from_secs(10),
            front_cut: None,
            timers: Timers::Off,
            status_folder: None,
            retry_delay: None,
            act_out_hangs: false,
            token_function: "GetToken".to_owned(),
        }
    }

    /// One more application setting.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }
}
