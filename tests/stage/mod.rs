//! One simulated Exact Online, one store, and the real binary over both.

#![allow(dead_code, reason = "each test target uses its own part of this")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use simulators::exact_online::{Config, ExactOnline, Outcome, system_clock};
use simulators::functions_host::{EventKind, FunctionsHost, HostOptions, Keys};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

pub(crate) mod shifted_clock;

use shifted_clock::ClockFile;

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_exact-token-broker");

/// No test waits this long for anything unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(80);

/// What every process of one test shares.
pub(crate) struct Stage {
    pub(crate) exact: ExactOnline,
    /// The environment of every process that is started from now on.
    pub(crate) settings: BTreeMap<String, String>,
    folder: TempDir,
    exact_is_ahead: Arc<AtomicI64>,
}

impl Stage {
    /// With an Exact Online that behaves as the live one most likely does.
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// With another Exact Online.
    pub(crate) async fn with(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let exact_is_ahead = Arc::new(AtomicI64::new(0));
        let (real, ahead) = (system_clock(), Arc::clone(&exact_is_ahead));
        let clock = Arc::new(move || real() + SignedDuration::from_secs(ahead.load(Ordering::SeqCst)));
        let (id, secret) = (config.client_id.clone(), config.client_secret.clone());
        let exact = ExactOnline::start(config, clock).await.unwrap();
        let mut stage = Self { exact, settings: BTreeMap::new(), folder, exact_is_ahead };
        let (url, file) = (stage.exact.base_url(), stage.token_file());
        stage.set("EXACT_BASE_URL", &url);
        stage.set("EXACT_CLIENT_ID", &id);
        stage.set("EXACT_CLIENT_SECRET", &secret);
        stage.set("TOKEN_FILE", file.to_str().unwrap());
        // The embedded store is for development; the requests are framed as in Azure all the same.
        stage.set("FUNCTIONS_CORETOOLS_ENVIRONMENT", "true");
        stage
    }

    /// With a chain that is imported already, over the command line as a person would.
    pub(crate) async fn connected() -> Self {
        let stage = Self::start().await;
        stage.import().await;
        stage
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("token.json")
    }

    /// From here on, processes that are started and the simulated Exact Online have clocks that are so many seconds ahead.
    pub(crate) fn set_clocks(&mut self, seconds: i64) {
        self.set_clock_of_processes(seconds);
        self.set_clock_of_exact(seconds);
    }

    /// The same for processes alone: their clock is wrong.
    pub(crate) fn set_clock_of_processes(&mut self, seconds: i64) {
        self.settings.retain(|name, _| !shifted_clock::NAMES.contains(&name.as_str()));
        if seconds != 0 {
            self.settings.extend(ClockFile::new(self.folder.path(), seconds).environment());
        }
    }

    /// The clock of the simulated Exact Online.
    pub(crate) fn clock(&self) -> simulators::exact_online::Clock {
        let (real, ahead) = (system_clock(), Arc::clone(&self.exact_is_ahead));
        Arc::new(move || real() + SignedDuration::from_secs(ahead.load(Ordering::SeqCst)))
    }

    /// The same for the simulated Exact Online alone.
    pub(crate) fn set_clock_of_exact(&self, seconds: i64) {
        self.exact_is_ahead.store(seconds, Ordering::SeqCst);
    }

