//! The vault as one life meets it.

use async_trait::async_trait;
use exact_token_broker::ports::{Vault, VaultError, VersionEntry};
use exact_token_broker::token::{Credential, VersionId};
use jiff::Timestamp;

use super::Doubles;
use crate::world::VaultIs;

fn away() -> VaultError {
    VaultError::Unavailable("made up".to_owned())
}

fn not_writable() -> VaultError {
    VaultError::NotWritable("made up".to_owned())
}

#[async_trait]
impl Vault for Doubles {
    async fn put(&self, credential: &Credential) -> Result<VersionId, VaultError> {
        let credential = credential.clone();
        let put = self.call("vault.put", move |state, now| {
            if state.vault != VaultIs::Well {
                return Err(not_writable());
            }
            state.put += 1;
            let version = VersionId(format!("version-{}", state.put));
            state.versions.insert(version.clone(), (now, credential));
            Ok(version)
        });
        put.await.or(away(), VaultError::Unclear)
    }

    async fn get(&self, version: &VersionId) -> Result<Credential, VaultError> {
        let version = version.clone();
        let get = self.call("vault.get", move |state, _| {
            let found = state.versions.get(&version).map(|(_, credential)| credential.clone());
            found.ok_or_else(|| VaultError::NotFound(version.clone()))
        });
        get.await.or_away(away())
    }

    async fn list(&self) -> Result<Vec<VersionEntry>, VaultError> {
        let list = self.call("vault.list", |state, _| {
            let entry = |(version, (created, credential)): (&VersionId, &(Timestamp, Credential))| VersionEntry {
                version: version.clone(),
                created: *created,
                attempt: Some(credential.attempt.clone()),
            };
            Ok(state.versions.iter().map(entry).collect())
        });
        list.await.or_away(away())
    }

    async fn prove_writable(&self, version: &VersionId) -> Result<(), VaultError> {
        let version = version.clone();
        let prove = self.call("vault.prove", move |state, _| {
            if state.vault == VaultIs::ReadOnly {
                return Err(not_writable());
            }
            if state.versions.contains_key(&version) { Ok(()) } else { Err(VaultError::NotFound(version.clone())) }
        });
        prove.await.or(away(), VaultError::Unclear)
    }

    async fn prove_first_write(&self) -> Result<(), VaultError> {
        let prove = self.call("vault.prove_first", |state, _| match state.vault {
            VaultIs::ReadOnly => Err(not_writable()),
            VaultIs::Well | VaultIs::Full | VaultIs::Away => Ok(()),
        });
        prove.await.or(away(), VaultError::Unclear)
    }

    fn writer(&self) -> &'static str {
        "made-up-writer"
    }
}
