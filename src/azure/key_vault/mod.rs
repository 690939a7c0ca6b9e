//! Credentials as versions of one Key Vault secret.
//!
//! - A version is named explicitly, always. "Latest" is whatever landed last, and a write that timed out can land late, on top of a newer one.
//! - A write is sent once. What was not confirmed is [`VaultError::Unclear`]; whoever wrote looks with [`Vault::list`] before another try.
//! - Every call ends within [`CALL_WITHIN`], a list within [`LIST_WITHIN`], whatever vault, identity endpoint or a `Retry-After` would have us wait
//!   for.
//! - No version is deleted or disabled. Proving that the vault can be written is a PATCH of the content type alone, since a PATCH of tags replaces
//!   them all.
//! - A token that the vault refuses is thrown away with everything that holds it, once per call: the SDK would keep it until shortly before its end.
//!
//! A first call makes two requests (the first is answered with the challenge that says whom to ask for a token, and carries no value) and one to
//! the identity endpoint; every other call makes one, and a list one per 25 versions.

mod problem;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::{HttpClient, RequestContent};
use azure_security_keyvault_secrets::models::{
    SecretClientGetSecretOptions, SecretClientListSecretPropertiesVersionsOptions, SecretClientUpdateSecretPropertiesOptions, SecretProperties,
    SetSecretParameters, UpdateSecretPropertiesParameters,
};
use azure_security_keyvault_secrets::{ResourceExt, SecretClient, SecretClientOptions};
use futures::TryStreamExt;
use jiff::Timestamp;
use reqwest::Url;

use self::problem::{Answer, Operation, Problem};
use super::identity::{Credentials, Identity, NotUsable};
use super::transport;
use crate::ports::{Vault, VaultError, VersionEntry};
use crate::stored;
use crate::token::{AttemptId, Credential, Secret, VersionId};

/// How long one call may take in all. Less than what the use cases allow, so that the error that a person reads is this one.
pub const CALL_WITHIN: Duration = Duration::from_secs(25);

/// The same for a list, of which each page has [`CALL_WITHIN`]. Nothing is ever deleted: at 40 ms a page this is enough for 75,000 versions, which
/// keep-warm writes in 17 months.
pub const LIST_WITHIN: Duration = Duration::from_mins(2);

/// The largest value. Key Vault takes 25 kB (Microsoft Learn, "About Azure Key Vault secrets"), and whether that is 25,000 or 25,600 it does not say.
pub const MOST_VALUE_BYTES: usize = 25_000;

/// What a version's value is.
const CONTENT_TYPE: &str = "application/json";

/// The tag that names the attempt which brought a version.
const ATTEMPT: &str = "attempt";

/// What the secret is called that is written for proof alone: as the token's, and this. Nothing ever reads it.
const PROBE_ENDING: &str = "-doctor";

/// Its value, so that a person who finds it knows what it is.
const PROBE: &str = "no token: exact-token-broker writes this to prove that it may write here";

/// The longest name of a secret.
const MOST_NAME: usize = 127;

/// The most that Key Vault gives per page.
const PAGE: i32 = 25;

/// Where the credentials are kept, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `KEY_VAULT_URL`, as [`vault_url`] gives it.
    pub vault_url: String,
    /// `TOKEN_SECRET_NAME`, one that [`secret_name`] takes.
    pub secret_name: String,
    /// Whose rights count.
    pub identity: Identity,
    /// The app or the person that the identity belongs to, where the identity does not say: each app has a system-assigned one of its own.
    pub owner: Option<String>,
}

/// [`Vault`] on one secret of Azure Key Vault.
pub struct KeyVault {
    settings: Settings,
    credentials: Credentials,
    http: Arc<dyn HttpClient>,
    writer: String,
    client: Mutex<Arc<SecretClient>>,
}

