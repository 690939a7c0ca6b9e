//! The Functions host's side: what it sends to a custom handler, and what it must get back.
//!
//! Two protocols meet on one port. The timer comes as `POST /RefreshToken` with a JSON envelope, chunked in Azure and sized under Core Tools;
//! the HTTP function comes as the caller sent it, at `/api/GetToken`, because `host.json` turns forwarding on. Besides, the host polls `GET /`
//! until anything answers, and later now and then (azure-functions-host, `DefaultHttpWorkerService`).
//!
//! Never sent: an empty 2xx, 202, 204 or 3xx. An empty 2xx makes the host wait until `functionTimeout` and then kill this process; Data Factory
//! takes a 202 for success and follows a redirect.

mod ask;
mod body;
mod call;
mod envelope;
mod reply;
mod route;
mod server;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::config::ConfigError;
use crate::get_token::{Ask, HandedOut, NoToken};
use crate::refresh_token::Tick;

use reply::{Refused, Reply};
use route::Route;

pub use server::{bind, serve};

/// A tick that has not ended by then is answered as failed and goes on; at `functionTimeout`, 600 s, the host would kill the process and all that
/// it does.
const TICK_LIMIT: Duration = Duration::from_secs(585);
/// A call is answered this long after the caller's `max_wait` (200 s at most) whatever hangs: Data Factory gives up at 230 s.
const CALL_MARGIN: Duration = Duration::from_secs(15);

/// What the host can ask for.
#[async_trait]
pub trait UseCases: Send + Sync + 'static {
    /// One timer tick.
    async fn tick(&self) -> Tick;

    /// One answer to a caller.
    async fn get_token(&self, ask: Ask) -> Result<HandedOut, NoToken>;
}

/// What stands behind the routes. Wrong settings fail each invocation and never keep the process from answering: the host restarts a process
/// that exits, and shuts itself down with the third.
#[derive(Clone)]
pub struct State {
    broker: Result<Arc<dyn UseCases>, Arc<ConfigError>>,
}

impl State {
    /// The use cases, or why there are none.
    #[must_use]
    pub fn new(broker: Result<Arc<impl UseCases>, ConfigError>) -> Self {
        let broker = match broker {
            Ok(broker) => Ok(broker as Arc<dyn UseCases>),
            Err(error) => Err(Arc::new(error)),
        };
        Self { broker }
    }
}

/// Held by whatever must be finished before the process ends.
type Running = mpsc::Sender<Infallible>;

async fn answer(state: State, running: Running, request: Request) -> Response {
    let route = match Route::of(request.uri().path(), request.method()) {
        Ok(route) => route,
        Err(refused) => return Reply::Refused(refused).into_response(),
    };
    let span = call::span(route, request.headers());
    let invocation = async {
        let reply = match route {
            Route::Alive => Ok(Reply::Alive),
            Route::RefreshToken => refresh_token(&state, running, request).await,
            Route::GetToken => get_token(&state, running, request).await,
        };
        reply.unwrap_or_else(|unsaid| {
            unsaid.log(route);
            unsaid
        })
    };
    invocation.instrument(span).await.into_response()
}

/// `Err` is what has not been logged yet, here and below.
async fn refresh_token(state: &State, running: Running, request: Request) -> Result<Reply, Reply> {
    let body = body::read(request.into_body()).await?;
    let past_due = envelope::read(&body)?.past_due;
    drop(body);
    let broker = broker(state)?;
    tracing::debug!(past_due, "the timer ticks");
    owned(running, TICK_LIMIT, async move { Reply::Tick(broker.tick().await) }, Route::RefreshToken).await
}

async fn get_token(state: &State, running: Running, request: Request) -> Result<Reply, Reply> {
    let ask = ask::read(request.uri().query())?;
    body::read(request.into_body()).await?;
    let broker = broker(state)?;
    let limit = ask.max_wait.unsigned_abs() + CALL_MARGIN;
    owned(running, limit, async move { broker.get_token(ask).await.map_or_else(Reply::NoToken, Reply::Token) }, Route::GetToken).await
}

fn broker(state: &State) -> Result<Arc<dyn UseCases>, Reply> {
    state.broker.clone().map_err(Reply::BadSettings)
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

#[cfg(test)]
mod tests;
