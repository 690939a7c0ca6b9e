//! The wiring, and the only place of it: which adapters stand behind which port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::Transport;
use reqwest::Url;

use crate::adopt::{AdoptError, Adopted};
use crate::azure::{BlobLedger, KeyVault};
use crate::clock::SystemClock;
use crate::config::{AzureStore, Config, ConfigError, Store};
use crate::consent::{Begun, Callback, Consent, Decision, Failed, Finished, ImportError, Imported, Problem, Waiting};
use crate::doctor::{Doctor, Facts, Report};
use crate::exact_online::ExactOnline;
use crate::functions::UseCases;
use crate::get_token::{Ask, HandedOut, NoToken};
use crate::live::Experiment;
use crate::live::guard::{Refused, Stored};
use crate::local::{self, EmbeddedStore};
use crate::ports::{Clock, ConsentEndpoint, LedgerStore, Vault};
use crate::refresh_token::{Refresher, Tick};
use crate::status::{self, LockHolder, Status};
use crate::token::schedule::Policy;
use crate::token::{ChainIdentity, Fingerprint, Secret};

/// The use cases, wired.
pub struct Broker {
    refresher: Arc<Refresher>,
    consent: Consent,
    place: String,
    form_targets: Vec<String>,
    /// Where it is this program that keeps the lock.
    embedded: Option<EmbeddedStore>,
}

/// What stands behind the two ports of the store.
struct Behind {
    vault: Arc<dyn Vault>,
    ledger: Arc<dyn LedgerStore>,
    place: String,
    embedded: Option<EmbeddedStore>,
}

impl Broker {
    /// Wires what the settings name. Reads and sends nothing yet: the host waits for the first answer, and every upstream may be down.
    pub fn open(config: Config) -> Result<Self, ConfigError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let consent_url = config.consent_url();
        let exact = config.exact;
        let http = crate::http::client(&exact.base_url).map_err(no_certificates)?;
        let Behind { vault, ledger, place, embedded } = behind(config.store, &clock)?;
        let policy = Policy {
            mode: config.mode,
            chain: ChainIdentity { base_url: exact.base_url.clone(), client_id: exact.client_id.clone(), user: None },
            settings: Fingerprint::of_parts(&[&exact.base_url, &exact.client_id, exact.client_secret.reveal()]),
            lock_id: ledger.lock_id(),
        };
        let own = config.redirect_uri.as_deref().and_then(|uri| Url::parse(uri).ok()).map(|uri| uri.origin().ascii_serialization());
        let form_targets = std::iter::once(exact.base_url.clone()).chain(own).collect();
        let endpoint = Arc::new(ExactOnline::new(http, exact.base_url, exact.client_id, exact.client_secret.clone()));
        let refresher = Refresher::new(Arc::clone(&endpoint) as _, vault, ledger, clock, policy).with_consent_at(consent_url);
        let refresher = Arc::new(refresher);
        let consent = Consent::new(Arc::clone(&refresher), endpoint, &exact.client_secret, config.redirect_uri);
        Ok(Self { refresher, consent, place, form_targets, embedded })
    }

    /// One answer to a caller.
    pub async fn get_token(&self, ask: Ask) -> Result<HandedOut, NoToken> {
        self.refresher.get_token(ask).await
    }

    /// Takes over a refresh token from elsewhere.
    pub async fn import(&self, refresh_token: Secret, replace: bool) -> Result<Imported, ImportError> {
        self.refresher.import(refresh_token, replace).await
    }

    /// Tries to store a grant that is not stored yet. Why it still is not, if it is not.
    pub async fn save_unsaved(&self, within: Duration) -> Option<String> {
        self.refresher.save_unsaved(within).await
    }

    /// What a person at a browser or a shell does to begin a chain.
    #[must_use]
    pub fn consent(&self) -> &Consent {
        &self.consent
    }

    /// Takes over a stored pair that was got under another lock.
    pub async fn adopt(&self) -> Result<Adopted, AdoptError> {
        self.refresher.adopt().await
    }

    /// Where the tokens are kept.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What is known of the chain, to a person who waits for it.
    pub async fn status(&self) -> Status {
        self.with_place(Status::of(&self.refresher).await).await
    }

    async fn with_place(&self, mut status: Status) -> Status {
        self.place.clone_into(&mut status.store);
        if let Some(store) = &self.embedded {
            // The file's disk may hang as well as any service.
            let holder = tokio::time::timeout(status::LOOK, store.holder()).await;
            let holder = holder.ok().and_then(Result::ok).flatten();
            status.lock_holder = holder.map(|local::Holder { pid, since }| LockHolder { pid, since });
        }
        status
    }

    /// Waits until nothing is under way that would be lost if the process ended now.
    pub async fn finish(&self) {
        self.refresher.finish().await;
    }
}

/// What is wrong with an installation, and what to do about it. The settings need not be good.
pub async fn doctor(config: Result<Config, ConfigError>, app_root: PathBuf) -> Report {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    match config.and_then(|config| patient(config, app_root.clone(), clock)) {
        Ok(doctor) => doctor.examine().await,
        Err(ConfigError { problems }) => Report::misconfigured(&problems, app_root).await,
    }
}

