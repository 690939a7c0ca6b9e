//! What went wrong with a call of the vault, in words that help and hold nothing of what the server wrote.

use std::fmt;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::RawResponse;
use azure_core::http::headers::WWW_AUTHENTICATE;
use serde::Deserialize;

use super::LIST_WITHIN;
use crate::azure::identity::NoToken;
use crate::azure::transport;
use crate::ports::VaultError;
use crate::token::VersionId;

/// What was asked of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Set,
    Get,
    List,
    Update,
}

impl Operation {
    /// The RBAC data action that it needs: `Microsoft.KeyVault/vaults/secrets/…` (Microsoft Learn, "Azure permissions for Security").
    fn data_action(self) -> &'static str {
        match self {
            Self::Set => "setSecret/action",
            Self::Get => "getSecret/action",
            Self::List => "readMetadata/action",
            Self::Update => "update/action",
        }
    }

    /// The same where the vault still uses access policies. Update Secret needs `set` there.
    fn permission(self) -> &'static str {
        match self {
            Self::Set | Self::Update => "Set",
            Self::Get => "Get",
            Self::List => "List",
        }
    }
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The vault said no.
    Answered(Answer),
    /// No connection: nothing was sent.
    NotSent,
    /// The connection was lost after sending.
    Lost,
    /// What the call or its exchanges may take is over.
    TimedOut,
    /// [`LIST_WITHIN`] is over.
    ListTooLong,
    /// Nobody vouches for us: nothing was sent.
    NoToken(String),
    /// Who answered is not a Key Vault, or not this one: nothing was sent.
    NotAVault,
    /// 200, and not what a vault sends.
    NotUnderstood,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    code: Option<&'static str>,
    inner: Option<&'static str>,
    retry_after: Option<Duration>,
    /// The bearer token is what displeased.
    pub(super) token_refused: bool,
}

/// What the service is known to say (Microsoft Learn, "Azure Key Vault REST API Error Codes", "Troubleshooting Azure Key Vault access policy
/// issues", and its replies). A code that is not here is not passed on: nobody knows what stands in it.
#[rustfmt::skip]
const CODES: &[&str] = &[
    "Unauthorized", "Forbidden", "BadParameter", "SecretNotFound", "VaultNotFound", "Conflict", "Throttled", "TooManyRequests", "InternalServerError",
    "InternalError", "ServiceUnavailable", "RequestTimeout",
    "ForbiddenByRbac", "ForbiddenByPolicy", "ForbiddenByFirewall", "ForbiddenByConnection", "AccessDenied", "SecretDisabled",
    "ObjectIsDeletedButRecoverable", "ObjectIsBeingDeleted", "ObjectIsBeingRecovered", "VaultAlreadyExists", "InvalidToken",
];

/// What a vault says in its 404, of an unknown name and of an unknown version alike. Microsoft Learn's pages of error codes do not have it. It is in
/// replies of real vaults: for a name in the recordings of the Azure SDK for JavaScript, for `name/version` in what Container Apps log of a secret that
/// they could not read.
const SECRET_NOT_FOUND: &str = "SecretNotFound";

impl Problem {
    /// Reads an SDK error, of which only kind, status and known codes go on.
    pub(super) fn of(error: &Error) -> Self {
        if let Some(no_token) = NoToken::within(error) {
            return Self::NoToken(no_token.to_string());
        }
        match error.kind() {
            ErrorKind::HttpResponse { status, raw_response, .. } => Self::Answered(Answer::of(u16::from(*status), raw_response.as_deref())),
            ErrorKind::Connection => Self::NotSent,
            ErrorKind::Io if is_timeout(error) => Self::TimedOut,
            ErrorKind::Io => Self::Lost,
            ErrorKind::Credential => Self::NoToken("no token for the vault".to_owned()),
            // Before a request is sent: a challenge that is not this vault's.
            ErrorKind::DataConversion | ErrorKind::Other => Self::NotAVault,
        }
    }

    /// A read that failed; `named` is the version that was asked for, if any.
    pub(super) fn reading(self, operation: Operation, named: Option<&VersionId>) -> VaultError {
        if let Some(version) = named.filter(|_| self.is_not_found()) {
            return VaultError::NotFound(version.clone());
        }
        VaultError::Unavailable(Told(&self, operation).to_string())
    }

    /// A write that failed. What may have taken effect, or may yet, is unclear; everything else has not.
    pub(super) fn writing(self, operation: Operation, named: Option<&VersionId>) -> VaultError {
        if let Some(version) = named.filter(|_| self.is_not_found()) {
            return VaultError::NotFound(version.clone());
        }
        let text = Told(&self, operation).to_string();
        let unclear = match &self {
            Self::Lost | Self::TimedOut | Self::ListTooLong | Self::NotUnderstood => true,
            Self::Answered(answer) => matches!(answer.status, 200..=299 | 408 | 500..=599),
            Self::NotSent | Self::NoToken(_) | Self::NotAVault => false,
        };
        if unclear {
            // The port's error has no room for it.
            tracing::warn!(problem = text, "a write to the token store was not confirmed");
            return VaultError::Unclear;
        }
        VaultError::NotWritable(text)
    }

