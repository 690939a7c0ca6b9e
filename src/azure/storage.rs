//! How the app's own storage is reached: what `AzureWebJobsStorage` says, read as the Functions host reads it.
//!
//! Sources: Microsoft Learn, "Configure Azure Storage connection strings", "App settings reference for Azure Functions" (`AzureWebJobsStorage`) and
//! "Develop Azure Functions" (connecting to host storage with an identity). No text made here contains a value.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use azure_core::http::Url;

use super::shared_key::AccountKey;
use crate::token::Secret;

/// A connection string. Where it is set, it counts, as it does for the host.
pub const CONNECTION_STRING: &str = "AzureWebJobsStorage";
/// The account's name, for an identity.
pub const ACCOUNT_NAME: &str = "AzureWebJobsStorage__accountName";
/// The blob service's address, for an identity, where it does not follow from the name.
pub const BLOB_SERVICE_URI: &str = "AzureWebJobsStorage__blobServiceUri";
/// `managedidentity`.
pub const CREDENTIAL: &str = "AzureWebJobsStorage__credential";
/// Of a user-assigned identity.
pub const CLIENT_ID: &str = "AzureWebJobsStorage__clientId";
/// Another way to name an identity, which the host knows; it is refused with a word on what to do.
pub const RESOURCE_ID: &str = "AzureWebJobsStorage__managedIdentityResourceId";
/// A secret in the settings, which the host knows; it is refused likewise.
pub const CLIENT_SECRET: &str = "AzureWebJobsStorage__clientSecret";

/// All names that are looked up.
pub const NAMES: [&str; 7] = [CONNECTION_STRING, ACCOUNT_NAME, BLOB_SERVICE_URI, CREDENTIAL, CLIENT_ID, RESOURCE_ID, CLIENT_SECRET];

/// The host knows these; they would be a second way to say what `…__clientId` says, or put a secret into the settings.
const IDENTITIES_NOT_SUPPORTED: [&str; 2] = [RESOURCE_ID, CLIENT_SECRET];

/// The storage emulator's account and key: public, the same on every machine ("Use the Azurite emulator for local Azure Storage development").
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_BLOB_PORT: u16 = 10_000;

const PUBLIC_CLOUD: &str = "core.windows.net";
/// How an unresolved Key Vault reference begins.
const KEY_VAULT_REFERENCE: &str = "@Microsoft.KeyVault(";

/// Where the blob service is, and what opens it.
#[derive(Clone)]
pub struct StorageSettings {
    /// Without query; for an emulator with the account as path.
    pub endpoint: Url,
    /// What opens it.
    pub access: Access,
}

/// What opens the blob service.
#[derive(Clone)]
pub enum Access {
    /// One of the account's two keys.
    AccountKey(AccountKey),
    /// A query string that is appended to each URL.
    SharedAccessSignature(Secret),
    /// The app's managed identity; outside Azure a developer's own.
    Identity {
        /// Of a user-assigned identity. None: the system-assigned one.
        client_id: Option<String>,
    },
}

impl StorageSettings {
    /// None if nothing is set. Else the settings, or all that is wrong with them, one sentence each.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Vec<String>> {
        let given = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let unresolved: Vec<String> = NAMES
            .into_iter()
            .filter(|name| given(name).is_some_and(|value| starts_with(&value, KEY_VAULT_REFERENCE)))
            .map(|name| {
                format!("{name}: the platform could not resolve the Key Vault reference: check the secret's URI and whether the app's identity may read it")
            })
            .collect();
        if !unresolved.is_empty() {
            return Err(unresolved);
        }
        match given(CONNECTION_STRING) {
            Some(text) => from_connection_string(&text).map(Some).map_err(|what| vec![format!("{CONNECTION_STRING}: {what}")]),
            None => from_identity(&given),
        }
    }
}

