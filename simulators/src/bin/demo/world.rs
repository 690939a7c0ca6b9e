//! Everything around the program, and the program itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::net::TcpListener;

use simulators::exact_online::{Config, ExactOnline, system_clock};
use simulators::functions_host::{ExitZero, FunctionsHost, HostOptions, Platform, Timers};

use super::narrator::Narrator;
use super::product;

/// Exact's 600 s, scaled. Its gate stays as it is, 30 s before the end.
const TOKENS_LIVE: Duration = Duration::from_mins(1);
/// A little less than the 30 s after which Exact grants again, as 9 minutes are a little less than 570 s: so ticks are seen to hold.
const TICKS: Duration = Duration::from_secs(27);
/// A person who presses Ctrl+C does not wait for a tick that holds.
const DRAIN: Duration = Duration::from_secs(1);

pub(super) struct World {
    pub(super) exact: ExactOnline,
    pub(super) host: FunctionsHost,
    port: u16,
    folder: TempDir,
}

impl World {
    /// Exact Online, the host, and the program as its handler; the timer does not tick yet.
    pub(super) async fn start(binary: &Path, port: u16) -> Result<(Self, Narrator)> {
        let folder = tempfile::Builder::new().prefix("exact-token-broker-demo-").tempdir().context("a temporary folder")?;
        let config = Config { access_token_lifetime: TOKENS_LIVE, ..Config::default() };
        let exact = ExactOnline::start(config.clone(), system_clock()).await.context("the simulated Exact Online")?;
        let file = folder.path().join("exact-online-token.json");
        // Exact sends the browser back there, so it has to be known before the host listens.
        let port = if port == 0 { free_port().await? } else { port };
        let settings = BTreeMap::from(
            [
                ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
                ("EXACT_BASE_URL", &exact.base_url()),
                ("EXACT_CLIENT_ID", &config.client_id),
                ("EXACT_CLIENT_SECRET", &config.client_secret),
                ("EXACT_REDIRECT_URI", &format!("http://localhost:{port}/api/ConsentCallback")),
                ("TOKEN_FILE", &file.to_string_lossy()),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let mut options = HostOptions::new(product::root());
        options.platform = Platform::CoreTools;
        options.environment = settings;
        options.executable = Some(binary.to_owned());
        options.front_port = port;
        options.timers = Timers::Every(TICKS);
        options.drain = DRAIN;
        // Ctrl+C in a terminal reaches the handler too: it is not to be started again then.
        options.exit_zero = ExitZero::StaysDead;
        let host = FunctionsHost::start_unready(options).await.context("the simulated Functions host")?;
        let narrator = Narrator::begin(&host, &exact);
        host.wait_ready().await?;
        Ok((Self { exact, host, port, folder }, narrator))
    }

    /// Where a person connects Exact Online.
    pub(super) fn consent_page(&self) -> String {
        format!("http://localhost:{}/api/Consent", self.port)
    }

    /// Ends the handler, both simulators and the folder.
    pub(super) async fn stop(self) -> Result<()> {
        let stopped = self.host.stop().await;
        drop(self.host);
        self.exact.stop().await;
        self.folder.close().context("the temporary folder could not be removed")?;
        stopped
    }
}

async fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a free port")?;
    Ok(listener.local_addr()?.port())
}
