//! The identity endpoint, as the SDK's credential for it would give tokens.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::OffsetDateTime;
use exact_token_broker::azure::identity::{Credentials, in_time};

use super::carry;
use crate::world::{ProcessId, World};

/// So far in the future that no client renews a token by the machine's clock, which is not the world's: only being refused makes it ask again.
const FAR: i64 = 4_000_000_000;

/// The credential of one process.
struct Identity {
    world: World,
    process: ProcessId,
}

/// What makes credentials for a process, as the shipped ones are bounded.
#[must_use]
pub fn credentials(world: &World, process: ProcessId) -> Credentials {
    let world = world.clone();
    Arc::new(move || Ok(in_time(Arc::new(Identity { world: world.clone(), process }))))
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let (takes, given) = {
            let now = self.world.time.now();
            let mut state = self.world.state();
            let mut random = state.random.fork();
            let drawn = state.weather.identity(now, &mut random);
            if !drawn.1 {
                state.strike(now, self.process);
                state.facts.count("fault identity: no token");
                state.note(now, self.process, "identity gives no token");
            }
            drawn
        };
        let Some(takes) = takes else { return std::future::pending().await };
        let token = carry(&self.world, takes, |state, _| (state.identity_token(), Some(std::time::Duration::ZERO)), |_, _, _| {}).await;
        match token.filter(|_| given) {
            Some(token) => Ok(AccessToken::new(token, OffsetDateTime::from_unix_timestamp(FAR).unwrap_or(OffsetDateTime::UNIX_EPOCH))),
            None => Err(Error::with_message(ErrorKind::Credential, "made up: no token")),
        }
    }
}
