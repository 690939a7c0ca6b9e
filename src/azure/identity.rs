//! Who this program is to Azure: the app's managed identity, or the developer who is logged in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_identity::{
    DeveloperToolsCredential, DeveloperToolsCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};

/// How long the identity endpoint may take in all. By its own rules the SDK waits 81 s for one that is away, and as long as a `Retry-After` says.
pub const TOKEN_WITHIN: Duration = Duration::from_secs(8);

/// As [`TOKEN_WITHIN`], for `az` and `azd`: each starts a Python or a Go program, which then asks Entra ID.
pub const TOOLS_WITHIN: Duration = Duration::from_secs(20);

/// Whose rights count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// That of the function app (Microsoft Learn, "How to use managed identities for App Service and Azure Functions").
    Managed {
        /// `IDENTITY_ENDPOINT`. The SDK reads it, and the header's value, from the environment itself; here it decides the way to it.
        endpoint: String,
        /// `AZURE_CLIENT_ID`: the user-assigned one of this name; none means the system-assigned one.
        client_id: Option<String>,
    },
    /// That of the Azure CLI, else of the Azure Developer CLI.
    DeveloperTools,
}

/// What is wrong with settings or machine, for a person. Holds no setting's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotUsable(pub(super) String);

impl Identity {
    /// Chooses by what the platform provides. A managed identity needs endpoint and header; with neither, or one of them, a developer's machine is
    /// meant. `client_id` is that of a user-assigned identity, a GUID. An error says what is wrong with it, without it.
    pub fn choose(endpoint: Option<&str>, has_header: bool, client_id: Option<&str>) -> Result<Self, &'static str> {
        let client_id = client_id.map(str::trim).filter(|id| !id.is_empty());
        if client_id.is_some_and(|id| uuid::Uuid::try_parse(id).is_err()) {
            return Err("is not a GUID; it is the client ID of the user-assigned identity");
        }
        Ok(match endpoint.filter(|endpoint| !endpoint.is_empty() && has_header) {
            Some(endpoint) => Self::Managed { endpoint: endpoint.to_owned(), client_id: client_id.map(str::to_lowercase) },
            None => Self::DeveloperTools,
        })
    }

    /// A name for the ledger that is the same in every process and after every restart, and says no more than the settings do. `owner` is the app or
    /// the person, and is left out where the identity has a name of its own.
    #[must_use]
    pub fn writer(&self, owner: Option<&str>) -> String {
        let of = owner.map_or_else(String::new, |owner| format!(" of {owner}"));
        match self {
            Self::Managed { client_id: Some(id), .. } => format!("user-assigned identity {id}"),
            Self::Managed { client_id: None, .. } => format!("system-assigned identity{of}"),
            Self::DeveloperTools => format!("developer tools{of}"),
        }
    }

    /// A new credential with an empty cache. Sends nothing, starts nothing. Its calls end soon, and whatever goes wrong with them is an
    /// [`ErrorKind::Credential`], so that "no token" is never taken for "no reply to a write".
    pub fn credential(&self) -> Result<Arc<dyn TokenCredential>, NotUsable> {
        let (inner, within): (Arc<dyn TokenCredential>, _) = match self {
            Self::Managed { endpoint, client_id } => {
                let http = crate::http::client(endpoint).map_err(|_| NotUsable(super::transport::NO_CERTIFICATES.to_owned()))?;
                let retry = ExponentialRetryOptions {
                    initial_delay: azure_core::time::Duration::milliseconds(300),
                    max_retries: 3,
                    max_total_elapsed: azure_core::time::Duration::seconds(4),
                    max_delay: azure_core::time::Duration::seconds(1),
                };
                let client_options = ClientOptions {
                    retry: RetryOptions::exponential(retry),
                    transport: Some(Transport::new(Arc::new(http))),
                    ..ClientOptions::default()
                };
                let user_assigned_id = client_id.clone().map(UserAssignedId::ClientId);
                let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
                let unusable = |_| NotUsable("IDENTITY_ENDPOINT is not a URL, or this platform's managed identity is not supported".to_owned());
                (ManagedIdentityCredential::new(Some(options)).map_err(unusable)?, TOKEN_WITHIN)
            }
            Self::DeveloperTools => {
                let unusable = |_| NotUsable("the developer tools cannot be used on this machine".to_owned());
                (DeveloperToolsCredential::new(Some(DeveloperToolsCredentialOptions::default())).map_err(unusable)?, TOOLS_WITHIN)
            }
        };
        Ok(Arc::new(InTime { inner, within, managed: matches!(self, Self::Managed { .. }) }))
    }

    /// What makes credentials: a service that refuses a token is asked again with a new one, and only a new credential knows no token.
    #[must_use]
    pub fn credentials(self) -> Credentials {
        Arc::new(move || self.credential())
    }
}

