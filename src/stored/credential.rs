//! The form of a credential.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::form::{form_by_twin, one, optional};
use crate::token::{AccessToken, AttemptId, ChainIdentity, Credential, LockId, Secret};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Credential")]
struct CredentialForm {
    #[serde(with = "one")]
    refresh_token: Secret,
    #[serde(with = "optional")]
    access: Option<AccessToken>,
    #[serde(with = "one")]
    granted_at: Timestamp,
    #[serde(with = "one")]
    renewable_at: Timestamp,
    #[serde(with = "one")]
    attempt: AttemptId,
    #[serde(with = "one")]
    epoch: u64,
    #[serde(with = "one")]
    lock_id: LockId,
    #[serde(with = "one")]
    chain: ChainIdentity,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AccessToken")]
struct AccessTokenForm {
    #[serde(with = "one")]
    value: Secret,
    #[serde(with = "one")]
    expires_at: Timestamp,
    #[serde(with = "one", rename = "lifetime_seconds")]
    lifetime: SignedDuration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ChainIdentity")]
struct ChainIdentityForm {
    base_url: String,
    client_id: String,
    user: Option<String>,
}

form_by_twin!(Credential, CredentialForm);
form_by_twin!(AccessToken, AccessTokenForm);
form_by_twin!(ChainIdentity, ChainIdentityForm);
