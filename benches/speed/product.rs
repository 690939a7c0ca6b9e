//! The program with a chain that is connected: a simulated Exact Online, a token file, the environment that the Functions host sets.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::ensure;
use simulators::exact_online::{Config, ExactOnline, system_clock};
use tempfile::TempDir;

/// The shipped binary and what it needs.
pub(crate) struct Product {
    pub(crate) binary: PathBuf,
    exact: ExactOnline,
    folder: TempDir,
}

impl Product {
    /// With a refresh token that was imported and not yet spent.
    pub(crate) async fn connected(binary: PathBuf) -> anyhow::Result<Self> {
        let exact = ExactOnline::start(Config::default(), system_clock()).await?;
        let product = Self { binary, exact, folder: tempfile::tempdir()? };
        let mut import = product.command();
        import.arg("import").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut import = import.spawn()?;
        let token = product.exact.issue_chain();
        // Taken, so that it is closed at the end of the line.
        import.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(token.as_bytes()))?;
        let status = import.wait()?;
        ensure!(status.success(), "import: {status}");
        Ok(product)
    }

    /// Serving on a port, with the token file.
    pub(crate) fn serving(&self, port: u16) -> Command {
        let mut command = self.command();
        command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string());
        command
    }

    /// The same with what is wired in Azure: vault, storage and managed identity, which cost more to prepare. Nothing of it is there, nor asked for
    /// anything before the first invocation; and nothing leaves this machine.
    pub(crate) fn serving_in_azure(&self, port: u16) -> Command {
        let mut command = self.serving(port);
        command.env("EXACT_BASE_URL", "https://start.exactonline.nl").env("KEY_VAULT_URL", "https://made-up.vault.azure.net");
        command.env("AzureWebJobsStorage__accountName", "madeup").env("WEBSITE_SITE_NAME", "made-up");
        command.env("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token").env("IDENTITY_HEADER", "made-up");
        command.env("HTTPS_PROXY", "http://127.0.0.1:1");
        command
    }

    /// How many token requests were made. Calls that are timed make none.
    pub(crate) fn requests(&self) -> usize {
        self.exact.log().len()
    }

    fn command(&self) -> Command {
        let config = Config::default();
        let mut command = Command::new(&self.binary);
        command.env_clear().current_dir(self.folder.path());
        command.env("EXACT_BASE_URL", self.exact.base_url());
        command.env("EXACT_CLIENT_ID", config.client_id).env("EXACT_CLIENT_SECRET", config.client_secret);
        command.env("TOKEN_FILE", self.folder.path().join("token.json"));
        command
    }
}
