//! The Functions host's side: what it sends to a custom handler, and what it must get back.
//!
//! Two protocols meet on one port. The timer comes as `POST /RefreshToken` with a JSON envelope, chunked in Azure and sized under Core Tools;
//! the HTTP function comes as the caller sent it, at `/api/GetToken`, because `host.json` turns forwarding on. Besides, the host polls `GET /`
//! until anything answers, and later now and then (azure-functions-host, `DefaultHttpWorkerService`).
//!
//! Never sent to the host or to a caller of `GetToken`: an empty 2xx, 202, 204 or 3xx. An empty 2xx makes the host wait until `functionTimeout` and
//! then kill this process; Data Factory takes a 202 for success and follows a redirect. A browser gets pages, and one redirect: to Exact's log-in.

mod ask;
mod body;
mod call;
mod consent;
mod envelope;
mod page;
mod reply;
mod route;
mod server;

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tokio::sync::{Notify, SetOnce, mpsc};
use tracing::Instrument;

use crate::config::ConfigError;
use crate::consent::{Begun, Callback, Decision, Failed, Finished, Problem, Waiting};
use crate::get_token::{Ask, HandedOut, NoToken};
use crate::refresh_token::Tick;
use crate::status::Status;
use crate::token::Secret;

use consent::Wish;
use reply::{Refused, Reply};
use route::Route;

pub use server::{bind, serve};

/// A tick that has not ended by then is answered as failed and goes on; at `functionTimeout`, 600 s, the host would kill the process and all that
/// it does.
const TICK_LIMIT: Duration = Duration::from_secs(585);
/// A call is answered this long after the caller's `max_wait` (200 s at most) whatever hangs: Data Factory gives up at 230 s.
const CALL_MARGIN: Duration = Duration::from_secs(15);
/// A person waits this long at most; an exchange takes up to 200 s, and Azure's front end gives up at 230.
const CONSENT_LIMIT: Duration = Duration::from_secs(215);

/// What is known is said by then, whatever hangs: the store has [`crate::status::LOOK`], and the settings may still be on their way.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

/// What the host can ask for.
#[async_trait]
pub trait UseCases: Send + Sync + 'static {
    /// One timer tick.
    async fn tick(&self) -> Tick;

    /// The answer to a caller for which nothing has to be waited. None: ask [`get_token`](Self::get_token).
    fn at_hand(&self, ask: Ask) -> Option<HandedOut>;

    /// One answer to a caller.
    async fn get_token(&self, ask: Ask) -> Result<HandedOut, NoToken>;

    /// What is known of the chain, within a few seconds.
    async fn status(&self) -> Status;

    /// Where a person connects again, if there is a page for it.
    fn consent_url(&self) -> Option<&str>;

    /// Scheme, host and port of where the pages' buttons may lead besides: the Exact site, and where that sends the browser back to.
    fn form_targets(&self) -> Vec<String>;

    /// A person has pressed the button, in a browser that may have a cookie of ours.
    async fn begin_consent(&self, cookie: Option<Secret>) -> Result<Begun, Problem>;

    /// The same, from the page of a consent that brought nothing.
    async fn begin_again(&self, again: &Secret, cookie: Option<Secret>) -> Result<Begun, Failed>;

    /// Exact has sent the browser back.
    async fn finish_consent(&self, callback: Callback) -> Result<Finished, Failed>;

    /// A person says whether another user than before is meant.
    async fn decide_consent(&self, waiting: Waiting, decision: Decision) -> Result<Finished, Failed>;
}

/// What stands behind the routes. Wrong settings fail each invocation and never keep the process from answering: the host restarts a process
/// that exits, and shuts itself down with the third.
#[derive(Clone)]
pub struct State {
    broker: Arc<SetOnce<Opened>>,
    asked: Arc<Notify>,
}

type Opened = Result<Arc<dyn UseCases>, Arc<ConfigError>>;

impl State {
    /// The use cases, or why there are none.
    #[must_use]
    pub fn new(broker: Result<Arc<impl UseCases>, ConfigError>) -> Self {
        let state = Self::opening();
        state.opened(broker);
        state
    }

    /// What will stand behind the routes is being made: the host's readiness poll is answered, and invocations wait for [`opened`](Self::opened).
    #[must_use]
    pub fn opening() -> Self {
        Self { broker: Arc::default(), asked: Arc::default() }
    }

    /// Says, once, what stands behind the routes.
    pub fn opened(&self, broker: Result<Arc<impl UseCases>, ConfigError>) {
        let broker = match broker {
            Ok(broker) => Ok(broker as Arc<dyn UseCases>),
            Err(error) => Err(Arc::new(error)),
        };
        let _said_before = self.broker.set(broker);
    }

    /// Ends once something was asked of it: readiness, most likely.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Once it is known.
    fn form_targets(&self) -> Vec<String> {
        self.broker.get().and_then(|opened| opened.as_ref().ok()).map(|broker| broker.form_targets()).unwrap_or_default()
    }

    async fn broker(&self) -> Opened {
        self.asked.notify_one();
        self.broker.wait().await.clone()
    }
}

/// Held by whatever must be finished before the process ends.
type Running = mpsc::Sender<Infallible>;

