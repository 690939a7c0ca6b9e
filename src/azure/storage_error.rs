//! What went wrong between us and the blob service, and what a person can do about it. Holds no text from outside but an error code.

use std::fmt;

use azure_core::error::ErrorKind;
use azure_storage_blob::models::StorageErrorCode;

use super::identity::NoToken;

/// Named by what is known of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StorageError {
    /// There was no connection to send it on.
    NotConnected,
    /// There was no token to send it with, for this reason.
    NoToken(String),
    /// It may have been sent; no whole reply came.
    NoReply,
    /// The reply says no.
    Answered {
        /// HTTP status.
        status: u16,
        /// `x-ms-error-code`, where it is one that the service is known for; else empty.
        code: String,
    },
}

impl From<azure_core::Error> for StorageError {
    fn from(error: azure_core::Error) -> Self {
        match error.kind() {
            ErrorKind::HttpResponse { status, error_code, .. } => {
                let code = error_code.clone().filter(|code| is_known(code)).unwrap_or_default();
                Self::Answered { status: (*status).into(), code }
            }
            ErrorKind::Connection => Self::NotConnected,
            ErrorKind::Credential => Self::NoToken(NoToken::within(&error).map_or_else(|| "no token".to_owned(), ToString::to_string)),
            ErrorKind::Io | ErrorKind::DataConversion | ErrorKind::Other => Self::NoReply,
        }
    }
}

/// Said by the service, but not in the list of the crate (Microsoft Learn, "Prevent authorization with Shared Key", "Prevent anonymous read access",
/// "Troubleshoot customer-managed keys").
const MORE_CODES: &[&str] = &[
    "KeyBasedAuthenticationNotPermitted",
    "PublicAccessNotPermitted",
    "KeyVaultAccessTokenCannotBeAcquired",
    "KeyVaultEncryptionKeyNotFound",
    "KeyVaultVaultNotFound",
];

/// Anything else is not passed on: nobody knows what a proxy puts there.
fn is_known(code: &str) -> bool {
    let listed = code.parse::<StorageErrorCode>().is_ok_and(|code| !matches!(code, StorageErrorCode::UnknownValue(_)));
    listed || MORE_CODES.contains(&code)
}

impl StorageError {
    /// Whether it is that status with one of these codes.
    pub(super) fn is(&self, expected: u16, codes: &[&str]) -> bool {
        matches!(self, Self::Answered { status, code } if *status == expected && codes.contains(&code.as_str()))
    }

    /// The blob or its container is not there, by the service's own word: a proxy's or a wrong host's 404 says nothing of the kind.
    pub(super) fn is_missing(&self) -> bool {
        self.is(404, &["BlobNotFound", "ContainerNotFound"])
    }

    /// The token is what displeased: a new one may do, since the crates keep one until shortly before its end.
    pub(super) fn token_refused(&self) -> bool {
        matches!(self, Self::Answered { status: 401, .. })
    }

    /// Whether a write that ended so was certainly not carried out.
    pub(super) fn spared(&self) -> bool {
        match self {
            Self::NotConnected | Self::NoToken(_) => true,
            Self::NoReply => false,
            Self::Answered { status, .. } => (300..500).contains(status) && *status != 408,
        }
    }

    /// What to do about it: the setting, role or rule to look at.
    fn remedy(&self) -> &'static str {
        let (status, code) = match self {
            Self::NoToken(_) => return "nothing was sent to the storage account",
            Self::NotConnected => {
                return "check the account's name in AzureWebJobsStorage, and whether this app may reach it (DNS, network rules, proxy)";
            }
            Self::NoReply => return "it is tried again",
            Self::Answered { status, code } => (*status, code.as_str()),
        };
        match (status, code) {
            (403, "AuthenticationFailed") => {
                "check what opens the account (the key or signature in AzureWebJobsStorage, or the identity in its place), and this machine's clock"
            }
            (403, "AuthorizationFailure") => {
                "check the network rules of the storage account, and the key, signature or role that AzureWebJobsStorage opens it with"
            }
            (403, "KeyBasedAuthenticationNotPermitted") => {
                "the account takes no account keys: set AzureWebJobsStorage__accountName in place of the connection string"
            }
            (403, "AccountIsDisabled") => "the storage account is disabled: enable it",
            (403, "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions") => {
                "give the app's identity the role Storage Blob Data Owner on the storage account (a new role takes some minutes); a signature needs ss=b, srt=co \
                 and sp=rwc"
            }
            (401 | 403, _) => "check that AzureWebJobsStorage is this app's own, and that its identity has the role Storage Blob Data Owner there",
            (404, _) => "check the address of the storage account in AzureWebJobsStorage",
            (409, "ContainerBeingDeleted") => "the container was deleted a moment ago; Azure lets it be made again after about 30 s",
            (409, "BlobImmutableDueToPolicy") => "exempt the container exact-token-broker from the account's immutability policy",
            (408 | 429 | 500.., _) => "it is tried again",
            _ => "look for this code in Microsoft's page \"Blob Storage error codes\"",
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("no connection")?,
            Self::NoToken(why) => f.write_str(why)?,
            Self::NoReply => f.write_str("no answer")?,
            Self::Answered { status, code } if code.is_empty() => write!(f, "status {status}")?,
            Self::Answered { status, code } => write!(f, "status {status} {code}")?,
        }
        write!(f, "; {}", self.remedy())
    }
}

