//! How a chain begins: a refresh token that exists already is taken over.

use std::sync::Arc;

use tracing::warn;

use crate::ports::{LockError, VaultError, WriteError};
use crate::refresh_token::lease::Lease;
use crate::refresh_token::{LookError, Refresher};
use crate::token::{AttemptId, Credential, Pointer, Secret};

/// Exact's refresh tokens have some 500 to 720 characters; what is far from that is something else that was pasted.
const TOKEN_LENGTHS: std::ops::RangeInclusive<usize> = 20..=4096;

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The new epoch.
    pub epoch: u64,
    /// Whether there was a chain before. Its token stays in the store.
    pub replaced: bool,
}

/// Why nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// What was given is no refresh token.
    #[error("that is no refresh token: {0}")]
    NotAToken(&'static str),
    /// There is a chain.
    #[error("a token chain is stored already; to put this token in its place, repeat with --replace (the stored one is kept as a version)")]
    AlreadyConnected,
    /// Two locks over one chain are no lock.
    #[error(
        "the stored tokens were got under another lock than this installation uses: another one may be refreshing them. Check AzureWebJobsStorage; if \
         the storage was moved and nothing else uses these tokens any more, take them over with `exact-token-broker adopt`, then repeat"
    )]
    OtherLock,
    /// Another process is at work.
    #[error("another process is at work on the tokens; try again in a minute")]
    Locked,
    /// Nothing was changed.
    #[error(transparent)]
    Store(#[from] LookError),
    /// The token may be stored or not.
    #[error("the store did not confirm that the token was taken over; look at the status before you try again")]
    Unclear,
}

impl Refresher {
    /// Takes over a refresh token that a person has from elsewhere. It is not spent here; its age is unknown, so the next tick is due.
    pub async fn import(self: &Arc<Self>, refresh_token: Secret, replace: bool) -> Result<Imported, ImportError> {
        // Editors and shells of Windows put a byte order mark before a text.
        let refresh_token = Secret::new(refresh_token.reveal().trim_start_matches('\u{feff}').trim());
        plausible(refresh_token.reveal())?;
        let lease = self.take_lock().await.map_err(|error| match error {
            LockError::Held => ImportError::Locked,
            LockError::Unavailable(why) => LookError::Unavailable(why).into(),
        })?;
        let imported = self.import_under_lock(&lease, refresh_token, replace).await;
        lease.release().await;
        imported
    }

    async fn import_under_lock(&self, lease: &Lease, refresh_token: Secret, replace: bool) -> Result<Imported, ImportError> {
        let (mut ledger, etag, highest_epoch) = self.stored_ledger().await?;
        // What a process that died had been granted is kept beside the new token; but what cannot be read keeps nobody from connecting again.
        if let Err(problem) = self.take_over_found(&mut ledger).await {
            warn!("what open attempts left in the store was not looked for: {problem}");
        }
        let replaced = ledger.head.is_some();
        if replaced && !replace {
            return Err(ImportError::AlreadyConnected);
        }
        // What cannot be read any more is no reason not to begin anew.
        let head = self.read_head(&ledger).await.ok().flatten().map(|(_, head)| head);
        if head.as_ref().is_some_and(|head| head.lock_id != self.ledger.lock_id()) {
            return Err(ImportError::OtherLock);
        }
        let now = self.ledger.now();
        // The token that is stored already has its age, and perhaps an access token that lives.
        let known = head.filter(|head| head.refresh_token.reveal() == refresh_token.reveal());
        let credential = Credential {
            refresh_token,
            access: known.as_ref().and_then(|known| known.access.clone()),
            granted_at: known.as_ref().map_or(now, |known| known.granted_at),
            renewable_at: known.as_ref().map_or(now, |known| known.renewable_at),
            attempt: AttemptId(uuid::Uuid::new_v4().to_string()),
            epoch: highest_epoch + 1,
            lock_id: self.ledger.lock_id(),
            chain: self.policy.chain.clone(),
        };
        let version = match self.vault.put(&credential).await {
            Ok(version) => version,
            Err(VaultError::Unclear) => return Err(ImportError::Unclear),
            Err(problem) => return Err(LookError::from(problem).into()),
        };
        ledger.new_epoch(Pointer::to(version, &credential));
        ledger.generation += 1;
        ledger.lock_id = self.ledger.lock_id();
        self.vault.writer().clone_into(&mut ledger.writer);
        match self.ledger.write(lease.owner(), &ledger, etag.as_ref()).await {
            Ok(_) => Ok(Imported { epoch: credential.epoch, replaced }),
            Err(WriteError::Conflict) => Err(ImportError::Locked),
            Err(WriteError::NotWritable(why)) => Err(LookError::Unavailable(why).into()),
            Err(WriteError::Unclear) => {
                warn!("the ledger's store did not confirm the import");
                Err(ImportError::Unclear)
            }
        }
    }
}

/// Catches what people paste by mistake, before it takes the place of something that works.
pub fn plausible(token: &str) -> Result<(), ImportError> {
    let problem = if token.is_empty() {
        "nothing was given on standard input"
    } else if token.starts_with('{') {
        "it looks like the whole JSON reply; give the value of \"refresh_token\" alone"
    } else if token.starts_with('"') || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        "it contains quotes, white space or characters that no token has"
    } else if token.contains('%') {
        "it is percent-encoded; give it decoded (%21 is !)"
    } else if !TOKEN_LENGTHS.contains(&token.len()) {
        "its length is not that of a refresh token"
    } else {
        return Ok(());
    };
    Err(ImportError::NotAToken(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_by_mistake_is_told_apart() {
        let long = "x".repeat(5000);
        for (pasted, expected) in [
            ("", "nothing was given"),
            ("{\"refresh_token\":\"made-up-refresh-token\"}", "whole JSON reply"),
            ("\"made-up-refresh-token-1\"", "quotes"),
            ("made-up-refresh token-1", "white space"),
            ("made-up-refresh-token-1\r\nsecond-line", "white space"),
            ("made-up-refresh-t\u{200b}oken-1", "no token has"),
            ("made-up-refresh-tokén-1", "no token has"),
            ("stampNL001.AbCd%21made-up-token", "percent-encoded"),
            ("made-up", "length"),
            (&long, "length"),
        ] {
            let error = plausible(pasted).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(pasted.is_empty() || !error.to_string().contains(pasted));
        }
        assert_eq!(plausible("stampNL001.AbCd!IAAAA-made_up"), Ok(()));
    }

    mod fuzz {
        use fuzzing::Target;

        #[test]
        fn imported_text() {
            let words = ["stampNL001.AbCd!IAAAA", "{\"refresh_token\":\"", "%21", "\"", "\u{feff}"];
            Target::new("imported-text").words(&words).longest(8192).run(|input| {
                let text = String::from_utf8_lossy(input);
                match super::super::plausible(text.trim_start_matches('\u{feff}').trim()) {
                    Ok(()) => String::new(),
                    Err(error) => format!("{error} {error:?}"),
                }
            });
        }
    }
}