async fn answer(state: State, running: Running, request: Request) -> Response {
    let reply = match Route::of(request.uri().path(), request.method()) {
        Err(refused) => Reply::Refused(refused),
        Ok(Route::Alive) => {
            state.asked.notify_one();
            Reply::Alive
        }
        Ok(route) if route.is_for_a_browser() => {
            let reply = Box::pin(invocation(state.clone(), running, route, request)).await;
            return page::response(&reply, route, &state.form_targets());
        }
        Ok(route) => match at_hand(&state, route, &request) {
            Some(reply) => reply,
            // Boxed: it is many times the size of what nearly every call needs.
            None => Box::pin(invocation(state, running, route, request)).await,
        },
    };
    reply.into_response()
}

/// The token in memory, to a caller whom it suits, without a task and a span of its own: those cost as much as all the rest of the call.
fn at_hand(state: &State, route: Route, request: &Request) -> Option<Reply> {
    if route != Route::GetToken || !request.body().is_end_stream() {
        return None;
    }
    let broker = state.broker.get()?.as_ref().ok()?;
    let ask = ask::read(request.uri().query()).ok()?;
    // As in a task of its own, a panic ends nothing else; the hook has logged it.
    let reply = catch_unwind(AssertUnwindSafe(|| broker.at_hand(ask))).map_or(Some(Reply::Panicked), |token| token.map(Reply::Token))?;
    if reply.has_something_to_log() {
        call::span(route, request.headers()).in_scope(|| reply.log(route));
    }
    Some(reply)
}

async fn invocation(state: State, running: Running, route: Route, request: Request) -> Reply {
    let span = call::span(route, request.headers());
    let invocation = async {
        let reply = match route {
            Route::Alive => Ok(Reply::Alive),
            Route::RefreshToken => refresh_token(state, running, request).await,
            Route::GetToken => get_token(state, running, request).await,
            Route::Status => status(state, running, request).await,
            Route::Consent | Route::ConsentCallback => consent(state, running, route, request).await,
        };
        reply.unwrap_or_else(|unsaid| {
            unsaid.log(route);
            unsaid
        })
    };
    invocation.instrument(span).await
}

/// `Err` is what has not been logged yet, here and below.
async fn refresh_token(state: State, running: Running, request: Request) -> Result<Reply, Reply> {
    let body = body::read(request.into_body()).await?;
    let past_due = envelope::read(&body)?.past_due;
    drop(body);
    let work = async move {
        let broker = match state.broker().await {
            Ok(broker) => broker,
            Err(error) => return Reply::BadSettings(error),
        };
        tracing::debug!(past_due, "the timer ticks");
        Reply::Tick(broker.tick().await)
    };
    owned(running, TICK_LIMIT, work, Route::RefreshToken).await
}

async fn get_token(state: State, running: Running, request: Request) -> Result<Reply, Reply> {
    let ask = ask::read(request.uri().query())?;
    body::read(request.into_body()).await?;
    let limit = ask.max_wait.unsigned_abs() + CALL_MARGIN;
    let work = async move {
        match state.broker().await {
            Ok(broker) => match broker.get_token(ask).await {
                Ok(token) => Reply::Token(token),
                Err(no_token) => Reply::NoToken { no_token, consent_url: broker.consent_url().map(str::to_owned) },
            },
            Err(error) => Reply::BadSettings(error),
        }
    };
    owned(running, limit, work, Route::GetToken).await
}

/// In the same form whatever is wrong: who watches this must not need to tell one error body from another.
async fn status(state: State, running: Running, request: Request) -> Result<Reply, Reply> {
    body::read(request.into_body()).await?;
    let work = async move {
        let status = match state.broker().await {
            Ok(broker) => broker.status().await,
            Err(error) => Status::misconfigured(&error.problems),
        };
        Reply::Status(Box::new(status))
    };
    match owned(running, STATUS_LIMIT, work, Route::Status).await {
        Err(Reply::Overdue) => Ok(Reply::Status(Box::new(Status::unknown()))),
        other => other,
    }
}

async fn consent(state: State, running: Running, route: Route, request: Request) -> Result<Reply, Reply> {
    let (head, body) = request.into_parts();
    let body = body::read(body).await?;
    let wish = Wish::of(route, &head, &body)?;
    drop(body);
    let work = async move {
        match state.broker().await {
            Ok(broker) => wish.grant(&*broker).await,
            Err(error) => Reply::BadSettings(error),
        }
    };
    owned(running, CONSENT_LIMIT, work, route).await
}

/// Runs a use case as a task of its own: a caller who hangs up does not cancel it, and a panic in it ends nothing else. Its outcome is logged by
/// the task, since a caller need not be there any more.
async fn owned(running: Running, limit: Duration, work: impl Future<Output = Reply> + Send + 'static, route: Route) -> Result<Reply, Reply> {
    let task = async move {
        let _until_done = running;
        let reply = work.await;
        reply.log(route);
        reply
    };
    match tokio::time::timeout(limit, tokio::spawn(task.in_current_span())).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(_panicked)) => Ok(Reply::Panicked),
        Err(_elapsed) => Err(Reply::Overdue),
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

const _: () = assert!(TICK_LIMIT.as_secs() < 600, "the host kills at functionTimeout");
const _: () = assert!(ask::MOST_MAX_WAIT as u64 + CALL_MARGIN.as_secs() < 230, "Data Factory gives up at 230 s");
const _: () = assert!(CONSENT_LIMIT.as_secs() < 230, "the front end gives up at 230 s");

#[cfg(test)]
mod tests;