fn from_identity(given: &impl Fn(&str) -> Option<String>) -> Result<Option<StorageSettings>, Vec<String>> {
    let (name, uri) = (given(ACCOUNT_NAME), given(BLOB_SERVICE_URI));
    if name.is_none() && uri.is_none() {
        let lonely = [CREDENTIAL, CLIENT_ID].into_iter().find(|setting| given(setting).is_some());
        return lonely.map_or(Ok(None), |setting| Err(vec![format!("{setting}: is set without {ACCOUNT_NAME}; set both")]));
    }
    let mut problems = Vec::new();
    let by_name = name.map(|name| account_endpoint("https", &name, PUBLIC_CLOUD).map_err(|what| problems.push(format!("{ACCOUNT_NAME}: {what}"))));
    let by_uri = uri.map(|uri| service_uri(&uri).map_err(|what| problems.push(format!("{BLOB_SERVICE_URI}: {what}"))));
    if given(CREDENTIAL).is_some_and(|credential| !credential.eq_ignore_ascii_case("managedidentity")) {
        problems.push(format!("{CREDENTIAL}: is not an identity that this program can use; set it to managedidentity"));
    }
    for setting in IDENTITIES_NOT_SUPPORTED {
        if given(setting).is_some() {
            problems.push(format!("{setting}: is not supported; use a managed identity, and name a user-assigned one with {CLIENT_ID}"));
        }
    }
    if let (Some(Ok(by_name)), Some(Ok(by_uri))) = (&by_name, &by_uri)
        && by_name != by_uri
    {
        problems.push(format!("{BLOB_SERVICE_URI}: is another account's than {ACCOUNT_NAME}; keep one of the two"));
    }
    match by_name.or(by_uri) {
        Some(Ok(endpoint)) if problems.is_empty() => Ok(Some(StorageSettings { endpoint, access: Access::Identity { client_id: given(CLIENT_ID) } })),
        _ => Err(problems),
    }
}

fn service_uri(text: &str) -> Result<Url, String> {
    let url = endpoint(text)?;
    // The token would be readable on the way; the official crate refuses it as well, but later.
    if url.scheme() == "https" { Ok(url) } else { Err("is http, which an identity is not used over; write https".to_owned()) }
}

fn from_connection_string(text: &str) -> Result<StorageSettings, String> {
    let fields = Fields::read(text)?;
    if let Some(development) = fields.get("UseDevelopmentStorage") {
        if !development.eq_ignore_ascii_case("true") {
            return Err("UseDevelopmentStorage can only be true; remove it to use a real account".to_owned());
        }
        return emulator(fields.get("DevelopmentStorageProxyUri"));
    }
    let account = fields.get("AccountName");
    let endpoint = match (fields.get("BlobEndpoint"), account) {
        (Some(text), _) => endpoint(text).map_err(|what| format!("BlobEndpoint {what}"))?,
        (None, Some(account)) => {
            let protocol = fields.get("DefaultEndpointsProtocol").unwrap_or("https");
            account_endpoint(protocol, account, fields.get("EndpointSuffix").unwrap_or(PUBLIC_CLOUD))?
        }
        (None, None) => return Err("has neither AccountName nor BlobEndpoint; copy it again from the account's page \"Access keys\"".to_owned()),
    };
    let access = match (fields.get("AccountKey"), fields.get("SharedAccessSignature"), account) {
        (Some(_), Some(_), _) => return Err("has both AccountKey and SharedAccessSignature; keep one of the two".to_owned()),
        (Some(_), None, None) => {
            return Err("has an AccountKey without AccountName; copy it again from the account's page \"Access keys\"".to_owned());
        }
        (Some(key), None, Some(account)) => Access::AccountKey(
            AccountKey::new(account, &Secret::new(key)).ok_or("AccountKey is not one; copy it again from the account's page \"Access keys\"")?,
        ),
        (None, Some(signature), _) => {
            let signature = signature.trim_start_matches('?');
            if !signature.split('&').any(|pair| pair.starts_with("sig=")) {
                return Err("SharedAccessSignature has no sig; copy it again from the account's page \"Shared access signature\"".to_owned());
            }
            Access::SharedAccessSignature(Secret::new(signature))
        }
        (None, None, _) => {
            return Err(format!(
                "has neither AccountKey nor SharedAccessSignature; complete it, or set {ACCOUNT_NAME} in its place to use the app's identity"
            ));
        }
    };
    // A key is not sent, but whoever can change what passes by could take attempts out of the ledger. A signature is sent.
    let emulated = matches!(&access, Access::AccountKey(key) if key.account() == EMULATOR_ACCOUNT);
    if endpoint.scheme() == "http" && !emulated && !is_loopback(&endpoint) {
        return Err("is for http; set DefaultEndpointsProtocol or BlobEndpoint to https".to_owned());
    }
    Ok(StorageSettings { endpoint, access })
}

