//! The form of the embedded store's one file: the ledger and the versions, with one `v` for both.

use std::collections::HashSet;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::form::{TWICE, form_by_twin, list, one, optional};
use crate::token::{Credential, Ledger, VersionId};

/// How many versions a file may hold. The store keeps fewer: head, 3 candidates, those of 16 open attempts, the last 20.
const MAX_VERSIONS: usize = 256;

/// What the embedded store keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Embedded {
    /// None before the first consent has got that far.
    pub(crate) ledger: Option<Ledger>,
    /// How many versions were ever written; numbers them.
    pub(crate) written: u64,
    /// Oldest first.
    pub(crate) versions: Vec<StoredVersion>,
}

/// A credential and its name.
#[derive(Clone, Debug)]
pub(crate) struct StoredVersion {
    /// Unique in the file.
    pub(crate) id: VersionId,
    /// What bears it.
    pub(crate) credential: Credential,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Embedded")]
struct EmbeddedForm {
    #[serde(with = "optional")]
    ledger: Option<Ledger>,
    #[serde(with = "one")]
    written: u64,
    #[serde(serialize_with = "list::serialize", deserialize_with = "distinct")]
    versions: Vec<StoredVersion>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StoredVersion")]
struct StoredVersionForm {
    #[serde(with = "one")]
    id: VersionId,
    #[serde(with = "one")]
    credential: Credential,
}

fn distinct<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<StoredVersion>, D::Error> {
    let versions: Vec<StoredVersion> = list::deserialize(from)?;
    let ids: HashSet<&VersionId> = versions.iter().map(|version| &version.id).collect();
    if ids.len() < versions.len() { Err(D::Error::custom(TWICE)) } else { Ok(versions) }
}

/// All are written: the store, which knows what each is for, drops them.
fn all(list: &[StoredVersion]) -> &[StoredVersion] {
    list
}

form_by_twin!(Embedded, EmbeddedForm);
form_by_twin!(
    StoredVersion,
    StoredVersionForm,
    const AT_MOST: usize = MAX_VERSIONS;,
    fn kept(list: &[Self]) -> &[Self] {
        all(list)
    }
);
