//! Steps 10 to 12: a grant becomes durable, or what went wrong is recorded; and every write of the ledger.

use std::time::Duration;

use jiff::SignedDuration;
use tracing::{error, warn};

use super::{CONFLICTS, Loaded, Pass, Stop};
use crate::ports::{VaultError, WriteError};
use crate::refresh_token::bounded::STORE_CALL;
use crate::refresh_token::lease::Lease;
use crate::refresh_token::memory::{BroughtBy, Unsaved};
use crate::refresh_token::{LookError, Outcome};
use crate::token::ledger::FailureKind;
use crate::token::reply::NotSent;
use crate::token::rotation::Landed;
use crate::token::{AttemptId, Credential, Pointer, VersionId};

/// Between two tries to store a grant, doubled each time.
pub(super) const STORE_AGAIN_AFTER: Duration = Duration::from_secs(2);
pub(super) const STORE_AGAIN_MOST: Duration = Duration::from_secs(15);

impl Pass<'_> {
    /// Steps 10 and 11: the grant becomes a version, then the head. Tries until it is durable or the time is up.
    pub(super) async fn save(&self, lease: &Lease, mut loaded: Loaded, mut unsaved: Unsaved) -> Result<Outcome, Stop> {
        let this = self.this;
        let version = if let Some(version) = &unsaved.version {
            version.clone()
        } else {
            let version = self.store(lease, &unsaved.credential).await?;
            unsaved.version = Some(version.clone());
            this.memory.stored_as(&unsaved.credential.attempt, version.clone());
            version
        };
        // Whose a log-in is may have been told while the vault took its time.
        if let Some(known) = this.memory.unsaved_of(&unsaved.credential.attempt) {
            unsaved.brought_by = known.brought_by;
        }
        let pointer = Pointer::to(version.clone(), &unsaved.credential);
        let attempt = &unsaved.credential.attempt;
        if let Some(problem) = unsaved.odd
            && loaded.ledger.open.iter().any(|open| open.id == *attempt && open.unclear_since.is_none())
        {
            loaded.ledger.record(attempt, self.recorded(FailureKind::Unclear(problem), None), unsaved.credential.granted_at);
        }
        let landed = match &unsaved.brought_by {
            BroughtBy::Consent { person, sent, .. } => loaded.ledger.consent_saved(attempt, pointer, person.clone(), *sent),
            BroughtBy::Refresh(_) if unsaved.odd.is_some() => loaded.ledger.odd_grant_saved(pointer),
            BroughtBy::Refresh(sent_from) => loaded.ledger.grant_saved(attempt, pointer, sent_from),
        };
        if let (Landed::Head, Some(head)) = (landed, &loaded.ledger.head) {
            this.vault.writer().clone_into(&mut loaded.ledger.writer);
            loaded.ledger.lock_id = unsaved.credential.lock_id.clone();
            loaded.head = Some((head.version.clone(), unsaved.credential.as_head(head)));
        }
        match self.commit(lease, &mut loaded).await {
            Ok(()) => {}
            Err(Stop::Ended(Outcome::StoreFailed(problem))) => return Ok(Outcome::Unsaved(problem.to_string())),
            Err(stop) => return Err(stop),
        }
        this.learn(loaded.ledger.clone(), loaded.head.clone(), false);
        this.memory.saved(attempt);
        Ok(unsaved.odd.map_or(Outcome::Refreshed, |problem| Outcome::Failed(FailureKind::Unclear(problem))))
    }

    /// Step 10: adds the version. After a write that was not confirmed it looks before it writes again; twice the same grant does no harm.
    pub(super) async fn store(&self, lease: &Lease, credential: &Credential) -> Result<VersionId, Stop> {
        let vault = &self.this.vault;
        let mut pause = STORE_AGAIN_AFTER;
        loop {
            if lease.lost() {
                return Err(Stop::LockLost);
            }
            let problem = match vault.put(credential).await {
                Ok(version) => return Ok(version),
                Err(problem) => problem,
            };
            if problem == VaultError::Unclear
                && let Some(version) = self.look_for(&credential.attempt).await
            {
                return Ok(version);
            }
            error!("A NEW PAIR OF TOKENS IS NOT STORED YET, it is kept in memory and tried again: {problem}");
            if self.time_left() < pause {
                return Err(Stop::Ended(Outcome::Unsaved(problem.to_string())));
            }
            self.this.clock.sleep(pause).await;
            pause = (pause * 2).min(STORE_AGAIN_MOST);
        }
    }

    /// Step 10 without the lock, for a grant that an earlier try did not get stored: a version more does no harm, and with its attempt's name on it
    /// any process can take it over. The ledger follows under the lock.
    pub(super) async fn store_without_lock(&self) {
        let this = self.this;
        let Some(unsaved) = this.unsaved().filter(|unsaved| unsaved.version.is_none()) else { return };
        let version = match this.vault.put(&unsaved.credential).await {
            Ok(version) => Some(version),
            Err(VaultError::Unclear) => self.look_for(&unsaved.credential.attempt).await,
            Err(_) => None,
        };
        if let Some(version) = version {
            this.memory.stored_as(&unsaved.credential.attempt, version);
        }
    }

    /// The version that an attempt brought, if it is there. In a vault of very many versions it is not looked for to the end: the time is for storing.
    async fn look_for(&self, attempt: &AttemptId) -> Option<VersionId> {
        tokio::select! {
            biased;
            entries = self.this.vault.list() => entries.ok()?.into_iter().find(|entry| entry.attempt.as_ref() == Some(attempt)).map(|entry| entry.version),
            () = self.this.clock.sleep(STORE_CALL) => None,
        }
    }

    /// Step 12: what became of the attempt. If that cannot be written, the attempt stays open and its quarantine tells the others.
    pub(super) async fn record(
        &self,
        lease: &Lease,
        mut loaded: Loaded,
        attempt: &AttemptId,
        what: FailureKind,
        retry_after: Option<SignedDuration>,
    ) -> Result<Outcome, Stop> {
        let now = self.this.ledger.now();
        for _ in 0..CONFLICTS {
            loaded.ledger.record(attempt, self.recorded(what, retry_after), now);
            match self.commit(lease, &mut loaded).await {
                Ok(()) => {
                    // A candidate may have taken the head's place; it is read when it is needed.
                    let same = loaded.ledger.head.as_ref().map(|head| &head.version) == loaded.head.as_ref().map(|(version, _)| version);
                    if same {
                        self.this.learn(loaded.ledger, loaded.head, false);
                    } else {
                        // If that fails, memory stays as it was; what is reported is what became of the request.
                        drop(self.this.look_alone().await);
                    }
                    break;
                }
                Err(stop) => {
                    let read_again = matches!(stop, Stop::Conflict) && !lease.lost();
                    let again = if read_again { self.load(lease).await.ok() } else { None };
                    let Some(again) = again else {
                        warn!("what became of the request could not be recorded; it stays open");
                        break;
                    };
                    loaded = again;
                }
            }
        }
        Ok(Outcome::Failed(what))
    }

    /// Records a failure before any attempt was announced. If the ledger is not writable either, nothing is recorded and nothing is sent.
    pub(super) async fn back_off_unannounced(&self, lease: &Lease, loaded: Loaded, cause: NotSent) -> Result<Outcome, Stop> {
        self.record(lease, loaded, &AttemptId(String::new()), FailureKind::NotSent(cause), None).await
    }

    /// Writes the ledger over what was read. A reply that was lost is made up for by reading back.
    pub(super) async fn commit(&self, lease: &Lease, loaded: &mut Loaded) -> Result<(), Stop> {
        let store = &self.this.ledger;
        loaded.ledger.generation += 1;
        loaded.etag = match store.write(lease.owner(), &loaded.ledger, loaded.etag.as_ref()).await {
            Ok(etag) => Some(etag),
            Err(WriteError::Conflict) => return Err(if lease.renewed().await { Stop::Conflict } else { Stop::LockLost }),
            Err(WriteError::NotWritable(why)) => return Err(LookError::Unavailable(why).into()),
            Err(WriteError::Unclear) => match store.read().await.map_err(LookError::from)? {
                Some(snapshot) if snapshot.ledger == loaded.ledger => Some(snapshot.etag),
                _ => return Err(Stop::Conflict),
            },
        };
        Ok(())
    }
}
