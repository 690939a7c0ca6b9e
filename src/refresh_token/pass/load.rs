//! Step 3: what is stored now, and what of it has to be put right before anything is decided.

use std::sync::Arc;

use tracing::{info, warn};

use super::{Loaded, Pass, Stop};
use crate::refresh_token::LookError;
use crate::refresh_token::lease::Lease;
use crate::token::Ledger;

impl Pass<'_> {
    /// Step 3: what is stored now, read under the lock. A ledger that is gone is rebuilt from the vault's versions.
    pub(super) async fn load(&self, lease: &Lease) -> Result<Loaded, Stop> {
        let this = self.this;
        if let Some(snapshot) = this.ledger.read().await.map_err(LookError::from)? {
            let head = this.read_head(&snapshot.ledger).await?;
            return Ok(Loaded { ledger: snapshot.ledger, etag: Some(snapshot.etag), head });
        }
        let versions = this.latest_versions().await?;
        let empty = Ledger::begin(this.ledger.lock_id(), this.vault.writer());
        if versions.is_empty() {
            return Ok(Loaded { ledger: empty, etag: None, head: None });
        }
        warn!("the ledger is gone: it is rebuilt from the latest {} versions of the secret", versions.len());
        let ledger = Ledger::rebuild(versions.clone(), this.ledger.now(), empty);
        let head = ledger.head.as_ref().and_then(|head| versions.into_iter().find(|(version, _)| *version == head.version));
        let head = head.map(|(version, credential)| (version, Arc::new(credential)));
        let mut loaded = Loaded { ledger, etag: None, head };
        self.commit(lease, &mut loaded).await?;
        Ok(loaded)
    }

    /// Step 3: a version that an open attempt left in the vault is taken over. True if the head moved.
    pub(super) async fn adopt(&self, lease: &Lease, loaded: &mut Loaded) -> Result<bool, Stop> {
        if loaded.ledger.open.is_empty() {
            return Ok(false);
        }
        let found = self.this.take_over_found(&mut loaded.ledger).await?;
        if !found.changed {
            return Ok(false);
        }
        let moved = found.head.is_some();
        if found.pending {
            warn!(
                "a pair of tokens was found whose log-in was cut off before anybody knew whose it is: it is kept, and the page Consent asks whether \
                 it is meant"
            );
        }
        if let Some(head) = found.head {
            info!("a pair of tokens that an earlier process had stored was found and taken over");
            loaded.head = Some(head);
        }
        self.commit(lease, loaded).await?;
        Ok(moved)
    }

    /// Step 3: times ahead of the clock mean that the clock went back. They become now, which only ever makes us wait longer.
    pub(super) async fn reanchor(&self, lease: &Lease, loaded: &mut Loaded) -> Result<(), Stop> {
        let now = self.this.ledger.now();
        if loaded.ledger.is_ahead_of(loaded.credential(), now) {
            warn!("the clock is behind times that are stored: what waits on them is counted from now");
            loaded.ledger.reanchor(now);
            self.commit(lease, loaded).await?;
        }
        Ok(())
    }
}
