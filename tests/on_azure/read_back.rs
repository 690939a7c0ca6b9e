//! What is stored, read by Microsoft's own Python clients for Key Vault and blobs instead of by our code.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::azure::{OnAzure, VAULT};
use crate::stage::PATIENCE;

const INSTALL: &str = "tests/azure_vault/referee.sh";
const SECRET: &str = "exact-online-token";
const CONTAINER: &str = "exact-token-broker";

/// Vault and ledger at one moment.
#[derive(Debug, Deserialize)]
pub(crate) struct ReadBack {
    pub(crate) versions: Vec<Version>,
    pub(crate) ledger: Ledger,
    /// As it is stored.
    pub(crate) ledger_text: String,
    /// Of the ledger's blob: `available`, `leased`, …
    pub(crate) lease: String,
}

/// One version of the secret.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) enabled: bool,
    pub(crate) content_type: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) value: Value,
    /// Of the refresh token in the value.
    pub(crate) fingerprint: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) epoch: u64,
    pub(crate) head: Pointer,
    pub(crate) candidates: Vec<Pointer>,
    pub(crate) open: Vec<Open>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) version: String,
    pub(crate) fingerprint: String,
    pub(crate) epoch: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) fingerprint: String,
}

impl Version {
    pub(crate) fn refresh_token(&self) -> &str {
        self.value["refresh_token"].as_str().unwrap()
    }

    /// None for what was imported.
    pub(crate) fn access_token(&self) -> Option<&str> {
        self.value["access"]["value"].as_str()
    }

    pub(crate) fn attempt(&self) -> &str {
        self.value["attempt"].as_str().unwrap()
    }
}

impl ReadBack {
    /// The version that a pointer of the ledger names.
    #[track_caller]
    pub(crate) fn version(&self, pointer: &Pointer) -> &Version {
        let found = self.versions.iter().find(|version| version.id == pointer.version);
        let found = found.unwrap_or_else(|| panic!("the ledger names a version that the vault does not have: {pointer:?}"));
        assert_eq!(found.fingerprint, pointer.fingerprint, "the ledger means another token than the vault holds");
        assert_eq!(found.value["epoch"], pointer.epoch);
        found
    }

    /// What holds at every moment, for so many versions.
    #[track_caller]
    pub(crate) fn assert_sound(&self, versions: usize) {
        assert_eq!(self.versions.len(), versions);
        let distinct = |of: fn(&Version) -> &str| self.versions.iter().map(of).collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!(distinct(|it| &it.id), versions);
        assert_eq!(distinct(|it| it.attempt()), versions, "each attempt brought one version");
        assert_eq!(distinct(|it| it.refresh_token()), versions, "no token is stored twice");
        for version in &self.versions {
            assert!(version.enabled, "{}", version.id);
            assert_eq!(version.content_type, "application/json");
            assert_eq!(version.tags, BTreeMap::from([("attempt".to_owned(), version.attempt().to_owned())]));
            for token in [Some(version.refresh_token()), version.access_token()].into_iter().flatten() {
                assert!(!self.ledger_text.contains(token), "the ledger holds a token");
            }
        }
        for pointer in self.ledger.candidates.iter().chain([&self.ledger.head]) {
            self.version(pointer);
        }
    }

    /// Nothing that was there at an earlier moment has gone or changed.
    #[track_caller]
    pub(crate) fn assert_kept(&self, earlier: &Self) {
        for version in &earlier.versions {
            assert!(self.versions.contains(version), "{} was changed or is gone", version.id);
        }
    }
}

/// Reads everything.
pub(crate) async fn read_back(world: &OnAzure) -> ReadBack {
    install().await;
    let root = env!("CARGO_MANIFEST_DIR");
    let settings = &world.stage.settings;
    let mut python = Command::new(format!("{root}/target/tools/venv/bin/python"));
    python.arg(format!("{root}/tests/on_azure/read_back.py"));
    python.args([&format!("https://{VAULT}"), SECRET, CONTAINER, &format!("{VAULT}/{SECRET}.json")]);
    python.env_clear().envs(settings).env("REQUESTS_CA_BUNDLE", &settings["SSL_CERT_FILE"]).env("NO_PROXY", "127.0.0.1");
    python.current_dir(world.stage.folder()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, python.output()).await.expect("the clients answer in time").unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {problem}"))
}

async fn install() {
    static ONCE: OnceCell<()> = OnceCell::const_new();
    let install = async || {
        let installed = Command::new(format!("{}/{INSTALL}", env!("CARGO_MANIFEST_DIR"))).stdin(Stdio::null()).output().await.unwrap();
        let problem = String::from_utf8_lossy(&installed.stderr);
        assert!(installed.status.success(), "the Python packages are missing; `{INSTALL}` installs them and said:\n{problem}");
    };
    ONCE.get_or_init(install).await;
}
