//! The program as it is wired in Azure, with a chain that is connected: a simulated Exact Online, Key Vault and managed identity, Azurite for the blob.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use simulators::emulators::Azurite;
use simulators::exact_online::{Config, ExactOnline, system_clock};
use simulators::key_vault::{self, KeyVault, Relay, TestCa, Way};
use simulators::managed_identity::{self, ManagedIdentity};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

/// The vault's name, which leads through the relay.
const VAULT: &str = "made-up.vault.azure.net";
/// Where Debian keeps the certificates that it trusts. To read all of them is part of the start, and to keep them part of the memory.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The shipped binary and what is around it.
pub(crate) struct Product {
    pub(crate) binary: PathBuf,
    exact: ExactOnline,
    identity: ManagedIdentity,
    _vault: KeyVault,
    relay: Relay,
    azurite: Azurite,
    folder: TempDir,
}

impl Product {
    /// With a refresh token that was imported and not yet spent.
    pub(crate) async fn connected(binary: PathBuf) -> anyhow::Result<Self> {
        let (clock, ca, folder) = (system_clock(), TestCa::new(), tempfile::tempdir()?);
        let exact = ExactOnline::start(Config::default(), clock.clone()).await?;
        let identity = ManagedIdentity::start(managed_identity::Rules::default(), clock.clone()).await?;
        let vault = KeyVault::start(key_vault::Rules::default(), &ca, identity.shared(), clock).await?;
        let relay = Relay::start().await?;
        relay.lead(VAULT, Way::To(vault.address()));
        let trusted = std::fs::read_to_string(SYSTEM_CERTIFICATES).context(SYSTEM_CERTIFICATES)?;
        std::fs::write(folder.path().join("trusted.pem"), format!("{trusted}\n{}", ca.pem()))?;
        let product = Self { binary, exact, identity, _vault: vault, relay, azurite: Azurite::start(), folder };
        product.import().await?;
        Ok(product)
    }

    /// Serving on a port.
    pub(crate) fn serving(&self, port: u16) -> Command {
        let mut command = self.command();
        command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string());
        command
    }

    /// How many token requests were made. Calls that are timed make none.
    pub(crate) fn requests(&self) -> usize {
        self.exact.log().len()
    }

    async fn import(&self) -> anyhow::Result<()> {
        let mut import = tokio::process::Command::from(self.command());
        let mut import = import.arg("import").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let mut stdin = import.stdin.take().context("no standard input")?;
        stdin.write_all(self.exact.issue_chain().as_bytes()).await?;
        drop(stdin);
        let status = import.wait().await?;
        ensure!(status.success(), "import: {status}");
        Ok(())
    }

    fn command(&self) -> Command {
        let config = Config::default();
        let mut command = Command::new(&self.binary);
        command.env_clear().current_dir(self.folder.path()).env("WEBSITE_SITE_NAME", "made-up");
        command.env("EXACT_BASE_URL", self.exact.base_url());
        command.env("EXACT_CLIENT_ID", config.client_id).env("EXACT_CLIENT_SECRET", config.client_secret);
        command.env("KEY_VAULT_URL", format!("https://{VAULT}")).env("HTTPS_PROXY", self.relay.url());
        command.env("SSL_CERT_FILE", self.folder.path().join("trusted.pem"));
        command.env("IDENTITY_ENDPOINT", self.identity.endpoint()).env("IDENTITY_HEADER", managed_identity::Rules::header());
        command.env("AzureWebJobsStorage", self.azurite.connection_string());
        command
    }
}
