//! A real blob service for one test.

use std::sync::Arc;

use azure_core::http::{ClientOptions, RetryOptions, Transport, Url};
use azure_storage_blob::{BlobClient, BlobClientOptions, BlobContainerClient, BlobContainerClientOptions};
use exact_token_broker::azure::blob_ledger::CONTAINER;
use exact_token_broker::azure::shared_key::SharedKey;
use exact_token_broker::azure::{Access, AccountKey, BlobLedger, StorageSettings};
use exact_token_broker::clock::SystemClock;
use exact_token_broker::http;
use exact_token_broker::ports::{Clock, Etag, LedgerStore, LockOwner};
use exact_token_broker::token::Secret;
use simulators::emulators;

use crate::ledger_contract::{first_ledger, owner};
use crate::wire::Wire;

pub(crate) const ACCOUNT: &str = emulators::Azurite::ACCOUNT;
pub(crate) const KEY: &str = emulators::Azurite::KEY;
pub(crate) const VAULT: &str = "made-up.vault.azure.net";

pub(crate) struct Azurite {
    process: emulators::Azurite,
    /// With the account as path.
    pub(crate) endpoint: Url,
}

impl Azurite {
    pub(crate) fn start() -> Self {
        Self::start_with(&["--blobPort", "0"])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let process = emulators::Azurite::start_with(arguments, &[]);
        let endpoint = Url::parse(process.endpoint()).unwrap();
        Self { process, endpoint }
    }

    pub(crate) fn stop(&mut self) {
        self.process.stop();
    }

    pub(crate) fn connection_string(&self) -> String {
        self.process.connection_string()
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

pub(crate) fn settings(connection_string: &str) -> StorageSettings {
    let lookup = |name: &str| (name == "AzureWebJobsStorage").then(|| connection_string.to_owned());
    StorageSettings::read(lookup).unwrap().unwrap()
}

pub(crate) fn ledger(settings: &StorageSettings, wire: &Arc<Wire>, clock: Arc<dyn Clock>, secret: &str) -> BlobLedger {
    BlobLedger::new(settings, None, &Transport::new(Arc::clone(wire) as _), clock, VAULT, secret).unwrap()
}

/// The first ledger is written, and its writer has the lock.
pub(crate) async fn held(ledger: &BlobLedger) -> (LockOwner, Etag) {
    let me = owner();
    ledger.lock(&me).await.unwrap();
    let etag = ledger.write(&me, &first_ledger(), None).await.unwrap();
    (me, etag)
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// A key that opens nothing.
pub(crate) fn wrong_key() -> AccountKey {
    AccountKey::new(ACCOUNT, &Secret::new("bWFkZS11cC1jYW5hcnkta2V5LW1hZGUtdXAtY2FuYXJ5LWtleQ==")).unwrap()
}
