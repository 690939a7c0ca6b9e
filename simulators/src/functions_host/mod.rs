//! A simulated Azure Functions host for custom handlers.
//!
//! It reads host.json and the function.json files as the host does, starts the handler as a process of its own, speaks
//! the host's HTTP to it, and judges the replies as the host would: also the replies that make the real host wait
//! for ever. It works in real time, beside real processes; what it decides is decided in pure functions.
//!
//! | file | what |
//! |---|---|
//! | `options`, `settings`, `time_span` | what a start is told |
//! | `app`, `binding`, `ncrontab` | host.json and function.json |
//! | `process`, `generation`, `control` | spawning, readiness, crash, kill, respawn |
//! | `wire` | HTTP/1.1 with chosen framing |
//! | `host` | what all parts share; one call to the handler |
//! | `envelope`, `verdict`, `invoke`, `retry` | timer invocations: T1 to T9, judgement, retries |
//! | `schedule`, `timer`, `status_store` | when timers fire |
//! | `http`, `route`, `forward`, `http_envelope` | calls from outside |
//! | `console`, `event`, `witness`, `listening`, `checks` | what a test looks at |
//!
//! Not simulated: proxying (`enableProxyingHttpRequest`), `customHandler.http.routes`, extension bundles, file watching,
//! the singleton lease between instances, scaling.

mod ambient;
mod app;
mod binding;
mod checks;
mod console;
mod control;
mod envelope;
mod event;
mod forward;
mod generation;
mod host;
mod http;
mod http_envelope;
mod invoke;
mod listening;
mod ncrontab;
mod options;
mod process;
mod retry;
mod route;
mod schedule;
mod settings;
mod status_store;
mod time_span;
mod timer;
mod verdict;
mod wire;
mod witness;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{net::TcpListener, time::Instant};

pub use console::{Line, Severity, Stream, severity};
pub use envelope::{RetryContext, StatusDates, TimerSample};
pub use event::{Event, EventKind};
pub use generation::Phase;
pub use invoke::Invocation;
pub use ncrontab::Ncrontab;
pub use options::{ExitZero, HandlerStdout, HostOptions, Keys, Plan, Platform, Timers};
pub use verdict::{ScriptResult, Verdict, judge};
pub use wire::{Framing, Reply};
pub use witness::{Channel, Place};

use app::App;
use binding::{Function, TimerTrigger, Trigger};
use console::Console;
use event::Events;
use generation::Generation;
use host::Core;
use invoke::Cause;

/// A running host. Dropped, it kills every handler that it started.
pub struct FunctionsHost {
    core: Arc<Core>,
    front: SocketAddr,
}

/// A handler, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerInfo {
    /// Its port on 127.0.0.1; the same after a crash, another after [`FunctionsHost::restart_overlapping`].
    pub port: u16,
    /// Where it is in its life.
    pub phase: Phase,
}

impl Drop for FunctionsHost {
    fn drop(&mut self) {
        self.core.abort();
    }
}

impl FunctionsHost {
    /// Reads the app, opens the front end, starts the handler and waits until it answers; then starts the timers.
    ///
    /// # Errors
    /// What the host would not start with, naming the file; a handler that cannot be spawned, or failed three times.
    pub async fn start(options: HostOptions) -> Result<Self> {
        let host = Self::start_unready(options).await?;
        host.wait_ready().await?;
        host.start_timers();
        Ok(host)
    }

