//! What is around the program in Azure, and one clock for all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use simulators::emulators::Azurite;
use simulators::exact_online::Config;
use simulators::functions_host::FunctionsHost;
use simulators::key_vault::{KeyVault, Operation, Relay, Rules, TestCa, Way};
use simulators::managed_identity::{self, ManagedIdentity};

use crate::stage::shifted_clock::ClockFile;
use crate::stage::{PATIENCE, Stage, until};
use crate::storage::Storage;

/// The vault's name, which leads through the relay.
pub(crate) const VAULT: &str = "made-up.vault.azure.net";
/// The secret's name.
pub(crate) const SECRET: &str = "exact-online-token";

/// The world. What it holds ends with it.
pub(crate) struct OnAzure {
    /// Exact Online, and the environment of the program's processes.
    pub(crate) stage: Stage,
    pub(crate) azurite: Azurite,
    pub(crate) vault: KeyVault,
    pub(crate) identity: ManagedIdentity,
    pub(crate) relay: Relay,
    ca: TestCa,
    clock: ClockFile,
    ahead: AtomicI64,
    marks: AtomicU32,
}

impl OnAzure {
    /// Nothing is stored yet.
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// With another Exact Online.
    pub(crate) async fn with(exact: Config) -> Self {
        Self::open(exact, Storage::ConnectionString).await
    }

    /// With the app's storage opened another way.
    pub(crate) async fn open(exact: Config, storage: Storage) -> Self {
        let mut stage = Stage::with(exact).await;
        let clock = ClockFile::new(stage.folder(), 0);
        let ca = TestCa::new();
        let azurite = storage.open(&mut stage, &clock.environment(), &ca);
        let identity = ManagedIdentity::start(managed_identity::Rules::default(), stage.clock()).await.unwrap();
        let ca_file = stage.folder().join("ca.pem");
        std::fs::write(&ca_file, ca.pem()).unwrap();
        let vault = KeyVault::start(Rules::default(), &ca, Arc::clone(&identity.shared()), stage.clock()).await.unwrap();
        let relay = Relay::start().await.unwrap();
        relay.lead(VAULT, Way::To(vault.address()));
        for name in ["TOKEN_FILE", "FUNCTIONS_CORETOOLS_ENVIRONMENT"] {
            stage.settings.remove(name);
        }
        stage.set("WEBSITE_SITE_NAME", "made-up");
        stage.set("KEY_VAULT_URL", &format!("https://{VAULT}"));
        stage.set("IDENTITY_ENDPOINT", &identity.endpoint());
        stage.set("IDENTITY_HEADER", managed_identity::Rules::header());
        stage.set("HTTPS_PROXY", &relay.url());
        stage.set("SSL_CERT_FILE", ca_file.to_str().unwrap());
        stage.settings.extend(clock.environment());
        Self { stage, azurite, vault, identity, relay, ca, clock, ahead: AtomicI64::new(0), marks: AtomicU32::new(0) }
    }

    /// With a chain that is imported already.
    pub(crate) async fn connected() -> Self {
        Self::connected_to(Config::default()).await
    }

    /// The same with another Exact Online.
    pub(crate) async fn connected_to(exact: Config) -> Self {
        let world = Self::with(exact).await;
        world.stage.import().await;
        world
    }

    /// So many processes of the program, each under a host of its own.
    pub(crate) async fn hosts(&self, count: usize) -> Vec<Arc<FunctionsHost>> {
        let mut hosts = Vec::new();
        for _ in 0..count {
            hosts.push(Arc::new(self.stage.host().await));
        }
        hosts
    }

    /// Moves every clock, under processes that are running: this many seconds ahead of the machine's. Only forward.
    pub(crate) fn set_clocks(&self, seconds: i64) {
        let before = self.ahead.swap(seconds, Ordering::SeqCst);
        assert!(before <= seconds, "a clock that goes back is another test's business");
        self.clock.set(seconds);
        self.stage.set_clock_of_exact(seconds);
    }

    /// Lets so many seconds more pass for everybody.
    pub(crate) fn pass_time(&self, seconds: i64) {
        self.set_clocks(self.ahead.load(Ordering::SeqCst) + seconds);
    }

    /// From now on the vault's name leads nowhere, or there again.
    pub(crate) fn vault_is_reachable(&self, reachable: bool) {
        self.relay.lead(VAULT, if reachable { Way::To(self.vault.address()) } else { Way::Refused });
    }

    /// For the environment of another process that is to have the same clock.
    pub(crate) fn clock_environment(&self) -> Vec<(String, String)> {
        self.clock.environment()
    }

    /// What was asked of the vault from the `n`-th request on, challenges included.
    pub(crate) fn vault_requests(&self, from: usize) -> Vec<(Operation, u16)> {
        self.vault.rules().log()[from..].iter().map(|it| (it.operation, it.status)).collect()
    }

    /// How many versions of the secret have landed.
    pub(crate) fn versions(&self) -> usize {
        self.vault.rules().versions(SECRET).len()
    }

    /// What was asked of the blob service and answered before this call: `GET ledger 206`, `PUT lease 201`. A lease is taken with 201, and renewed or
    /// given back with 200.
    pub(crate) async fn storage_requests(&self) -> Vec<String> {
        let mark = format!("/mark-{}", self.marks.fetch_add(1, Ordering::SeqCst));
        let trusted = reqwest::Certificate::from_pem(self.ca.pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().timeout(PATIENCE).build().unwrap();
        // The log is in the order of the answers: once this one, which is refused, is in it, so are all before it.
        client.get(format!("{}{mark}", self.azurite.endpoint())).send().await.unwrap();
        let is_mark = |line: &String| line.contains(&format!("{mark} "));
        until("the blob service's own log", || self.azurite.requests().iter().any(is_mark)).await;
        let before = self.azurite.requests().into_iter().take_while(|line| !is_mark(line));
        before.filter(|line| !line.contains("/mark-")).map(|line| in_short(&line)).collect()
    }
}

/// Without the path, of which there is only one of each kind.
fn in_short(line: &str) -> String {
    let [method, target, status] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let what = match (path.rsplit('/').next().unwrap(), query) {
        (blob, "") if blob == format!("{SECRET}.json") => "ledger",
        (blob, "comp=lease") if blob == format!("{SECRET}.json") => "lease",
        ("exact-token-broker", "restype=container") => "container",
        _ => panic!("{line}"),
    };
    format!("{method} {what} {status}")
}

impl Drop for OnAzure {
    /// Nothing was sent that the real services refuse, nothing was deleted, and "latest" was never asked for.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let rules = self.vault.rules();
        assert_eq!(rules.violations(), []);
        assert_eq!(self.identity.rules().violations(), []);
        for logged in rules.log() {
            let known = [Operation::Set, Operation::Get, Operation::ListVersions, Operation::Update];
            assert!(known.contains(&logged.operation), "{logged:?}");
        }
    }
}