impl KeyVault {
    /// Reads and sends nothing.
    pub fn new(settings: Settings) -> Result<Self, NotUsable> {
        let http = transport::client(&settings.vault_url).map_err(|_| NotUsable(transport::NO_CERTIFICATES.to_owned()))?;
        let credentials = settings.identity.clone().credentials();
        Self::over(settings, credentials, http)
    }

    /// With other credentials than those of the settings' identity, and over `http`, which must bound each read by
    /// [`AZURE_EXCHANGE_WITHIN`](crate::http::AZURE_EXCHANGE_WITHIN) and follow no redirect.
    pub fn over(settings: Settings, credentials: Credentials, http: Arc<dyn HttpClient>) -> Result<Self, NotUsable> {
        let client = connect(&settings, &credentials, &http)?;
        let writer = settings.identity.writer(settings.owner.as_deref());
        Ok(Self { settings, credentials, http, writer, client: Mutex::new(Arc::new(client)) })
    }

    /// One call of the SDK: bounded, and made once more with a new credential if the vault refused the token.
    async fn call<T, F>(&self, what: impl Fn(Arc<SecretClient>) -> F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, Problem>>,
    {
        within(CALL_WITHIN, self.once_more_if_refused(what), Problem::TimedOut).await
    }

    async fn once_more_if_refused<T, F>(&self, what: impl Fn(Arc<SecretClient>) -> F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, Problem>>,
    {
        let client = self.client();
        match what(Arc::clone(&client)).await {
            // Refused before anything was done, so that this is no second try of a write.
            Err(Problem::Answered(Answer { token_refused: true, .. })) => what(self.afresh(&client)?).await,
            result => result,
        }
    }

    fn client(&self) -> Arc<SecretClient> {
        Arc::clone(&self.client.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A client that knows no token, in place of `refused`. Of several callers who were refused at once, the first makes it.
    fn afresh(&self, refused: &Arc<SecretClient>) -> Result<Arc<SecretClient>, Problem> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&client, refused) {
            tracing::warn!("Key Vault refused the identity's token; another one is asked for");
            *client = Arc::new(connect(&self.settings, &self.credentials, &self.http).map_err(|problem| Problem::NoToken(problem.to_string()))?);
        }
        Ok(Arc::clone(&client))
    }

    /// Where the versions are: for texts.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}/secrets/{}", self.settings.vault_url, self.settings.secret_name)
    }

    fn name(&self) -> &str {
        &self.settings.secret_name
    }
}

#[async_trait]
impl Vault for KeyVault {
    async fn put(&self, credential: &Credential) -> Result<VersionId, VaultError> {
        let value = stored::credential_to_json(credential);
        if value.reveal().len() > MOST_VALUE_BYTES {
            let size = value.reveal().len();
            return Err(VaultError::NotWritable(format!("the credential has {size} bytes; a version of a secret holds {MOST_VALUE_BYTES}")));
        }
        let set = async |client: Arc<SecretClient>| {
            let parameters = SetSecretParameters {
                value: Some(value.reveal().to_owned()),
                content_type: Some(CONTENT_TYPE.to_owned()),
                tags: Some(HashMap::from([(ATTEMPT.to_owned(), credential.attempt.0.clone())])),
                secret_attributes: None,
            };
            let body: RequestContent<_> = parameters.try_into().map_err(|error| Problem::of(&error))?;
            let response = client.set_secret(self.name(), body, None).await.map_err(|error| Problem::of(&error))?;
            let mut stored = response.into_model().map_err(|_| Problem::NotUnderstood)?;
            // The reply repeats the value: it goes where it is wiped.
            drop(stored.value.take().map(Secret::new));
            version(&stored).ok_or(Problem::NotUnderstood)
        };
        self.call(set).await.map_err(|problem| problem.writing(Operation::Set, None))
    }

