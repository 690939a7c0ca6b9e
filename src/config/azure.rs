//! The settings of the store for production: a vault, the app's own storage, and who opens them.

use std::fmt;

use super::{AZURE_CLIENT_ID, KEY_VAULT_URL, Reader, STORAGE, STORAGE_CLIENT_ID, Setting, TOKEN_SECRET_NAME, given};
use crate::azure::{Access, Identity, StorageSettings, key_vault, storage};

/// Key Vault for the values, a blob for the order.
pub struct AzureStore {
    /// Where the credentials are kept.
    pub vault: key_vault::Settings,
    /// Where the ledger is kept.
    pub storage: StorageSettings,
    /// Who opens the storage, where no key does.
    pub storage_identity: Option<Identity>,
}

/// The platform's managed identity: where it is asked for tokens, and what proves that this app asks. (App Service, "How to use managed identities".)
const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
const IDENTITY_HEADER: &str = "IDENTITY_HEADER";
/// Whose identity it is: the function app's name, or on a developer's machine the person's.
const APP: &str = "WEBSITE_SITE_NAME";
const PERSON: &str = "USER";
const PERSON_ON_WINDOWS: &str = "USERNAME";

/// What is looked up besides the settings of the table.
pub(super) const ALSO_LOOKED_UP: [&str; 6] =
    [IDENTITY_ENDPOINT, IDENTITY_HEADER, PERSON, PERSON_ON_WINDOWS, storage::RESOURCE_ID, storage::CLIENT_SECRET];

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// All of it is checked, whatever is wrong with the first part. `vault` is the vault's address; None if that was found wrong already.
    pub(super) fn azure_store(&mut self, vault: Option<&str>, in_azure: bool) -> Option<AzureStore> {
        let vault_url = vault.and_then(|vault| key_vault::vault_url(vault).map_or_else(|what| self.wrong(KEY_VAULT_URL, what), Some));
        let secret_name = self.text(TOKEN_SECRET_NAME).and_then(|name| {
            let name = name.unwrap_or_else(|| TOKEN_SECRET_NAME.default.to_owned());
            key_vault::secret_name(&name).map_or_else(|what| self.wrong(TOKEN_SECRET_NAME, what), |()| Some(name))
        });
        let storage = self.storage();
        let no_identity = in_azure && !self.has_managed_identity();
        let identity = if no_identity {
            let what = "is set, and this app has no managed identity that could open the vault; switch its system-assigned identity on";
            self.wrong(KEY_VAULT_URL, what)
        } else {
            self.text(AZURE_CLIENT_ID).and_then(|client_id| self.identity(AZURE_CLIENT_ID, client_id.as_deref()))
        };
        let storage_identity = match storage.as_ref().map(|storage| &storage.access) {
            Some(Access::Identity { client_id }) if !no_identity => self.identity(STORAGE_CLIENT_ID, client_id.as_deref()).map(Some),
            _ => Some(None),
        };
        let owner = [APP, PERSON, PERSON_ON_WINDOWS].iter().find_map(|name| given(&self.lookup, name));
        let vault = key_vault::Settings { vault_url: vault_url?, secret_name: secret_name?, identity: identity?, owner };
        Some(AzureStore { vault, storage: storage?, storage_identity: storage_identity? })
    }

    fn storage(&mut self) -> Option<StorageSettings> {
        let before = self.problems.len();
        for name in storage::NAMES {
            // Placeholders; what else can be wrong with a value is found below.
            self.problems.extend(super::placeholder(&self.lookup, name));
        }
        if self.problems.len() > before {
            return None;
        }
        match StorageSettings::read(&self.lookup) {
            Ok(Some(storage)) => Some(storage),
            Ok(None) => self.wrong(
                STORAGE,
                "is not set, and KEY_VAULT_URL needs the app's own blob storage for the ledger; set it, or AzureWebJobsStorage__accountName to use an identity",
            ),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    fn has_managed_identity(&self) -> bool {
        [IDENTITY_ENDPOINT, IDENTITY_HEADER].iter().all(|name| given(&self.lookup, name).is_some())
    }

    fn identity(&mut self, setting: Setting, client_id: Option<&str>) -> Option<Identity> {
        let endpoint = given(&self.lookup, IDENTITY_ENDPOINT);
        let has_header = given(&self.lookup, IDENTITY_HEADER).is_some();
        Identity::choose(endpoint.as_deref(), has_header, client_id).map_or_else(|what| self.wrong(setting, what), Some)
    }
}

impl fmt::Debug for AzureStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureStore").finish_non_exhaustive()
    }
}
