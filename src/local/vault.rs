//! The versions, by the port's contract.

use async_trait::async_trait;

use super::file::{self, ReadError, ReplaceError};
use super::{EMBEDDED, ENDING, EmbeddedStore, Inner};
use crate::ports::{Vault, VaultError, VersionEntry};
use crate::stored::{Embedded, StoredVersion};
use crate::token::{Credential, VersionId};

/// How many versions are kept for their age alone.
const LAST: usize = 20;

#[async_trait]
impl Vault for EmbeddedStore {
    /// Needs the lock, in this process, by whatever owner: the whole file is written anew.
    async fn put(&self, credential: &Credential) -> Result<VersionId, VaultError> {
        let credential = credential.clone();
        self.blocking(move |inner| inner.change(|content| Ok(add(content, credential)))).await.unwrap_or(Err(VaultError::Unclear))
    }

    async fn get(&self, version: &VersionId) -> Result<Credential, VaultError> {
        let versions = self.versions().await?;
        versions.into_iter().find(|stored| stored.id == *version).map(|stored| stored.credential).ok_or_else(|| VaultError::NotFound(version.clone()))
    }

    async fn list(&self) -> Result<Vec<VersionEntry>, VaultError> {
        let entry = |stored: StoredVersion| VersionEntry {
            version: stored.id,
            created: stored.credential.granted_at,
            attempt: Some(stored.credential.attempt),
        };
        Ok(self.versions().await?.into_iter().map(entry).collect())
    }

    /// Writes the whole file anew, unchanged. Needs the lock.
    async fn prove_writable(&self, version: &VersionId) -> Result<(), VaultError> {
        let version = version.clone();
        let rewrite = move |content: &mut Embedded| {
            if content.versions.iter().any(|stored| stored.id == version) { Ok(()) } else { Err(VaultError::NotFound(version)) }
        };
        self.blocking(move |inner| inner.change(rewrite)).await.unwrap_or(Err(VaultError::Unclear))
    }

    /// Writes the whole file anew, unchanged; an empty store where there is none. Needs the lock.
    async fn prove_first_write(&self) -> Result<(), VaultError> {
        self.blocking(|inner| inner.change(|_| Ok(()))).await.unwrap_or(Err(VaultError::Unclear))
    }

    fn writer(&self) -> &str {
        EMBEDDED
    }
}

impl EmbeddedStore {
    async fn versions(&self) -> Result<Vec<StoredVersion>, VaultError> {
        let content = self.blocking(Inner::load).await.ok_or_else(|| VaultError::Unavailable(ENDING.to_owned()))??;
        Ok(content.map_or_else(Vec::new, |content| content.versions))
    }
}

impl Inner {
    fn change<T>(&self, how: impl FnOnce(&mut Embedded) -> Result<T, VaultError>) -> Result<T, VaultError> {
        let held = self.held();
        let Some(lock) = held.as_ref().filter(|lock| lock.is_valid()) else {
            return Err(VaultError::NotWritable("this process does not hold the lock, without which the file is not written".to_owned()));
        };
        let mut content = file::read(&lock.place)?.unwrap_or_default();
        let made = how(&mut content)?;
        match file::replace(&lock.place, &content) {
            Ok(()) => Ok(made),
            Err(ReplaceError::NotWritable(text)) => Err(VaultError::NotWritable(text)),
            Err(ReplaceError::Unclear(text)) => {
                tracing::warn!(problem = text, "a version may or may not have been written");
                Err(VaultError::Unclear)
            }
        }
    }
}

/// Adds a version and drops those that nobody can need any more.
fn add(content: &mut Embedded, credential: Credential) -> VersionId {
    content.written += 1;
    let id = VersionId(format!("{}-{}", content.written, credential.attempt));
    content.versions.push(StoredVersion { id: id.clone(), credential });

    let mut age = content.versions.len();
    let ledger = content.ledger.as_ref();
    content.versions.retain(|stored| {
        age -= 1;
        let needed = ledger.is_some_and(|ledger| {
            ledger.pointers().any(|pointer| pointer.version == stored.id) || ledger.open.iter().any(|attempt| attempt.id == stored.credential.attempt)
        });
        needed || age < LAST
    });
    id
}

impl From<ReadError> for VaultError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(text) => Self::Unavailable(text),
            ReadError::Damaged(text) => Self::Damaged(text),
        }
    }
}