    async fn get(&self, version: &VersionId) -> Result<Credential, VaultError> {
        let get = async |client: Arc<SecretClient>| {
            let options = SecretClientGetSecretOptions { secret_version: Some(version.0.clone()), ..Default::default() };
            let response = client.get_secret(self.name(), Some(options)).await.map_err(|error| Problem::of(&error))?;
            let value = response.into_model().map_err(|_| Problem::NotUnderstood)?.value.map(Secret::new);
            value.ok_or(Problem::NotUnderstood)
        };
        // Without a version the vault would give its latest.
        if version.0.is_empty() {
            return Err(VaultError::NotFound(version.clone()));
        }
        let value = self.call(get).await.map_err(|problem| problem.reading(Operation::Get, Some(version)))?;
        stored::credential_from_json(value.reveal()).map_err(|problem| VaultError::Damaged(format!("version {version}: {problem}")))
    }

    /// One request per 25 versions. Disabled versions are left out: they cannot be read.
    async fn list(&self) -> Result<Vec<VersionEntry>, VaultError> {
        let list = async |client: Arc<SecretClient>| {
            let options = SecretClientListSecretPropertiesVersionsOptions { maxresults: Some(PAGE), ..Default::default() };
            let pager = client.list_secret_properties_versions(self.name(), Some(options)).map_err(|error| Problem::of(&error))?;
            let mut list = pager.into_pages();
            let mut entries = Vec::new();
            let mut left_out = 0;
            while let Some(page) =
                within(CALL_WITHIN, async { list.try_next().await.map_err(|error| Problem::of(&error)) }, Problem::TimedOut).await?
            {
                for properties in page.into_model().map_err(|_| Problem::NotUnderstood)?.value {
                    match entry(properties) {
                        Some(entry) => entries.push(entry),
                        None => left_out += 1,
                    }
                }
            }
            if left_out > 0 {
                tracing::warn!(left_out, "versions of the secret are disabled and cannot be used; nobody but a person disables them");
            }
            Ok(entries)
        };
        match within(LIST_WITHIN, self.once_more_if_refused(list), Problem::ListTooLong).await {
            // Before the first version there is no secret.
            Err(problem) if problem.is_not_found() => Ok(Vec::new()),
            result => result.map_err(|problem| problem.reading(Operation::List, None)),
        }
    }

    async fn prove_writable(&self, version: &VersionId) -> Result<(), VaultError> {
        let update = async |client: Arc<SecretClient>| {
            let parameters = UpdateSecretPropertiesParameters { content_type: Some(CONTENT_TYPE.to_owned()), ..Default::default() };
            let body: RequestContent<_> = parameters.try_into().map_err(|error| Problem::of(&error))?;
            let options = SecretClientUpdateSecretPropertiesOptions { secret_version: Some(version.0.clone()), ..Default::default() };
            let response = client.update_secret_properties(self.name(), body, Some(options)).await.map_err(|error| Problem::of(&error))?;
            // A success alone proves nothing: a proxy's page is one, and a refresh token would be spent on it.
            let updated = response.into_model().map_err(|_| Problem::NotUnderstood)?;
            self::version(&updated).filter(|it| it == version).map(drop).ok_or(Problem::NotUnderstood)
        };
        if version.0.is_empty() {
            return Err(VaultError::NotFound(version.clone()));
        }
        self.call(update).await.map_err(|problem| problem.writing(Operation::Update, Some(version)))
    }

    /// One PUT, which is one version: nothing less proves the right to it.
    async fn prove_first_write(&self) -> Result<(), VaultError> {
        let name = probe_name(self.name());
        let set = async |client: Arc<SecretClient>| {
            let parameters = SetSecretParameters {
                value: Some(PROBE.to_owned()),
                content_type: Some("text/plain".to_owned()),
                tags: None,
                secret_attributes: None,
            };
            let body: RequestContent<_> = parameters.try_into().map_err(|error| Problem::of(&error))?;
            let response = client.set_secret(&name, body, None).await.map_err(|error| Problem::of(&error))?;
            let stored = response.into_model().map_err(|_| Problem::NotUnderstood)?;
            version(&stored).map(drop).ok_or(Problem::NotUnderstood)
        };
        self.call(set).await.map_err(|problem| match problem.writing(Operation::Set, None) {
            // Of a secret that a person may have tidied away, he must hear which.
            VaultError::NotWritable(what) => VaultError::NotWritable(format!("the secret {name}, written as a proof: {what}")),
            other => other,
        })
    }

