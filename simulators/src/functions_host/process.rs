//! One handler process: its environment, its command line, its first answer.
//!
//! Source: azure-functions-host `HttpWorkerProcess.CreateWorkerProcess` and `DefaultHttpWorkerService.IsWorkerReady`.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
    time::Instant,
};
use uuid::Uuid;

use super::{
    ambient,
    app::App,
    console::{Console, Stream},
    options::{HostOptions, Platform},
    settings::{Environment, Unknown, expand, lookup},
    wire::{Lost, Pool, Request},
};

/// Between two polls for readiness.
const POLL: Duration = Duration::from_millis(25);

/// The application settings plus what the platform sets: all that the handler will see, but for its port and ids.
pub(super) fn environment(options: &HostOptions, front_port: u16) -> Result<Environment> {
    let mut environment = options.environment.clone();
    if options.local_settings {
        super::settings::add_local_settings(&options.app_root, &mut environment)?;
    }
    let mut default = |name: &str, value: &str| {
        let value = value.to_owned();
        environment.entry(name.to_owned()).or_insert(value);
    };
    default("PATH", &ambient::search_path());
    default("FUNCTIONS_WORKER_RUNTIME", "custom");
    match options.platform {
        Platform::CoreTools => {
            let root = std::path::absolute(&options.app_root)?;
            default("AZURE_FUNCTIONS_ENVIRONMENT", "Development");
            default("FUNCTIONS_CORETOOLS_ENVIRONMENT", "true");
            default("WEBSITE_HOSTNAME", &format!("localhost:{front_port}"));
            default("AzureWebJobsScriptRoot", &root.to_string_lossy());
        }
        Platform::Azure => {
            default("AZURE_FUNCTIONS_ENVIRONMENT", "Production");
            default("FUNCTIONS_EXTENSION_VERSION", "~4");
            default("WEBSITE_SITE_NAME", "simulated-function-app");
            default("WEBSITE_HOSTNAME", "simulated-function-app.azurewebsites.net");
            default("WEBSITE_INSTANCE_ID", "simulated-instance");
            default("WEBSITE_SKU", "FlexConsumption");
            default("REGION_NAME", "Simulated Region");
        }
    }
    Ok(environment)
}

/// A handler that runs.
pub(super) struct Handler {
    pub(super) child: Child,
    pub(super) pid: u32,
    readers: JoinSet<()>,
}

/// How long the pipes of a dead handler are read on, should somebody else hold their other ends.
const LAST_LINES: Duration = Duration::from_secs(1);

impl Handler {
    /// Waits until all that the dead handler printed is in the console.
    pub(super) async fn last_lines(&mut self) {
        let read = async { while self.readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_LINES, read).await;
    }
}

/// Starts a handler and the readers of its pipes.
pub(super) fn spawn(app: &App, environment: &Environment, port: u16, console: &Console, stdout_closed: &watch::Receiver<bool>) -> Result<Handler> {
    let mut environment = environment.clone();
    let worker_id = Uuid::new_v4().to_string();
    for name in ["FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_HTTPWORKER_PORT"] {
        environment.insert(name.to_owned(), port.to_string());
    }
    for name in ["FUNCTIONS_CUSTOMHANDLER_WORKER_ID", "FUNCTIONS_HTTPWORKER_ID"] {
        environment.insert(name.to_owned(), worker_id.clone());
    }
    let root = app.root.to_string_lossy().into_owned();
    environment.insert("FUNCTIONS_APP_ROOT_PATH".to_owned(), root);

    let executable = expand(&app.executable, &environment, Unknown::Kept);
    let mut child = Command::new(&executable)
        .args(arguments(&app.arguments, &environment))
        .current_dir(&app.working_directory)
        .env_clear()
        .envs(&environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("the handler `{executable}` could not be started"))?;
    let pid = child.id().context("the handler has no process id")?;
    let mut readers = JoinSet::new();
    if let Some(pipe) = child.stdout.take()
        && !*stdout_closed.borrow()
    {
        let closed = stdout_closed.clone();
        readers.spawn(console.clone().read(pid, Stream::Stdout, pipe, closed));
    }
    if let Some(pipe) = child.stderr.take() {
        let closed = stdout_closed.clone();
        readers.spawn(console.clone().read(pid, Stream::Stderr, pipe, closed));
    }
    Ok(Handler { child, pid, readers })
}

/// The host joins arguments as raw text: one with a blank in it is split, unless it is in double quotes.
fn arguments(raw: &[String], environment: &Environment) -> Vec<String> {
    let line = expand(&raw.join(" "), environment, Unknown::Removed);
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                current.get_or_insert_default();
            }
            blank if blank.is_whitespace() && !quoted => arguments.extend(current.take()),
            other => current.get_or_insert_default().push(other),
        }
    }
    arguments.extend(current);
    arguments
}

/// `GET /` as the host sends it: no header but `Host`, no body.
pub(super) fn bare_get(port: u16) -> Request {
    Request { method: "GET".to_owned(), target: "/".to_owned(), headers: vec![("Host".to_owned(), format!("127.0.0.1:{port}"))], body: None }
}

/// Waits for any answer to `GET /`; false if the budget is spent first.
pub(super) async fn ready(pool: &Pool, port: u16, budget: Duration) -> bool {
    let begun = Instant::now();
    let polls = async {
        // Only a refused connection is polled again: any other outcome counts as ready.
        while let Err(Lost::Refused(_)) = pool.exchange(&bare_get(port)).await {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout_at(begun + budget, polls).await.is_ok()
}

/// SIGINT to one process that this host has started and not yet reaped.
#[cfg(unix)]
pub(super) fn interrupt(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself, which is what was wanted.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
}

/// Without signals there is no Ctrl+C to pass on.
#[cfg(not(unix))]
pub(super) fn interrupt(_child: &Child) {}

/// `func start` stops without storage when there is a function that is not HTTP.
pub(super) fn demand_storage(environment: &Environment) -> Result<()> {
    let present = lookup(environment, "AzureWebJobsStorage").is_some()
        || environment.keys().any(|name| name.to_ascii_lowercase().starts_with("azurewebjobsstorage__"));
    anyhow::ensure!(present, "Missing value for AzureWebJobsStorage. It is required for all triggers other than httpTrigger.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_raw_text() {
        let environment = Environment::from([("PORT".to_owned(), "8080".to_owned())]);
        let raw = ["--port %PORT%", "%GONE%", "\"a b\"", "c d"].map(str::to_owned);
        assert_eq!(arguments(&raw, &environment), ["--port", "8080", "a b", "c", "d"]);
    }
}