#[cfg(test)]
mod tests {
    use azure_core::http::StatusCode;

    use super::*;

    fn answered(status: StatusCode, code: Option<&str>) -> StorageError {
        let kind = ErrorKind::HttpResponse { status, error_code: code.map(str::to_owned), raw_response: None };
        azure_core::Error::with_message(kind, "made-up-canary").with_context("made-up-canary").into()
    }

    #[test]
    fn an_answer_is_its_status_and_its_code() {
        let error = answered(StatusCode::Forbidden, Some("AuthorizationPermissionMismatch"));
        assert_eq!(
            error.to_string(),
            "status 403 AuthorizationPermissionMismatch; give the app's identity the role Storage Blob Data Owner on the storage account (a new role takes \
             some minutes); a signature needs ss=b, srt=co and sp=rwc"
        );
        assert!(error.spared());
    }

    #[test]
    fn what_is_no_code_is_not_repeated() {
        for code in
            ["made-up canary", "https://made-up?sig=canary", "", "403", "<b>", "canary", "MadeUpCanary", "blobnotfound", "BlobNotFound canary"]
        {
            let error = answered(StatusCode::BadGateway, Some(code));
            assert_eq!(error, StorageError::Answered { status: 502, code: String::new() });
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        assert_eq!(answered(StatusCode::BadGateway, None).to_string(), "status 502; it is tried again");
    }

    /// Those that something here depends on among them.
    #[test]
    fn what_the_service_is_known_for_is_passed_on() {
        for code in [
            "AuthenticationFailed",
            "AuthorizationFailure",
            "AuthorizationPermissionMismatch",
            "InsufficientAccountPermissions",
            "InvalidAuthenticationInfo",
            "KeyBasedAuthenticationNotPermitted",
            "AccountIsDisabled",
            "BlobNotFound",
            "ContainerNotFound",
            "ContainerAlreadyExists",
            "ContainerBeingDeleted",
            "BlobAlreadyExists",
            "BlobImmutableDueToPolicy",
            "ConditionNotMet",
            "InvalidMd5",
            "LeaseAlreadyPresent",
            "LeaseIsBreakingAndCannotBeAcquired",
            "LeaseIdMissing",
            "LeaseIdMismatchWithLeaseOperation",
            "LeaseIdMismatchWithBlobOperation",
            "ServerBusy",
        ] {
            assert_eq!(answered(StatusCode::Conflict, Some(code)), StorageError::Answered { status: 409, code: code.to_owned() });
        }
    }

    #[test]
    fn only_a_request_that_never_left_or_was_refused_has_spared_the_blob() {
        let of = |kind: ErrorKind| StorageError::from(azure_core::Error::with_message(kind, "made-up").with_context("made-up"));
        assert!(of(ErrorKind::Connection).spared());
        assert!(of(ErrorKind::Credential).spared());
        assert!(!of(ErrorKind::Io).spared());
        assert!(!of(ErrorKind::DataConversion).spared());
        for (status, spared) in
            [(200, false), (307, true), (400, true), (404, true), (408, false), (412, true), (429, true), (500, false), (503, false)]
        {
            assert_eq!(answered(StatusCode::from(status), None).spared(), spared, "{status}");
        }
    }

    #[test]
    fn only_the_service_can_say_that_the_blob_is_missing() {
        assert!(answered(StatusCode::NotFound, Some("BlobNotFound")).is_missing());
        assert!(answered(StatusCode::NotFound, Some("ContainerNotFound")).is_missing());
        assert!(!answered(StatusCode::NotFound, Some("ResourceNotFound")).is_missing());
        assert!(!answered(StatusCode::NotFound, None).is_missing());
        assert!(!answered(StatusCode::Gone, Some("BlobNotFound")).is_missing());
    }
}
