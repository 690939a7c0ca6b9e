//! What surrounds an exchange while a person waits: before the log-in the store is proven and whose the stored chain is is asked; after one by another
//! user somebody decides.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::exchange::{EXCHANGE, ExchangeError, Exchanged};
use super::{Loaded, Pass, Stop, TRY_LOCK_EVERY};
use crate::ports::{ConsentEndpoint, Etag, LockError, VaultError};
use crate::refresh_token::lease::Lease;
use crate::refresh_token::{LookError, Outcome, PASS, Refresher};
use crate::token::schedule::Why;
use crate::token::{Ledger, VersionId};

/// How long another process may hold the lock meanwhile.
pub(super) const LOCK_WITHIN: Duration = Duration::from_secs(45);

/// What a person says of a pair that waits to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is meant: a new epoch.
    Connect,
    /// It is not: all stays as it was.
    LeaveIt,
}

impl Refresher {
    /// Before a person logs in: the store has to take a pair, whose the stored one is is asked while it can be, and refreshes are made to keep away.
    /// Where another process is at work nothing is done; the exchange proves the store again.
    pub async fn prepare(&self, endpoint: &dyn ConsentEndpoint) -> Result<(), ExchangeError> {
        let pass = Pass { this: self, policy: self.policy.clone(), end: self.clock.monotonic() + EXCHANGE };
        let lease = match self.take_lock().await {
            Ok(lease) => lease,
            Err(LockError::Held) => return Ok(()),
            Err(error @ LockError::Unavailable(_)) => return Err(ExchangeError::Store(error.to_string())),
        };
        let prepared = pass.prepare(&lease, endpoint).await;
        lease.release().await;
        prepared
    }

    /// Waits for so long until the grant that is not stored yet is. Why it is not, if it is not. A pass that is running already is joined, and it may
    /// try for much longer: it goes on without whoever waited.
    pub async fn save_unsaved(self: &Arc<Self>, within: Duration) -> Option<String> {
        self.unsaved()?;
        let outcome = tokio::select! {
            biased;
            outcome = Box::pin(self.pass(self.policy.mode, self.clock.monotonic() + PASS)) => Some(outcome),
            () = self.clock.sleep(within) => None,
        };
        self.unsaved()?;
        Some(match outcome {
            Some(Outcome::Unsaved(why)) => why,
            Some(_) => "it was not tried to the end".to_owned(),
            None => format!("the store has not taken them within {} s", within.as_secs()),
        })
    }

    /// Whether another installation's lock guards the stored chain: the log-in alone would end that. The store was looked at just now.
    #[must_use]
    pub fn is_of_another_lock(&self) -> bool {
        self.view().head.is_some_and(|head| head.lock_id != self.policy.lock_id)
    }

    /// A person says whether the consent that is kept aside is meant. None: all stays as it was.
    pub async fn decide(&self, version: &VersionId, decision: Decision) -> Result<Option<Exchanged>, ExchangeError> {
        let pass = Pass { this: self, policy: self.policy.clone(), end: self.clock.monotonic() + EXCHANGE };
        let lease = pass.lock_for_a_person().await?;
        let decided = match decision {
            Decision::Connect => pass.confirm(&lease, version).await.map(Some),
            Decision::LeaveIt => pass.discard(&lease, version).await.map(|()| None),
        };
        lease.release().await;
        decided
    }
}