    /// `doctor --json` in a folder like that of the published app: the exit code's word, and each check by its name.
    pub(crate) async fn doctor(&self) -> (bool, BTreeMap<String, Value>) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(root.join("host.json"), self.folder().join("host.json")).unwrap();
        for entry in std::fs::read_dir(root).unwrap() {
            let function = entry.unwrap().path().join("function.json");
            if function.is_file() {
                let to = self.folder().join(function.strip_prefix(root).unwrap());
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(function, to).unwrap();
            }
        }
        let ran = self.run(&["doctor", "--json"]).await;
        let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!((&report["version"], &report["healthy"]), (&1.into(), &ran.success.into()), "{report}");
        let checks = report["checks"].as_array().unwrap().iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check.clone()));
        (ran.success, checks.collect())
    }

    /// Imports the refresh token of a new chain.
    pub(crate) async fn import(&self) {
        let token = self.exact.issue_chain();
        let done = self.run_with(&["import", "--replace"], &token).await;
        assert!(done.success, "{done:?}");
    }

    /// A host that starts the real binary in the folder of the real `host.json`.
    pub(crate) fn options(&self) -> HostOptions {
        let mut options = HostOptions::new(Path::new(env!("CARGO_MANIFEST_DIR")));
        options.executable = Some(BINARY.into());
        options.environment.clone_from(&self.settings);
        options
    }

    /// The same, running.
    pub(crate) async fn host(&self) -> FunctionsHost {
        FunctionsHost::start(self.options()).await.unwrap()
    }

    /// What a handler hands out that is killed as soon as it has answered.
    pub(crate) async fn granted(&self) -> String {
        get_token(&self.host().await, "").await.token()
    }

    /// The binary with arguments, as from a shell.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    /// What [`run`](Self::run) runs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().envs(&self.settings).current_dir(self.folder()).kill_on_drop(true);
        command
    }

    /// The same, with something on standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let wrote = async move { drop(stdin.write_all(input.as_bytes()).await) };
        let ended = async { tokio::join!(wrote, child.wait_with_output()).1.unwrap() };
        let output = tokio::time::timeout(PATIENCE, ended).await.unwrap_or_else(|_| panic!("{arguments:?} did not end"));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { success: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// `status --json`.
    pub(crate) async fn status(&self) -> Value {
        let ran = self.run(&["status", "--json"]).await;
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// What became of each token request so far.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        self.exact.log().iter().map(|logged| logged.outcome).collect()
    }

    /// Asserts that so many token requests were made, and none that a correct client would not make.
    pub(crate) fn assert_requests(&self, expected: usize) {
        assert_eq!(self.exact.log().len(), expected, "{:?}", self.outcomes());
        assert_eq!(self.exact.violations(), []);
    }

    /// Waits until so many token requests have arrived.
    pub(crate) async fn until_requests(&self, count: usize) {
        until("token requests", || self.exact.log().len() >= count).await;
    }
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What a caller of the front end got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The access token of a 200.
    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Asserts that it is an error of the documented form, and gives its description.
    pub(crate) fn error(&self, status: u16, error: &str) -> String {
        let json = self.json();
        assert_eq!((self.status, json["error"].as_str()), (status, Some(error)), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("content-type"), Some("application/json"));
        let retry_after = json.get("retry_after").map(|seconds| seconds.as_u64().unwrap().to_string());
        assert_eq!(self.header("retry-after"), retry_after.as_deref(), "{self:?}");
        assert_eq!(retry_after.is_some(), status == 503, "{self:?}");
        json["error_description"].as_str().filter(|text| !text.is_empty()).unwrap().to_owned()
    }
}

/// `GET /api/GetToken` through the front end, with its key; `query` as `?min_validity=60`, or empty.
pub(crate) async fn get_token(host: &FunctionsHost, query: &str) -> Answer {
    get_token_with(host, query, &[]).await
}

/// The same with more headers, or another key.
pub(crate) async fn get_token_with(host: &FunctionsHost, query: &str, headers: &[(&str, &str)]) -> Answer {
    get_with(host, &format!("/api/GetToken{query}"), headers).await
}

/// `GET` of a path through the front end.
pub(crate) async fn get_with(host: &FunctionsHost, target: &str, headers: &[(&str, &str)]) -> Answer {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let mut request = client.get(format!("{}{target}", host.url()));
    if !headers.iter().any(|(name, _)| *name == "x-functions-key") {
        request = request.header("x-functions-key", Keys::default().function);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    Answer { status: response.status().as_u16(), headers, body: response.text().await.unwrap() }
}

/// Waits for something that is bound to happen.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// How the host's handlers have ended so far, crashes and all.
pub(crate) fn exits(host: &FunctionsHost) -> Vec<String> {
    let how = |event: simulators::functions_host::Event| match event.kind {
        EventKind::HandlerExited { how, .. } => Some(how),
        _ => None,
    };
    host.events().into_iter().filter_map(how).collect()
}

/// The names of the checks that came out so.
pub(crate) fn with_verdict<'a>(checks: &'a BTreeMap<String, Value>, verdict: &str) -> Vec<&'a str> {
    checks.iter().filter(|(_, check)| check["verdict"] == verdict).map(|(name, _)| name.as_str()).collect()
}