    /// The vault itself says: no such secret, or no such version of it. Any other 404 is somebody else's, who knows nothing of versions.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Answered(Answer { status: 404, code: Some(SECRET_NOT_FOUND), .. }))
    }
}

impl Answer {
    fn of(status: u16, response: Option<&RawResponse>) -> Self {
        #[derive(Default, Deserialize)]
        struct Body {
            #[serde(default)]
            error: Codes,
        }
        #[derive(Default, Deserialize)]
        struct Codes {
            code: Option<String>,
            innererror: Option<Inner>,
        }
        #[derive(Deserialize)]
        struct Inner {
            code: Option<String>,
        }
        let known = |code: Option<String>| CODES.iter().find(|known| code.as_deref() == Some(**known)).copied();
        let body: Body = response.and_then(|it| serde_json::from_slice(it.body()).ok()).unwrap_or_default();
        let challenge = response.and_then(|it| it.headers().get_optional_str(&WWW_AUTHENTICATE)).unwrap_or_default();
        Self {
            status,
            code: known(body.error.code),
            inner: known(body.error.innererror.and_then(|inner| inner.code)),
            retry_after: response.and_then(|it| transport::retry_after(it.headers())),
            // RFC 6750, section 3.1, names the second form.
            token_refused: status == 401 || (status == 403 && challenge.contains("invalid_token")),
        }
    }

    /// A 404 that is not the vault's: of a wrong host, a gateway, or a private endpoint without its name resolution.
    fn is_foreign(&self) -> bool {
        self.status == 404 && self.code != Some(SECRET_NOT_FOUND)
    }

    /// What a person can do about it.
    fn remedy(&self, operation: Operation) -> String {
        let fixed = match (self.status, self.inner) {
            (_, Some("ForbiddenByRbac")) => {
                let action = operation.data_action();
                return format!(
                    "the identity lacks the data action Microsoft.KeyVault/vaults/secrets/{action}; give it a role with it at the vault's scope"
                );
            }
            (_, Some("AccessDenied" | "ForbiddenByPolicy")) => {
                return format!("the vault's access policy does not give the identity the secret permission {}", operation.permission());
            }
            (_, Some("ForbiddenByFirewall" | "ForbiddenByConnection")) => "the vault's network rules keep this app out",
            (_, Some("SecretDisabled")) => "somebody has disabled this version; enable it",
            (_, Some("ObjectIsDeletedButRecoverable")) => "somebody has deleted the secret; recover it (az keyvault secret recover)",
            (_, Some("ObjectIsBeingDeleted" | "ObjectIsBeingRecovered")) => "the secret is being deleted or recovered; this passes",
            (401, _) => "it does not take the identity's token, not even a new one; the vault may trust another tenant",
            (403, _) => "the identity may not do this; check its role at the vault's scope and the vault's network rules",
            (404, _) => "there is no such secret in this vault; check KEY_VAULT_URL and TOKEN_SECRET_NAME",
            (429, _) => "too many requests; this passes",
            (500..=599, _) => "the service failed; this passes",
            _ => "the request was not accepted; check KEY_VAULT_URL",
        };
        fixed.to_owned()
    }
}

/// Whether our HTTP client gave the exchange up.
fn is_timeout(error: &Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |it| it.source()).any(|it| it.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout))
}

/// A problem of an operation, told to a person.
struct Told<'a>(&'a Problem, Operation);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problem, operation) = self;
        match problem {
            Problem::Answered(answer) if answer.is_foreign() => f.write_str(
                "what answered at KEY_VAULT_URL (404) does not seem to be that vault; check the URL, private endpoint and name resolution",
            ),
            Problem::Answered(answer) => {
                write!(f, "Key Vault answered {}", answer.status)?;
                for code in [answer.code, answer.inner].into_iter().flatten() {
                    write!(f, " {code}")?;
                }
                write!(f, ": {}", answer.remedy(*operation))?;
                answer.retry_after.map_or(Ok(()), |wait| write!(f, " (it asks for {} s)", wait.as_secs()))
            }
            Problem::NotSent => f.write_str("no connection to Key Vault; check KEY_VAULT_URL, private endpoint and name resolution"),
            Problem::Lost => f.write_str("the connection to Key Vault was lost before the reply was complete"),
            Problem::TimedOut => f.write_str("no answer from Key Vault in time"),
            Problem::ListTooLong => {
                write!(f, "Key Vault did not list the versions of the secret within {} s: there are very many, or it is slow", LIST_WITHIN.as_secs())
            }
            Problem::NoToken(why) => f.write_str(why),
            Problem::NotAVault => f.write_str("what answers at KEY_VAULT_URL is not that Key Vault; nothing was sent to it"),
            Problem::NotUnderstood => f.write_str("the reply is not one of a Key Vault"),
        }
    }
}