    fn writer(&self) -> &str {
        &self.writer
    }
}

impl fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVault").field("settings", &self.settings).finish_non_exhaustive()
    }
}

async fn within<T>(most: Duration, call: impl Future<Output = Result<T, Problem>>, late: Problem) -> Result<T, Problem> {
    tokio::time::timeout(most, call).await.unwrap_or(Err(late))
}

fn connect(settings: &Settings, credentials: &Credentials, http: &Arc<dyn HttpClient>) -> Result<SecretClient, NotUsable> {
    let options = SecretClientOptions { client_options: transport::options(Arc::clone(http)), ..SecretClientOptions::default() };
    SecretClient::new(&settings.vault_url, credentials()?, Some(options)).map_err(|_| NotUsable("KEY_VAULT_URL is not a URL".to_owned()))
}

/// Checks `KEY_VAULT_URL` and gives it without a slash at the end. An error says what is wrong, without the value.
pub fn vault_url(text: &str) -> Result<String, &'static str> {
    const FORM: &str = "is not of the form https://<name>.vault.azure.net";
    let url = Url::parse(text).map_err(|_| FORM)?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if url.scheme() != "https" || url.host_str().is_none() || !bare {
        return Err(FORM);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Checks `TOKEN_SECRET_NAME`; see [`vault_url`].
pub fn secret_name(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > MOST_NAME || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err("is not a secret's name: 1 to 127 letters, digits and hyphens");
    }
    Ok(())
}

/// The name of the secret that is written for proof. The longest names are cut, and still differ from it.
fn probe_name(name: &str) -> String {
    let cut = &name[..name.len().min(MOST_NAME - PROBE_ENDING.len())];
    format!("{cut}{PROBE_ENDING}")
}

fn version(resource: &impl ResourceExt) -> Option<VersionId> {
    resource.resource_id().ok()?.version.map(VersionId)
}

/// None for a version that nobody can read.
fn entry(properties: SecretProperties) -> Option<VersionEntry> {
    let version = version(&properties)?;
    let attributes = properties.attributes.unwrap_or_default();
    if attributes.enabled == Some(false) {
        return None;
    }
    let created = attributes.created.and_then(|at| Timestamp::from_second(at.unix_timestamp()).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let attempt = properties.tags.and_then(|mut tags| tags.remove(ATTEMPT)).map(AttemptId);
    Some(VersionEntry { version, created, attempt })
}

#[cfg(test)]
mod tests {
    mod fuzz;

    use super::*;

    #[test]
    fn only_an_https_address_without_more_and_a_name_are_taken() {
        assert_eq!(vault_url("https://made-up.vault.azure.net").unwrap(), "https://made-up.vault.azure.net");
        assert_eq!(vault_url("https://MADE-UP.vault.azure.net/").unwrap(), "https://made-up.vault.azure.net");
        for url in ["", "made-up", "http://made-up.vault.azure.net", "https://u:p@made-up.vault.azure.net", "https://a.b/secrets", "https://a.b/?x"] {
            assert!(vault_url(url).is_err(), "{url}");
        }
        assert!(secret_name("a").is_ok() && secret_name("exact-online-token").is_ok());
        for name in ["", "a/b", "a b", &"a".repeat(128)] {
            assert!(secret_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_probe_has_a_name_of_its_own_that_the_vault_takes() {
        assert_eq!(probe_name("exact-online-token"), "exact-online-token-doctor");
        for length in [1, 119, 120, 121, 126, 127] {
            let name = "a".repeat(length);
            let probe = probe_name(&name);
            assert!(secret_name(&probe).is_ok() && probe != name, "{probe}");
        }
    }
}