impl Pass<'_> {
    /// As [`Pass::take_lock`], but whoever holds it is not doing this work.
    pub(super) async fn lock_for_a_person(&self) -> Result<Lease, ExchangeError> {
        let clock = &self.this.clock;
        let until = clock.monotonic() + LOCK_WITHIN;
        loop {
            match self.this.take_lock().await {
                Ok(lease) => return Ok(lease),
                Err(LockError::Held) if clock.monotonic() < until => clock.sleep(TRY_LOCK_EVERY).await,
                Err(LockError::Held) => return Err(ExchangeError::Busy),
                Err(error @ LockError::Unavailable(_)) => return Err(ExchangeError::Store(error.to_string())),
            }
        }
    }

    async fn prepare(&self, lease: &Lease, endpoint: &dyn ConsentEndpoint) -> Result<(), ExchangeError> {
        let (ledger, etag, _) = self.this.stored_ledger().await?;
        let mut loaded = self.with_head(ledger, etag).await?;
        self.prove_writable_for_a_person(lease, &mut loaded).await?;
        let identified = self.identify(endpoint, &mut loaded).await;
        let held_off = loaded.ledger.hold_off(self.this.ledger.now());
        // Where there is no ledger yet, this is not what makes one.
        if loaded.etag.is_some() && (identified || held_off) && self.commit(lease, &mut loaded).await.is_err() {
            warn!("refreshes were not told to keep away during the log-in");
        }
        Ok(())
    }

    /// Asks Exact whose the stored chain is, where nobody has asked yet: an imported one, for instance. A consent by somebody else has to be confirmed,
    /// and without this nobody would know.
    pub(super) async fn identify(&self, endpoint: &dyn ConsentEndpoint, loaded: &mut Loaded) -> bool {
        let unknown = loaded.ledger.head.as_ref().is_some_and(|head| head.user.is_none());
        let Some((version, credential)) = loaded.head.as_ref().filter(|(_, head)| unknown && head.chain.same_app(&self.policy.chain)) else {
            return false;
        };
        let living = credential.access.as_ref().filter(|access| access.expires_at > self.this.ledger.now());
        let Some(access) = living else { return false };
        let Some(person) = endpoint.me(&access.value).await else { return false };
        let (version, credential) = (version.clone(), Arc::clone(credential));
        loaded.ledger.identified(person);
        loaded.head = loaded.ledger.head.as_ref().map(|head| (version, credential.as_head(head)));
        true
    }

    /// A store that does not take the pairs at hand would not take another.
    pub(super) async fn save_first(&self, lease: &Lease) -> Result<(), ExchangeError> {
        while let Some(unsaved) = self.this.unsaved() {
            let (loaded, _) = self.load_for_a_person().await?;
            match self.save(lease, loaded, unsaved).await {
                Ok(Outcome::Unsaved(why)) | Err(Stop::Ended(Outcome::Unsaved(why))) => {
                    return Err(ExchangeError::Store(format!("an earlier pair of tokens is not stored yet: {why}")));
                }
                Ok(_) => {}
                Err(stop) => return Err(stop.into()),
            }
        }
        Ok(())
    }

    async fn confirm(&self, lease: &Lease, version: &VersionId) -> Result<Exchanged, ExchangeError> {
        let this = self.this;
        self.save_first(lease).await?;
        let (mut loaded, _) = self.load_for_a_person().await?;
        let person = loaded.ledger.consents.pending.as_ref().and_then(|pending| pending.person.clone());
        let replaced = loaded.ledger.head.is_some();
        if !loaded.ledger.confirm(version) {
            return Err(ExchangeError::Overtaken);
        }
        let credential = Arc::new(this.vault.get(version).await.map_err(LookError::from)?);
        if !credential.chain.same_app(&self.policy.chain) {
            return Err(ExchangeError::Store(Why::OtherApp.to_string()));
        }
        if let Some(head) = &loaded.ledger.head {
            loaded.head = Some((version.clone(), credential.as_head(head)));
        }
        this.vault.writer().clone_into(&mut loaded.ledger.writer);
        loaded.ledger.lock_id = this.ledger.lock_id();
        self.commit(lease, &mut loaded).await?;
        let epoch = loaded.ledger.epoch;
        this.learn(loaded.ledger, loaded.head, false);
        Ok(Exchanged::Connected { epoch, replaced, person })
    }

    async fn discard(&self, lease: &Lease, version: &VersionId) -> Result<(), ExchangeError> {
        let (mut loaded, _) = self.load_for_a_person().await?;
        if !loaded.ledger.discard(version) {
            return Err(ExchangeError::Overtaken);
        }
        self.commit(lease, &mut loaded).await?;
        self.this.learn(loaded.ledger, loaded.head, false);
        Ok(())
    }

    /// What is stored, for somebody who begins anew, and the highest epoch.
    pub(super) async fn load_for_a_person(&self) -> Result<(Loaded, u64), ExchangeError> {
        let (mut ledger, etag, epoch) = self.this.stored_ledger().await?;
        if let Err(problem) = self.this.take_over_found(&mut ledger).await {
            warn!("what open attempts left in the store was not looked for: {problem}");
        }
        // What was found may have begun an epoch.
        let epoch = epoch.max(ledger.epoch);
        Ok((self.with_head(ledger, etag).await?, epoch))
    }

    /// A head that is damaged or gone does not stand in the way: a new chain may be what mends it. A vault that is away does.
    async fn with_head(&self, ledger: Ledger, etag: Option<Etag>) -> Result<Loaded, ExchangeError> {
        let head = match self.this.read_head(&ledger).await {
            Ok(head) => head,
            Err(LookError::Damaged(_)) => None,
            Err(problem @ LookError::Unavailable(_)) => return Err(problem.into()),
        };
        let guarded_by = head.as_ref().map_or(&ledger.lock_id, |(_, head)| &head.lock_id);
        if *guarded_by != self.policy.lock_id {
            return Err(ExchangeError::Store(format!("{}; {}", Why::OtherLock, Why::OtherLock.remedy())));
        }
        Ok(Loaded { ledger, etag, head })
    }

    /// A code is worth a log-in with MFA: it is not spent where its pair could not be stored.
    pub(super) async fn prove_writable_for_a_person(&self, lease: &Lease, loaded: &mut Loaded) -> Result<(), ExchangeError> {
        let proven = if loaded.head.is_some() { self.prove_writable(lease, loaded).await? } else { Err(VaultError::Unclear) };
        match proven {
            Ok(()) => Ok(()),
            // There is nothing yet to prove it with.
            Err(_) if loaded.head.is_none() => self.this.vault.prove_first_write().await.map_err(|error| ExchangeError::Store(error.to_string())),
            Err(error) => Err(ExchangeError::Store(error.to_string())),
        }
    }
}
