//! What an experiment must not run on: the chain that the settings' own store holds. Reads, and never writes.

use crate::ports::{LedgerStore, Vault};
use crate::token::{Fingerprint, Secret};

/// What the store of the settings holds.
#[derive(Debug, Default)]
pub struct Stored {
    clients: Vec<String>,
    tokens: Vec<Fingerprint>,
}

/// Why nothing is begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Exact keeps one chain per app and user.
    #[error(
        "the store of these settings holds a chain of the app in EXACT_CLIENT_ID, and Exact keeps one chain per app and user. Register an app for this \
         experiment alone, put its client id and secret into a local.settings.json in an empty folder, and begin there"
    )]
    StoredApp,
    /// By its fingerprint.
    #[error("that is a refresh token of the chain that the store of these settings holds; take one of a chain that nobody needs")]
    StoredToken,
    /// It could not be looked at.
    #[error("what the store of these settings holds could not be read, so nothing is begun that could end it: {0}")]
    Unreadable(String),
}

impl Stored {
    /// Reads ledger and versions. Of many versions those that the ledger names, or without a ledger the latest.
    pub async fn read(ledger: &dyn LedgerStore, vault: &dyn Vault) -> Result<Self, Refused> {
        let unreadable = |error: &dyn std::error::Error| Refused::Unreadable(error.to_string());
        let mut stored = Self::default();
        let named = match ledger.read().await.map_err(|error| unreadable(&error))? {
            Some(snapshot) => {
                let ledger = snapshot.ledger;
                let pointers: Vec<_> = ledger.head.iter().chain(&ledger.candidates).collect();
                stored.tokens.extend(pointers.iter().map(|pointer| pointer.fingerprint));
                stored.tokens.extend(ledger.open.iter().map(|attempt| attempt.fingerprint));
                pointers.first().map(|pointer| pointer.version.clone())
            }
            None => None,
        };
        let version = if named.is_some() {
            named
        } else {
            let versions = vault.list().await.map_err(|error| unreadable(&error))?;
            versions.into_iter().max_by_key(|entry| entry.created).map(|entry| entry.version)
        };
        if let Some(version) = version {
            let credential = vault.get(&version).await.map_err(|error| unreadable(&error))?;
            stored.tokens.push(credential.fingerprint());
            stored.clients.push(credential.chain.client_id);
        }
        Ok(stored)
    }

    /// Whether there is nothing to compare with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.tokens.is_empty()
    }

    /// Before a token is asked for, or a log-in.
    pub fn allows_app(&self, client_id: &str) -> Result<(), Refused> {
        if self.clients.iter().any(|stored| bare(stored).eq_ignore_ascii_case(bare(client_id))) { Err(Refused::StoredApp) } else { Ok(()) }
    }

    /// Before it is sent.
    pub fn allows_token(&self, refresh_token: &Secret) -> Result<(), Refused> {
        if self.tokens.contains(&Fingerprint::of(refresh_token)) { Err(Refused::StoredToken) } else { Ok(()) }
    }
}

/// Exact takes a client id with braces and without.
fn bare(client_id: &str) -> &str {
    client_id.strip_prefix('{').and_then(|id| id.strip_suffix('}')).unwrap_or(client_id)
}