fn emulator(proxy: Option<&str>) -> Result<StorageSettings, String> {
    let mut url = endpoint(proxy.unwrap_or("http://127.0.0.1")).map_err(|what| format!("DevelopmentStorageProxyUri {what}"))?;
    // What the official libraries make of a proxy: its scheme and host, the emulator's own port.
    let changed = url.set_port(Some(EMULATOR_BLOB_PORT));
    url.set_path(EMULATOR_ACCOUNT);
    let key = AccountKey::new(EMULATOR_ACCOUNT, &Secret::new(EMULATOR_KEY));
    match (changed, key) {
        (Ok(()), Some(key)) => Ok(StorageSettings { endpoint: url, access: Access::AccountKey(key) }),
        _ => Err("DevelopmentStorageProxyUri is not a URL; write it like http://127.0.0.1".to_owned()),
    }
}

fn account_endpoint(protocol: &str, account: &str, suffix: &str) -> Result<Url, String> {
    let protocol = protocol.to_ascii_lowercase();
    if protocol != "https" && protocol != "http" {
        return Err("DefaultEndpointsProtocol is neither https nor http; set it to https".to_owned());
    }
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !(3..=24).contains(&account.len()) || !letters(account) {
        return Err("the account name is not one: 3 to 24 lower-case letters and digits, without the rest of the address".to_owned());
    }
    let suffix_is_a_host = suffix.split('.').all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    if !suffix_is_a_host {
        return Err("EndpointSuffix is not the end of a host name; write it like core.windows.net, or leave it out".to_owned());
    }
    endpoint(&format!("{protocol}://{account}.blob.{suffix}"))
}

/// A URL of a service: what is wrong with it, without repeating any of it.
fn endpoint(text: &str) -> Result<Url, String> {
    let malformed = || "is not a URL; write it like https://myaccount.blob.core.windows.net".to_owned();
    if !text.contains("://") || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(malformed());
    }
    let mut url = Url::parse(text).map_err(|_| malformed())?;
    if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
        return Err(malformed());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains user information before the host; remove it".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has something behind its path; remove it (a signature belongs into SharedAccessSignature)".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn starts_with(value: &str, with: &str) -> bool {
    value.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// `Name=value;Name=value`: names in any case, values with `=` in them.
struct Fields(BTreeMap<String, String>);

impl Fields {
    fn read(text: &str) -> Result<Self, String> {
        let mut fields = BTreeMap::new();
        for field in text.split(';').map(str::trim).filter(|field| !field.is_empty()) {
            let Some((name, value)) = field.split_once('=') else {
                return Err(
                    "is not a connection string, which is Name=value;Name=value; copy it again from the account's page \"Access keys\"".to_owned()
                );
            };
            if fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned()).is_some() {
                return Err("has a part twice; copy it again from the account's page \"Access keys\"".to_owned());
            }
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for StorageSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageSettings").field("access", &self.access).finish_non_exhaustive()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccountKey(_) => "AccountKey",
            Self::SharedAccessSignature(_) => "SharedAccessSignature",
            Self::Identity { .. } => "Identity",
        })
    }
}

#[cfg(test)]
mod tests;
