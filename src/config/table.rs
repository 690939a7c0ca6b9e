//! The settings by name. The documentation lists exactly these.

use crate::azure::storage;

/// One setting, as the documentation lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Of the application setting and the environment variable.
    pub name: &'static str,
    /// In a few words.
    pub meaning: &'static str,
    /// What holds without it, or `required`.
    pub default: &'static str,
}

/// Which of Exact Online's sites the administrations are on.
pub const EXACT_REGION: Setting = Setting { name: "EXACT_REGION", meaning: "Exact Online site: nl, be, de, fr, es, uk or us", default: "nl" };
/// Overrides the region.
pub const EXACT_BASE_URL: Setting =
    Setting { name: "EXACT_BASE_URL", meaning: "overrides the region; https, or http on a loopback address", default: "from EXACT_REGION" };
/// Public part of the app's registration.
pub const EXACT_CLIENT_ID: Setting =
    Setting { name: "EXACT_CLIENT_ID", meaning: "client id of the app registered in the Exact App Centre", default: "required" };
/// Secret part of it.
pub const EXACT_CLIENT_SECRET: Setting =
    Setting { name: "EXACT_CLIENT_SECRET", meaning: "its client secret; in Azure a Key Vault reference", default: "required" };
/// Where Exact sends the browser back to.
pub const EXACT_REDIRECT_URI: Setting = Setting {
    name: "EXACT_REDIRECT_URI",
    meaning: "redirect URI of the app, exactly as registered; https, or http on a loopback address",
    default: "`https://$WEBSITE_HOSTNAME/api/ConsentCallback`",
};
/// The store for production.
pub const KEY_VAULT_URL: Setting = Setting {
    name: "KEY_VAULT_URL",
    meaning: "vault that the tokens are kept in, `https://<name>.vault.azure.net`; needs blob storage beside it",
    default: "none: the embedded store, which is refused in Azure",
};
/// Of the store for production.
pub const TOKEN_SECRET_NAME: Setting =
    Setting { name: "TOKEN_SECRET_NAME", meaning: "name of the secret whose versions they are", default: "exact-online-token" };
/// Whose rights count in the vault.
pub const AZURE_CLIENT_ID: Setting =
    Setting { name: "AZURE_CLIENT_ID", meaning: "client ID of the user-assigned identity that opens the vault", default: "system-assigned identity" };
/// The app's own storage, by key or signature.
pub const STORAGE: Setting = Setting {
    name: storage::CONNECTION_STRING,
    meaning: "connection string of the app's own storage, where the ledger is kept, or `UseDevelopmentStorage=true`",
    default: "none",
};
/// The app's own storage, by identity.
pub const STORAGE_ACCOUNT: Setting =
    Setting { name: storage::ACCOUNT_NAME, meaning: "in its place: the account's name, opened with an identity", default: "none" };
/// The same where the address does not follow from the name.
pub const STORAGE_URI: Setting =
    Setting { name: storage::BLOB_SERVICE_URI, meaning: "in its place: the blob service's address, opened with an identity", default: "none" };
/// As the host reads it.
pub const STORAGE_CREDENTIAL: Setting =
    Setting { name: storage::CREDENTIAL, meaning: "`managedidentity`, as the Functions host wants it", default: "managedidentity" };
/// Whose rights count in the storage account.
pub const STORAGE_CLIENT_ID: Setting = Setting {
    name: storage::CLIENT_ID,
    meaning: "client ID of the user-assigned identity that opens the storage",
    default: "system-assigned identity",
};
/// The store for development.
pub const TOKEN_FILE: Setting =
    Setting { name: "TOKEN_FILE", meaning: "file of the embedded store, relative to the app's folder", default: ".local/exact-online-token.json" };
/// See [`Mode`](crate::token::schedule::Mode).
pub const REFRESH_POLICY: Setting =
    Setting { name: "REFRESH_POLICY", meaning: "keep-warm: every tick that may refresh does; on-demand: only when asked", default: "keep-warm" };
/// Chosen by the host at each start.
pub const FUNCTIONS_CUSTOMHANDLER_PORT: Setting =
    Setting { name: "FUNCTIONS_CUSTOMHANDLER_PORT", meaning: "port to listen on; set by the Functions host", default: "8080" };
/// See [`telemetry`](crate::telemetry).
pub const RUST_LOG: Setting =
    Setting { name: "RUST_LOG", meaning: "log filter: off, error, warn, info, debug, trace, or exact_token_broker::module=level", default: "info" };

/// All of them, in the order in which the documentation lists them.
pub const SETTINGS: &[Setting] = &[
    EXACT_REGION,
    EXACT_BASE_URL,
    EXACT_CLIENT_ID,
    EXACT_CLIENT_SECRET,
    EXACT_REDIRECT_URI,
    KEY_VAULT_URL,
    TOKEN_SECRET_NAME,
    AZURE_CLIENT_ID,
    STORAGE,
    STORAGE_ACCOUNT,
    STORAGE_URI,
    STORAGE_CREDENTIAL,
    STORAGE_CLIENT_ID,
    TOKEN_FILE,
    REFRESH_POLICY,
    FUNCTIONS_CUSTOMHANDLER_PORT,
    RUST_LOG,
];
