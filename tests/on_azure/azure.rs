//! What is around the program in Azure, and one clock for all of it.

use std::sync::Arc;

use simulators::emulators::Azurite;
use simulators::exact_online::Config;
use simulators::key_vault::{KeyVault, Operation, Relay, Rules, TestCa, Way};
use simulators::managed_identity::{self, ManagedIdentity};

use crate::stage::Stage;
use crate::stage::shifted_clock::ClockFile;

/// The vault's name, which leads through the relay.
pub(crate) const VAULT: &str = "made-up.vault.azure.net";

/// The world. What it holds ends with it.
pub(crate) struct OnAzure {
    /// Exact Online, and the environment of the program's processes.
    pub(crate) stage: Stage,
    pub(crate) azurite: Azurite,
    pub(crate) vault: KeyVault,
    pub(crate) identity: ManagedIdentity,
    pub(crate) relay: Relay,
    clock: ClockFile,
}

impl OnAzure {
    /// Nothing is stored yet.
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// With another Exact Online.
    pub(crate) async fn with(exact: Config) -> Self {
        let mut stage = Stage::with(exact).await;
        let clock = ClockFile::new(stage.folder());
        let azurite = Azurite::start_with(&["--blobPort", "0"], &clock.environment());
        let identity = ManagedIdentity::start(managed_identity::Rules::default(), stage.clock()).await.unwrap();
        let ca = TestCa::new();
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
        stage.set("AzureWebJobsStorage", &azurite.connection_string());
        stage.set("IDENTITY_ENDPOINT", &identity.endpoint());
        stage.set("IDENTITY_HEADER", managed_identity::Rules::header());
        stage.set("HTTPS_PROXY", &relay.url());
        stage.set("SSL_CERT_FILE", ca_file.to_str().unwrap());
        stage.settings.extend(clock.environment());
        Self { stage, azurite, vault, identity, relay, clock }
    }

    /// With a chain that is imported already.
    pub(crate) async fn connected() -> Self {
        let world = Self::start().await;
        world.stage.import().await;
        world
    }

    /// Moves every clock, under processes that are running: this many seconds ahead of the machine's. Only forward.
    pub(crate) fn set_clocks(&self, seconds: i64) {
        self.clock.set(seconds);
        self.stage.set_clock_of_exact(seconds);
        self.wait_for(&self.azurite);
    }

    /// Waits until a blob service has noticed that its clock was moved.
    pub(crate) fn wait_for(&self, azurite: &Azurite) {
        azurite.wait_for_date((self.stage.clock())());
    }

    /// From now on the vault's name leads nowhere, or there again.
    pub(crate) fn vault_is_reachable(&self, reachable: bool) {
        self.relay.lead(VAULT, if reachable { Way::To(self.vault.address()) } else { Way::Refused });
    }

    /// For the environment of another process that is to have the same clock.
    pub(crate) fn clock_environment(&self) -> Vec<(String, String)> {
        self.clock.environment()
    }

    /// How many versions were added.
    pub(crate) fn versions(&self) -> usize {
        self.vault_requests(0).iter().filter(|(operation, status)| (*operation, *status) == (Operation::Set, 200)).count()
    }

    /// What was asked of the vault from the `n`-th request on, challenges included.
    pub(crate) fn vault_requests(&self, from: usize) -> Vec<(Operation, u16)> {
        self.vault.rules().log()[from..].iter().map(|it| (it.operation, it.status)).collect()
    }
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