/// Makes a credential with an empty cache.
pub type Credentials = Arc<dyn Fn() -> Result<Arc<dyn TokenCredential>, NotUsable> + Send + Sync>;

/// A managed identity whose calls end within [`TOKEN_WITHIN`], and whose errors are ours.
#[must_use]
pub fn in_time(inner: Arc<dyn TokenCredential>) -> Arc<dyn TokenCredential> {
    Arc::new(InTime { inner, within: TOKEN_WITHIN, managed: true })
}

/// Why there is no token, in our own words. Travels inside the SDK's error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoToken(String);

impl NoToken {
    /// The one inside an SDK error, however deep.
    pub(super) fn within(error: &Error) -> Option<&Self> {
        let mut next = Some(error as &(dyn std::error::Error + 'static));
        while let Some(it) = next {
            if let Some(found) = it.downcast_ref::<Self>() {
                return Some(found);
            }
            next = it.source();
        }
        None
    }
}

/// A credential whose calls end, and whose errors are ours.
struct InTime {
    inner: Arc<dyn TokenCredential>,
    within: Duration,
    managed: bool,
}

impl fmt::Debug for InTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InTime").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for InTime {
    async fn get_token(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let why = match tokio::time::timeout(self.within, self.inner.get_token(scopes, options)).await {
            Ok(Ok(token)) => return Ok(token),
            Ok(Err(_)) if !self.managed => "neither the Azure CLI nor the Azure Developer CLI gave a token: run `az login`".to_owned(),
            Ok(Err(error)) => explain(&error),
            Err(_) => {
                let who = if self.managed { "the managed identity's endpoint" } else { "az or azd" };
                format!("no token: {who} did not answer within {} s", self.within.as_secs())
            }
        };
        Err(Error::new(ErrorKind::Credential, NoToken(why)))
    }
}

fn explain(error: &Error) -> String {
    let mut next = Some(error as &(dyn std::error::Error + 'static));
    while let Some(it) = next {
        match it.downcast_ref::<Error>().map(Error::kind) {
            Some(ErrorKind::HttpResponse { status, .. }) => {
                let status = u16::from(*status);
                let remedy = if status == 400 {
                    "the identity is not assigned to this app: switch the system-assigned identity on, or assign the one that AZURE_CLIENT_ID or \
                     AzureWebJobsStorage__clientId names"
                } else {
                    "the platform's endpoint failed; it is asked again at the next call"
                };
                return format!("no token: the managed identity's endpoint answered {status}: {remedy}");
            }
            Some(ErrorKind::Connection | ErrorKind::Io) => return "no token: the managed identity's endpoint is not reachable".to_owned(),
            _ => next = it.source(),
        }
    }
    "no token: the reply of the managed identity's endpoint was not understood".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6F0A3C5E-1111-4222-8333-0123456789AB";
    const ENDPOINT: &str = "http://127.0.0.1:1/msi/token";

    #[test]
    fn the_platform_decides_and_a_client_id_names_the_user_assigned_one() {
        let managed = |client_id: Option<&str>| Identity::Managed { endpoint: ENDPOINT.to_owned(), client_id: client_id.map(str::to_owned) };
        assert_eq!(Identity::choose(Some(ENDPOINT), true, None), Ok(managed(None)));
        assert_eq!(Identity::choose(Some(ENDPOINT), true, Some(" ")), Ok(managed(None)));
        assert_eq!(Identity::choose(Some(ENDPOINT), true, Some(ID)), Ok(managed(Some(&ID.to_lowercase()))));
        assert_eq!(Identity::choose(Some(ENDPOINT), false, None), Ok(Identity::DeveloperTools));
        assert_eq!(Identity::choose(Some(""), true, None), Ok(Identity::DeveloperTools));
        assert_eq!(Identity::choose(None, true, None), Ok(Identity::DeveloperTools));
        assert!(Identity::choose(Some(ENDPOINT), true, Some("made-up-secret")).unwrap_err().starts_with("is not a GUID"));
    }

    #[test]
    fn the_writer_is_told_by_what_the_settings_say() {
        let writer = |client_id, owner| Identity::choose(Some(ENDPOINT), true, client_id).unwrap().writer(owner);
        assert_eq!(writer(None, None), "system-assigned identity");
        assert_eq!(writer(None, Some("made-up-app")), "system-assigned identity of made-up-app");
        assert_eq!(writer(Some(ID), Some("made-up-app")), "user-assigned identity 6f0a3c5e-1111-4222-8333-0123456789ab");
        assert_eq!(Identity::DeveloperTools.writer(Some("made-up")), "developer tools of made-up");
    }
}
