//! Serving: bind and answer first, everything else later. The host waits for the first answer and counts every exit.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::app::Broker;
use crate::config::source::Source;
use crate::config::{self, ConfigError};
use crate::{functions, telemetry};

/// Without the host, this long after the start: whoever runs it by hand hears what is wrong with the settings all the same.
const FIRST_POLL: Duration = Duration::from_millis(100);

/// Until it is interrupted. Wrong settings do not end it: they fail each invocation.
pub(super) async fn serve(current: &Path) -> anyhow::Result<ExitCode> {
    let source = config::environment();
    telemetry::init(config::log_filter(|name| source.get(name)).as_deref());
    let port = config::port(|name| source.get(name)).unwrap_or(config::DEFAULT_PORT);
    let listener = functions::bind(port).await.with_context(|| format!("127.0.0.1:{port} cannot be listened on"))?;
    let state = functions::State::opening();
    let opening = tokio::spawn(open(source, current.to_owned(), state.clone()));
    info!(port, "ready");
    functions::serve(listener, state, interrupted()).await;
    if let Ok(Some(broker)) = opening.await {
        finish(&broker, true).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Wires the use cases, once the host's first poll is answered: each client reads all of the system's certificates, and that takes longer than all
/// the rest of the start.
async fn open(source: Source, current: PathBuf, state: functions::State) -> Option<Arc<Broker>> {
    drop(tokio::time::timeout(FIRST_POLL, state.asked()).await);
    let opening = tokio::task::spawn_blocking(move || {
        source.config(&current).and_then(|config| {
            config.remarks.iter().for_each(|remark| warn!("{remark}"));
            Broker::open(config).map(Arc::new)
        })
    });
    let panicked = |_| Err(ConfigError { problems: vec!["internal error while they were read; the log says where".to_owned()] });
    let broker = opening.await.unwrap_or_else(panicked);
    let running = broker.as_ref().ok().cloned();
    state.opened(broker);
    running
}

/// Waits for the refresh that is under way, if there is one. A first interruption is told what it would cost (unless that was `told`), the second
/// ends the wait; then it is false.
pub(super) async fn finish(broker: &Broker, told: bool) -> bool {
    let mut told = told;
    let mut done = pin!(broker.finish());
    loop {
        tokio::select! {
            biased;
            () = &mut done => return true,
            () = interrupted() => {}
        }
        if told {
            return false;
        }
        told = true;
        super::say(&mut std::io::stderr(), super::FINISHING);
    }
}

/// Ctrl+C in the terminal (of `func start` as well), or a polite request to end. A refresh that is under way is finished first.
pub(super) async fn interrupted() {
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = ctrl_c => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => pending::<()>().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    pending::<()>().await;
}
