//! The wiring, and the only place of it: which adapters stand behind which port.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::SystemClock;
use crate::config::{Config, ConfigError, Store};
use crate::consent::{ImportError, Imported};
use crate::exact_online::ExactOnline;
use crate::functions::UseCases;
use crate::get_token::{Ask, HandedOut, NoToken};
use crate::local::{self, EmbeddedStore};
use crate::ports::{Clock, LedgerStore};
use crate::refresh_token::{Refresher, Tick};
use crate::status::Status;
use crate::token::schedule::Policy;
use crate::token::{ChainIdentity, Fingerprint, Secret};

/// The use cases, wired.
pub struct Broker {
    refresher: Arc<Refresher>,
    store: EmbeddedStore,
}

impl Broker {
    /// Wires what the settings name. Reads and sends nothing yet: the host waits for the first answer, and every upstream may be down.
    pub fn open(config: Config) -> Result<Self, ConfigError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let exact = config.exact;
        let http = crate::http::client(&exact.base_url).map_err(|_| ConfigError {
            problems: vec!["the system's TLS certificates could not be loaded; install the package ca-certificates".to_owned()],
        })?;
        let Store::Embedded { path } = config.store;
        let store = EmbeddedStore::new(path, Arc::clone(&clock));
        let policy = Policy {
            mode: config.mode,
            chain: ChainIdentity { base_url: exact.base_url.clone(), client_id: exact.client_id.clone(), user: None },
            settings: Fingerprint::of_parts(&[&exact.base_url, &exact.client_id, exact.client_secret.reveal()]),
            lock_id: store.lock_id(),
        };
        let endpoint = ExactOnline::new(http, exact.base_url, exact.client_id, exact.client_secret);
        let refresher = Refresher::new(Arc::new(endpoint), Arc::new(store.clone()), Arc::new(store.clone()), clock, policy);
        Ok(Self { refresher: Arc::new(refresher), store })
    }

    /// One answer to a caller.
    pub async fn get_token(&self, ask: Ask) -> Result<HandedOut, NoToken> {
        self.refresher.get_token(ask).await
    }

    /// Takes over a refresh token from elsewhere.
    pub async fn import(&self, refresh_token: Secret, replace: bool) -> Result<Imported, ImportError> {
        self.refresher.import(refresh_token, replace).await
    }

    /// Where the tokens are kept.
    #[must_use]
    pub fn file(&self) -> &std::path::Path {
        self.store.path()
    }

    /// What is known of the chain.
    pub async fn status(&self) -> Status {
        let mut status = Status::of(&self.refresher).await;
        status.store = self.file().display().to_string();
        status.lock_holder = self.store.holder().await.ok().flatten().map(|local::Holder { pid, since }| crate::status::LockHolder { pid, since });
        status
    }

    /// Waits until nothing is under way that would be lost if the process ended now.
    pub async fn finish(&self) {
        self.refresher.finish().await;
    }
}

#[async_trait]
impl UseCases for Broker {
    async fn tick(&self) -> Tick {
        self.refresher.tick().await
    }

    async fn get_token(&self, ask: Ask) -> Result<HandedOut, NoToken> {
        Self::get_token(self, ask).await
    }
}
