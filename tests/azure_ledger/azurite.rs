//! A real blob service for one test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use azure_core::http::{ClientOptions, RetryOptions, Transport, Url};
use azure_storage_blob::{BlobClient, BlobClientOptions, BlobContainerClient, BlobContainerClientOptions};
use exact_token_broker::azure::blob_ledger::CONTAINER;
use exact_token_broker::azure::shared_key::SharedKey;
use exact_token_broker::azure::{Access, AccountKey, BlobLedger, StorageSettings};
use exact_token_broker::clock::SystemClock;
use exact_token_broker::http;
use exact_token_broker::ports::Clock;
use exact_token_broker::token::Secret;

use crate::wire::Wire;

pub(crate) const ACCOUNT: &str = "devstoreaccount1";
/// Azurite's well-known key: public, and the same everywhere.
pub(crate) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
pub(crate) const VAULT: &str = "made-up.vault.azure.net";

pub(crate) struct Azurite {
    child: Child,
    /// With the account as path.
    pub(crate) endpoint: Url,
    _folder: tempfile::TempDir,
}

impl Azurite {
    pub(crate) fn start() -> Self {
        Self::start_with(&["--blobPort", "0"])
    }

    /// Its port is free for it to choose, so that any number of tests can run beside each other.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = program();
        assert!(
            program.is_file(),
            "{} is missing: install Azurite with `npm install --prefix target/tools azurite@3.37.0`, or name its azurite-blob in AZURITE_BLOB",
            program.display()
        );
        let mut child = Command::new(program)
            .args(["--inMemoryPersistence", "--disableTelemetry"])
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listens = lines.by_ref().map(Result::unwrap).find_map(|line| Some(line.split_once(" successfully listens on ")?.1.to_owned()));
        // A full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let endpoint = Url::parse(&format!("{}/{ACCOUNT}", listens.expect("Azurite ended before it listened"))).unwrap();
        Self { child, endpoint, _folder: folder }
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn connection_string(&self) -> String {
        format!("DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={};", self.endpoint)
    }

    pub(crate) fn settings(&self) -> StorageSettings {
        settings(&self.connection_string())
    }

    /// A ledger whose requests are seen and can be made to fail.
    pub(crate) fn ledger(&self, secret: &str) -> (Arc<BlobLedger>, Arc<Wire>) {
        let wire = Arc::new(Wire::to(http::azure_client(self.endpoint.as_str()).unwrap()));
        (Arc::new(ledger(&self.settings(), &wire, clock(), secret)), wire)
    }

    /// The blob of [`Self::ledger`], past all of our code but the signature.
    pub(crate) fn raw(&self, secret: &str) -> BlobClient {
        let url = format!("{}/{CONTAINER}/{VAULT}/{secret}.json", self.endpoint);
        let options = BlobClientOptions { client_options: self.raw_options(), ..BlobClientOptions::default() };
        BlobClient::new(Url::parse(&url).unwrap(), None, Some(options)).unwrap()
    }

    pub(crate) fn raw_container(&self) -> BlobContainerClient {
        let options = BlobContainerClientOptions { client_options: self.raw_options(), ..BlobContainerClientOptions::default() };
        BlobContainerClient::new(Url::parse(&format!("{}/{CONTAINER}", self.endpoint)).unwrap(), None, Some(options)).unwrap()
    }

    fn raw_options(&self) -> ClientOptions {
        let Access::AccountKey(key) = self.settings().access else { unreachable!() };
        let clock = clock();
        ClientOptions {
            per_try_policies: vec![Arc::new(SharedKey::new(key, move || clock.now()))],
            retry: RetryOptions::none(),
            transport: Some(Transport::new(Arc::new(http::azure_client(self.endpoint.as_str()).unwrap()))),
            ..ClientOptions::default()
        }
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "where a tool of the tests is, is no setting of the program")]
fn program() -> PathBuf {
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node_modules/.bin/azurite-blob");
    std::env::var_os("AZURITE_BLOB").map_or_else(installed, PathBuf::from)
}

pub(crate) fn settings(connection_string: &str) -> StorageSettings {
    let lookup = |name: &str| (name == "AzureWebJobsStorage").then(|| connection_string.to_owned());
    StorageSettings::read(lookup).unwrap().unwrap()
}

pub(crate) fn ledger(settings: &StorageSettings, wire: &Arc<Wire>, clock: Arc<dyn Clock>, secret: &str) -> BlobLedger {
    BlobLedger::new(settings, None, &Transport::new(Arc::clone(wire) as _), clock, VAULT, secret).unwrap()
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// A key that opens nothing.
pub(crate) fn wrong_key() -> AccountKey {
    AccountKey::new(ACCOUNT, &Secret::new("bWFkZS11cC1jYW5hcnkta2V5LW1hZGUtdXAtY2FuYXJ5LWtleQ==")).unwrap()
}