/// The live checks on one app at Exact, and the store that they must not run on.
pub struct LiveChecks {
    /// What runs.
    pub experiment: Experiment,
    /// As registered, if the settings tell.
    pub redirect_uri: Option<String>,
    /// Where the settings keep tokens.
    pub place: String,
    exact: Arc<ExactOnline>,
    client_id: String,
    vault: Arc<dyn Vault>,
    ledger: Arc<dyn LedgerStore>,
}

impl LiveChecks {
    /// Wires what the settings name. Reads and sends nothing yet.
    pub fn open(config: Config) -> Result<Self, ConfigError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let exact = config.exact;
        let http = crate::http::client(&exact.base_url).map_err(no_certificates)?;
        let Behind { vault, ledger, place, .. } = behind(config.store, &clock)?;
        let client_id = exact.client_id.clone();
        let exact = Arc::new(ExactOnline::new(http, exact.base_url, exact.client_id, exact.client_secret));
        let experiment = Experiment { probe: Arc::clone(&exact) as _, clock };
        Ok(Self { experiment, redirect_uri: config.redirect_uri, place, exact, client_id, vault, ledger })
    }

    /// What the settings' store holds, where the experiment may run beside it.
    pub async fn beside(&self) -> Result<Stored, Refused> {
        let stored = Stored::read(&*self.ledger, &*self.vault).await?;
        stored.allows_app(&self.client_id)?;
        Ok(stored)
    }

    /// Where a person logs in.
    #[must_use]
    pub fn authorize_url(&self, redirect_uri: &str, state: &str) -> String {
        self.exact.authorize_url(redirect_uri, state)
    }
}

fn patient(config: Config, app_root: PathBuf, clock: Arc<dyn Clock>) -> Result<Doctor, ConfigError> {
    let exact = config.exact;
    let http = crate::http::client(&exact.base_url).map_err(no_certificates)?;
    let Behind { vault, ledger, place, embedded } = behind(config.store, &clock)?;
    let facts = Facts {
        app_root,
        base_url: exact.base_url.clone(),
        redirect_uri: config.redirect_uri,
        host: config.host,
        place,
        token_file: embedded.map(|store| store.path().to_owned()),
        remarks: config.remarks,
    };
    let site = Arc::new(ExactOnline::new(http, exact.base_url, exact.client_id, exact.client_secret));
    Ok(Doctor { vault, ledger, site, clock, facts })
}

fn behind(store: Store, clock: &Arc<dyn Clock>) -> Result<Behind, ConfigError> {
    match store {
        Store::Embedded { path } => {
            let store = EmbeddedStore::new(path, Arc::clone(clock));
            let place = store.path().display().to_string();
            Ok(Behind { vault: Arc::new(store.clone()), ledger: Arc::new(store.clone()), place, embedded: Some(store) })
        }
        Store::Azure(store) => azure(*store, clock),
    }
}

/// Key Vault and the ledger blob.
fn azure(store: AzureStore, clock: &Arc<dyn Clock>) -> Result<Behind, ConfigError> {
    let AzureStore { vault, storage, storage_identity } = store;
    let transport = Transport::new(Arc::new(crate::http::azure_client(storage.endpoint.as_str()).map_err(no_certificates)?));
    let host = vault.vault_url.trim_start_matches("https://").to_owned();
    let credentials = storage_identity.map(crate::azure::Identity::credentials);
    let ledger = BlobLedger::new(&storage, credentials, &transport, Arc::clone(clock), &host, &vault.secret_name).map_err(unusable)?;
    let vault = KeyVault::new(vault).map_err(|problem| unusable(problem.to_string()))?;
    let place = format!("{}, ledger {}", vault.place(), ledger.place());
    Ok(Behind { vault: Arc::new(vault), ledger: Arc::new(ledger), place, embedded: None })
}

fn no_certificates(_: reqwest::Error) -> ConfigError {
    unusable("the system's TLS certificates could not be loaded; install the package ca-certificates".to_owned())
}

fn unusable(problem: String) -> ConfigError {
    ConfigError { problems: vec![problem] }
}

#[async_trait]
impl UseCases for Broker {
    async fn tick(&self) -> Tick {
        self.refresher.tick().await
    }

    fn at_hand(&self, ask: Ask) -> Option<HandedOut> {
        self.refresher.at_hand(ask)
    }

    async fn get_token(&self, ask: Ask) -> Result<HandedOut, NoToken> {
        Self::get_token(self, ask).await
    }

    async fn status(&self) -> Status {
        self.with_place(Status::soon(&self.refresher).await).await
    }

    fn consent_url(&self) -> Option<&str> {
        self.refresher.consent_url()
    }

    fn form_targets(&self) -> Vec<String> {
        self.form_targets.clone()
    }

    async fn begin_consent(&self, cookie: Option<Secret>) -> Result<Begun, Problem> {
        self.consent.begin(cookie).await
    }

    async fn begin_again(&self, again: &Secret, cookie: Option<Secret>) -> Result<Begun, Failed> {
        self.consent.begin_again(again, cookie).await
    }

    async fn finish_consent(&self, callback: Callback) -> Result<Finished, Failed> {
        self.consent.finish(callback).await
    }

    async fn decide_consent(&self, waiting: Waiting, decision: Decision) -> Result<Finished, Failed> {
        self.consent.decide(waiting, decision).await
    }
}
