//! An identity whose token comes soon or not at all.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;

/// An identity endpoint that is away holds the crate's own credential for 81 s.
const TOKEN_WITHIN: Duration = Duration::from_secs(8);

/// Fails with [`ErrorKind::Credential`] and a [`NoToken`] whatever went wrong, so that "no token" is never taken for "no reply to a write".
#[derive(Debug)]
pub(super) struct BoundedCredential(pub(super) Arc<dyn TokenCredential>);

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoToken {
    #[error("the identity endpoint did not answer in time")]
    Late,
    #[error("the identity endpoint answered with status {0}")]
    Refused(u16),
    #[error("no token could be got for the identity")]
    Failed,
}

#[async_trait]
impl TokenCredential for BoundedCredential {
    async fn get_token(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let why = match tokio::time::timeout(TOKEN_WITHIN, self.0.get_token(scopes, options)).await {
            Ok(Ok(token)) => return Ok(token),
            Ok(Err(error)) => status_of(&error).map_or(NoToken::Failed, NoToken::Refused),
            Err(_) => NoToken::Late,
        };
        Err(azure_core::Error::with_error(ErrorKind::Credential, why, "no token"))
    }
}

/// The crates wrap the reply's error in others.
fn status_of(error: &azure_core::Error) -> Option<u16> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(status) = error.downcast_ref::<azure_core::Error>().and_then(azure_core::Error::http_status) {
            return Some(status.into());
        }
        next = error.source();
    }
    None
}
