//! What the parts of one simulated host share, and one call to the handler.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{
    app::App,
    console::Console,
    event::Events,
    generation::{AfterKill, Generation, Phase},
    options::{HostOptions, Platform},
    settings::Environment,
    status_store::StatusStore,
    verdict::Verdict,
    wire::{Framing, Lost, Reply, Request},
    witness::Witness,
};

/// The version that requests name; any four numbers will do.
pub(super) const HOST_VERSION: &str = "4.1037.0.0";

/// .NET's `MaxAutomaticRedirections`.
const REDIRECTS: usize = 50;

pub(super) struct Core {
    pub(super) options: HostOptions,
    pub(super) app: App,
    pub(super) environment: Environment,
    pub(super) console: Console,
    pub(super) events: Events,
    pub(super) witness: Witness,
    pub(super) statuses: StatusStore,
    pub(super) stdout_closed: watch::Sender<bool>,
    pub(super) stopping: watch::Sender<bool>,
    /// Per function: a timer never runs beside itself.
    pub(super) timer_locks: Vec<(String, tokio::sync::Mutex<()>)>,
    current: Mutex<Option<Arc<Generation>>>,
    retired: Mutex<Vec<Arc<Generation>>>,
    tasks: Mutex<JoinSet<()>>,
    /// The timers' listeners, which end with the host's death.
    listeners: Mutex<JoinSet<()>>,
    /// How often the host has died.
    deaths: AtomicU64,
}

/// How one call to the handler went.
pub(super) struct Call {
    pub(super) reply: Result<Reply, Verdict>,
    pub(super) duration: Duration,
}

impl Core {
    pub(super) fn new(options: HostOptions, app: App, environment: Environment, (console, events): (Console, Events)) -> Self {
        let closed = options.stdout == super::options::HandlerStdout::Closed;
        let locks = app.functions.iter();
        Self {
            statuses: StatusStore::new(options.status_folder.clone()),
            witness: Witness::default(),
            stdout_closed: watch::Sender::new(closed),
            stopping: watch::Sender::new(false),
            timer_locks: locks.map(|f| (f.name.clone(), tokio::sync::Mutex::default())).collect(),
            current: Mutex::default(),
            retired: Mutex::default(),
            tasks: Mutex::default(),
            listeners: Mutex::default(),
            deaths: AtomicU64::new(0),
            options,
            app,
            environment,
            console,
            events,
        }
    }

    /// Runs until the host is dropped.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Ends every task, and with the supervising ones every handler: their children are killed when dropped.
    pub(super) fn abort(&self) {
        lock(&self.tasks).abort_all();
        lock(&self.listeners).abort_all();
    }

    /// Runs until the host dies or is dropped.
    pub(super) fn spawn_listener(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.listeners).spawn(task);
    }

    /// The host's death: what it was about to write down, it does not.
    pub(super) fn die(&self) {
        self.deaths.fetch_add(1, Ordering::SeqCst);
        self.end_listeners();
    }

    pub(super) fn end_listeners(&self) {
        lock(&self.listeners).abort_all();
    }

    /// To be compared before and after: a difference means that the host has died in between.
    pub(super) fn deaths(&self) -> u64 {
        self.deaths.load(Ordering::SeqCst)
    }

    pub(super) fn current(&self) -> Option<Arc<Generation>> {
        lock(&self.current).clone()
    }

    /// Puts a generation in the place of the current one, which is handed back.
    pub(super) fn replace(&self, generation: &Arc<Generation>) -> Option<Arc<Generation>> {
        let old = lock(&self.current).replace(generation.clone());
        lock(&self.retired).extend(old.clone());
        old
    }

    /// Every generation, the current one first.
    pub(super) fn generations(&self) -> Vec<Arc<Generation>> {
        let current = self.current();
        let retired = lock(&self.retired);
        current.into_iter().chain(retired.iter().cloned()).collect()
    }

    pub(super) fn framing(&self) -> Framing {
        let by_platform = match self.options.platform {
            Platform::Azure => Framing::Chunked,
            Platform::CoreTools => Framing::ContentLength,
        };
        self.options.framing.unwrap_or(by_platform)
    }

    /// The headers of the default protocol, before those of the body.
    pub(super) fn default_headers(port: u16, invocation_id: &str) -> Vec<(String, String)> {
        [
            ("Host", format!("127.0.0.1:{port}")),
            ("X-Azure-Functions-HostVersion", HOST_VERSION.to_owned()),
            ("X-Azure-Functions-InvocationId", invocation_id.to_owned()),
            ("User-Agent", format!("Azure-Functions-Host/{HOST_VERSION}")),
            ("Content-Type", "application/json; charset=utf-8".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Queues until the handler is ready, sends what `request` builds for its port, and waits until `functionTimeout`.
    pub(super) async fn call(&self, function: &str, request: impl FnOnce(u16) -> Request) -> Call {
        let failed = |text: &str| Call { reply: Err(Verdict::Failure(text.to_owned())), duration: Duration::ZERO };
        let Some(generation) = self.current() else {
            return failed("the host has not started");
        };
        match generation.settled(self.options.queue_budget).await {
            None => {
                return failed("Final functionDispatcher state: Initializing. Initialization timed out and host is shutting down");
            }
            Some(Phase::GivenUp | Phase::Stopped) => return failed("the host has stopped"),
            // A dead handler is called all the same: the connection is refused.
            Some(Phase::Starting | Phase::Ready { .. } | Phase::Dead) => {}
        }
        if *self.stopping.borrow() {
            return failed("the host is stopping");
        }
        let _in_flight = generation.begin();
        let begun = Instant::now();
        let exchange = self.follow(&generation, request(generation.port));
        let timeout = self.app.function_timeout.unwrap_or(Duration::MAX);
        let reply = match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok(reply)) => {
                self.witness.saw(function, &reply, &self.options.token_function);
                Ok(reply)
            }
            Ok(Err(why)) => Err(Verdict::Failure(why.to_string())),
            Err(_) => {
                generation.kill(AfterKill::Respawn);
                Err(Verdict::TimedOut)
            }
        };
        Call { reply, duration: begun.elapsed() }
    }

    /// As `HttpClient` with `AllowAutoRedirect`, which the host sets unless it forwards.
    async fn follow(&self, generation: &Generation, mut request: Request) -> Result<Reply, Lost> {
        for _ in 0..=REDIRECTS {
            let reply = generation.pool.exchange(&request).await?;
            let redirect = matches!(reply.status, 301 | 302 | 303 | 307 | 308);
            let Some(location) = reply.header("location") else {
                return Ok(reply);
            };
            if !redirect || self.app.forwarding {
                return Ok(reply);
            }
            let here = format!("http://127.0.0.1:{}/", generation.port);
            let target = match location.strip_prefix(&here) {
                Some(rest) => format!("/{rest}"),
                None if location.starts_with('/') => location.to_owned(),
                None => {
                    let why = format!("redirected away from the handler, to {location}");
                    return Err(Lost::Broken(why));
                }
            };
            request.target = target;
            if request.method == "POST" && reply.status < 307 {
                "GET".clone_into(&mut request.method);
                request.body = None;
                request.headers.retain(|(name, _)| name != "Content-Type");
            }
        }
        Err(Lost::Broken("redirected too often".to_owned()))
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