    /// As [`start`](Self::start), without waiting for the handler and without timers: invocations queue meanwhile.
    ///
    /// # Errors
    /// As for [`start`](Self::start), save for the handler.
    pub async fn start_unready(options: HostOptions) -> Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", options.front_port)).await.with_context(|| format!("the front end's port {}", options.front_port))?;
        let front = listener.local_addr()?;
        let environment = process::environment(&options, front.port())?;
        let app = App::read(&options, &environment)?;
        let is_timer = |function: &Function| matches!(function.trigger, Trigger::Timer(_));
        if options.platform == Platform::CoreTools && app.functions.iter().any(is_timer) {
            process::demand_storage(&environment)?;
        }
        let events = Events::new();
        let console = Console::new(app.console_level, events.clone());
        let core = Core::new(options, app, environment, (console, events));
        let host = Self { core: Arc::new(core), front };
        host.respawn().await?;
        host.core.spawn(http::serve(host.core.clone(), listener));
        Ok(host)
    }

    /// Starts the timers as the options say, past-due ticks first; [`start`](Self::start) has done it already.
    pub fn start_timers(&self) {
        timer::start(&self.core);
    }

    /// Where the front end listens, e.g. `http://127.0.0.1:7071`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.front)
    }

    /// The current handler first, then those that were replaced.
    #[must_use]
    pub fn handlers(&self) -> Vec<HandlerInfo> {
        let generations = self.core.generations();
        let info = |generation: &Arc<Generation>| HandlerInfo { port: generation.port, phase: generation.phase() };
        generations.iter().map(info).collect()
    }

    /// Waits until the handler answers.
    ///
    /// # Errors
    /// The handler was given up, stopped or is dead; or the host's patience (`queue_budget`) is at an end.
    pub async fn wait_ready(&self) -> Result<HandlerInfo> {
        let generation = self.current()?;
        let port = generation.port;
        match generation.settled(self.core.options.queue_budget).await {
            Some(phase @ Phase::Ready { .. }) => Ok(HandlerInfo { port, phase }),
            phase => bail!("the handler is not ready but {phase:?}; its console: {:?}", self.console()),
        }
    }

    /// The handler's process id.
    ///
    /// # Errors
    /// There is no handler that is ready.
    pub fn pid(&self) -> Result<u32> {
        match self.current()?.phase() {
            Phase::Ready { pid, .. } => Ok(pid),
            phase => bail!("the handler is not ready but {phase:?}"),
        }
    }

    /// From the spawn of the current handler to its first answer.
    ///
    /// # Errors
    /// There is no handler that is ready.
    pub fn ready_after(&self) -> Result<Duration> {
        match self.current()?.phase() {
            Phase::Ready { ready_after, .. } => Ok(ready_after),
            phase => bail!("the handler is not ready but {phase:?}"),
        }
    }

    /// A bare `GET /`, as the scale controller causes one at any time; how long the answer took.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ping(&self) -> Result<Duration> {
        let generation = self.current()?;
        let begun = Instant::now();
        let answer = generation.pool.exchange(&process::bare_get(generation.port)).await;
        answer.map_err(|lost| anyhow::anyhow!("{lost}"))?;
        Ok(begun.elapsed())
    }

    /// One attempt of the app's only timer, exactly as the sample says.
    ///
    /// # Errors
    /// The app has no timer, or several.
    pub async fn fire_timer(&self, sample: &TimerSample) -> Result<Invocation> {
        let (function, timer) = self.sole_timer()?;
        Ok(self.core.attempt(function, timer, sample).await)
    }

    /// One scheduled tick of the app's only timer, now: stored status, retries, and the status stored afterwards.
    ///
    /// # Errors
    /// The app has no timer, or several.
    pub async fn fire_scheduled(&self) -> Result<Invocation> {
        let (function, timer) = self.sole_timer()?;
        Ok(self.core.run_scheduled(function, timer, Cause::Tick).await.1)
    }

    /// Any request, straight to the handler and past the front end; not judged.
    ///
    /// `headers` stand before those of the body's framing; `Host` is set here.
    ///
    /// # Errors
    /// There is no whole reply.
    pub async fn send_raw(&self, method: &str, target: &str, headers: &[(&str, &str)], body: Option<(Vec<u8>, Framing)>) -> Result<Reply> {
        let generation = self.current()?;
        let mut request = process::bare_get(generation.port);
        method.clone_into(&mut request.method);
        target.clone_into(&mut request.target);
        let own = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        request.headers.extend(own);
        request.body = body;
        let reply = generation.pool.exchange(&request).await;
        let reply = reply.map_err(|lost| anyhow::anyhow!("{lost}"))?;
        let name = format!("{method} {target}");
        self.core.witness.saw(&name, &reply, &self.core.options.token_function);
        Ok(reply)
    }

    fn current(&self) -> Result<Arc<Generation>> {
        self.core.current().context("the host has no handler")
    }

    fn sole_timer(&self) -> Result<(&Function, &TimerTrigger)> {
        let function = self.core.app.sole_timer()?;
        match &function.trigger {
            Trigger::Timer(timer) => Ok((function, timer)),
            Trigger::Http(_) => bail!("the app has no timer function"),
        }
    }

    /// As `WorkerUtilities` does: bind port 0, read the number, close. Another process can take it in between.
    async fn free_port(&self) -> Result<u16> {
        let wanted = self.core.app.port.unwrap_or(0);
        let listener = TcpListener::bind(("127.0.0.1", wanted)).await.with_context(|| format!("customHandler.port {wanted} cannot be bound"))?;
        Ok(listener.local_addr()?.port())
    }
}
