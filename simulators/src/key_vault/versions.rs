//! The secrets themselves.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

/// One version of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    /// 32 hexadecimal digits, in no order.
    pub id: String,
    /// The secret itself.
    pub value: String,
    /// As it was given.
    pub content_type: Option<String>,
    /// As they were given.
    pub tags: BTreeMap<String, String>,
    /// False: nobody can read it.
    pub enabled: bool,
    /// When it landed, whenever it was sent.
    pub created: Timestamp,
    /// When its properties were last changed.
    pub updated: Timestamp,
}

/// Says nothing of the value.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version").field("id", &self.id).field("enabled", &self.enabled).field("created", &self.created).finish_non_exhaustive()
    }
}

impl Version {
    /// As the REST API shows it: with or without the value.
    pub(super) fn bundle(&self, host: &str, name: &str, with_value: bool) -> Value {
        let mut bundle = json!({
            "id": format!("https://{host}/secrets/{name}/{}", self.id),
            "attributes": {
                "enabled": self.enabled,
                "created": self.created.as_second(),
                "updated": self.updated.as_second(),
                "recoveryLevel": "Recoverable+Purgeable",
                "recoverableDays": 90,
            },
            "tags": self.tags,
        });
        if let Some(content_type) = &self.content_type {
            bundle["contentType"] = json!(content_type);
        }
        if with_value {
            bundle["value"] = json!(self.value);
        }
        bundle
    }
}

/// A secret: its versions in the order in which they landed.
#[derive(Clone, Debug, Default)]
pub(super) struct Secret {
    pub(super) versions: Vec<Version>,
    /// By id, where each of them stands in `versions`: the order of lists.
    pub(super) by_id: BTreeMap<String, usize>,
    pub(super) deleted: bool,
}

impl Secret {
    /// A named one, or the one that landed last.
    pub(super) fn version(&mut self, id: Option<&str>) -> Option<&mut Version> {
        match id {
            Some(id) => self.versions.iter_mut().find(|version| version.id == id),
            None => self.versions.last_mut(),
        }
    }

    pub(super) fn add(&mut self, version: Version) {
        self.by_id.insert(version.id.clone(), self.versions.len());
        self.versions.push(version);
    }
}
