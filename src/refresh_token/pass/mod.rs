//! One refresh, step by step:
//!
//! 1. look (the caller has done that);
//! 2. take the lock;
//! 3. load again, adopt what an open attempt left behind, rebuild a lost ledger;
//! 4. check;
//! 5. prove the vault writable;
//! 6. announce the attempt;
//! 7. make sure of the lock and of the time;
//! 8. send;
//! 9. keep the grant;
//! 10. store the version;
//! 11. move the head;
//! 12. or record what went wrong.
//!
//! Step 3 is in `load.rs`, steps 10 to 12 are in `save.rs`. A consent's exchange of a code, [`exchange`], goes the same way; [`person`] is what
//! surrounds that.
//!
//! Whatever is killed wherever: what is stored at that moment is something that a fresh process goes on from.

pub mod exchange;
mod load;
pub mod person;
mod save;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tracing::{error, info, warn};

use self::save::{STORE_AGAIN_AFTER, STORE_AGAIN_MOST};
use super::lease::Lease;
use super::memory::{BroughtBy, Unsaved};
use super::{LookError, Outcome, REQUEST_NEEDS, Refresher};
use crate::patience::Patience;
use crate::ports::{Etag, LockError, VaultError};
use crate::token::failure::Outcome as Recorded;
use crate::token::ledger::{ANSWER_WITHIN, FailureKind, SEND_WITHIN};
use crate::token::reply::{NotSent, Unclear};
use crate::token::rotation::SentFrom;
use crate::token::schedule::{Due, Mode, Policy, due};
use crate::token::{AttemptId, Credential, Fingerprint, Ledger, Reply, Secret, VersionId};

/// The adapter ends by itself; a few seconds later the pass does, whatever the adapter does.
const REPLY_WITHIN: Duration = Duration::from_secs(ANSWER_WITHIN.unsigned_abs().as_secs() + 5);
/// How often a lock that another process holds is tried.
const TRY_LOCK_EVERY: Duration = Duration::from_secs(1);
/// How often a conflicting ledger is read again within one pass. Only a frozen process that wakes up makes even one.
const CONFLICTS: u32 = 8;

/// What was read under the lock. Nothing read before the lock reaches this type, so none of it can be used by mistake.
struct Loaded {
    ledger: Ledger,
    etag: Option<Etag>,
    head: Option<(VersionId, Arc<Credential>)>,
}

/// Why the work under the lock stopped before it had an outcome.
enum Stop {
    /// The ledger changed under us: read it again.
    Conflict,
    /// Somebody else has the lock.
    LockLost,
    /// It is over.
    Ended(Outcome),
}

impl From<LookError> for Stop {
    fn from(error: LookError) -> Self {
        Self::Ended(Outcome::StoreFailed(error))
    }
}

/// Runs one pass that is over at `end` (monotonic time).
pub(super) async fn run(this: &Refresher, mode: Mode, end: Duration) -> Outcome {
    let policy = Policy { mode, ..this.policy.clone() };
    let pass = Pass { this, policy, end };
    let outcome = pass.run().await;
    log(&outcome);
    outcome
}

struct Pass<'a> {
    this: &'a Refresher,
    policy: Policy,
    end: Duration,
}

impl Pass<'_> {
    async fn run(&self) -> Outcome {
        let mut pause = STORE_AGAIN_AFTER;
        loop {
            self.store_without_lock().await;
            let lease = match self.take_lock().await {
                Ok(lease) => lease,
                Err(outcome) => return outcome,
            };
            let mut stopped = Stop::Conflict;
            for _ in 0..CONFLICTS {
                stopped = match self.under_lock(&lease).await {
                    Ok(outcome) => Stop::Ended(outcome),
                    Err(stop) => stop,
                };
                if !matches!(stopped, Stop::Conflict) || lease.lost() {
                    break;
                }
            }
            lease.release().await;
            match stopped {
                // With a grant in hand, a store that fails means above all that it is not saved. A damaged one does not mend by itself.
                Stop::Ended(Outcome::StoreFailed(problem)) if self.this.unsaved().is_some() => {
                    self.store_without_lock().await;
                    if matches!(problem, LookError::Damaged(_)) || self.time_left() < pause {
                        return Outcome::Unsaved(problem.to_string());
                    }
                    self.this.clock.sleep(pause).await;
                    pause = (pause * 2).min(STORE_AGAIN_MOST);
                }
                // Only a grant in hand is worth taking the lock again for, be it another than the one that was saved just now; otherwise whoever
                // has it does the work.
                Stop::Conflict | Stop::LockLost | Stop::Ended(Outcome::Refreshed | Outcome::Failed(_))
                    if self.this.unsaved().is_some() && self.time_left() > TRY_LOCK_EVERY => {}
                Stop::Ended(outcome) => return outcome,
                Stop::Conflict | Stop::LockLost => {
                    // A process that was frozen for long has no time left; the vault takes the grant at once all the same.
                    self.store_without_lock().await;
                    return self.unsaved_outcome("the lock was lost").unwrap_or(Outcome::Busy);
                }
            }
        }
    }

    /// Step 2. Never runs outside the lock: if another process holds it, that one is doing this work, so its result is looked for meanwhile.
    async fn take_lock(&self) -> Result<Lease, Outcome> {
        let mut pause = STORE_AGAIN_AFTER;
        loop {
            match self.this.take_lock().await {
                Ok(lease) => return Ok(lease),
                Err(LockError::Held) => {}
                Err(LockError::Unavailable(_)) if self.this.unsaved().is_some() && self.time_left() > pause => {
                    self.this.clock.sleep(pause).await;
                    pause = (pause * 2).min(STORE_AGAIN_MOST);
                    self.store_without_lock().await;
                    continue;
                }
                Err(LockError::Unavailable(why)) => {
                    let failed = Outcome::StoreFailed(LookError::Unavailable(why.clone()));
                    return Err(self.unsaved_outcome(&why).unwrap_or(failed));
                }
            }
            let must_keep = self.this.unsaved().is_some();
            if self.time_left() < if must_keep { TRY_LOCK_EVERY } else { REQUEST_NEEDS } {
                return Err(self.unsaved_outcome("another process holds the lock").unwrap_or(Outcome::Busy));
            }
            self.this.clock.sleep(TRY_LOCK_EVERY).await;
            if !must_keep && self.this.look_alone().await.is_ok() {
                let view = self.this.view();
                // What the winner stored. While its request is on its way, only the lock tells whether it is still alive.
                if let (Some(ledger), Some(head)) = (&view.ledger, &view.head)
                    && let Due::NotYet { until, why } = due(ledger, Some(head), view.now, &self.policy)
                    && ledger.in_quarantine(view.now).next().is_none()
                {
                    return Err(Outcome::NotDue { until, why });
                }
            }
        }
    }

    /// Steps 3 to 12.
    async fn under_lock(&self, lease: &Lease) -> Result<Outcome, Stop> {
        let this = self.this;
        // 3. Load again.
        let mut loaded = self.load(lease).await?;
        if let Some(unsaved) = this.unsaved() {
            return self.save(lease, loaded, unsaved).await;
        }
        let adopted = self.adopt(lease, &mut loaded).await?;
        self.reanchor(lease, &mut loaded).await?;
        this.learn(loaded.ledger.clone(), loaded.head.clone(), false);

        // 4. Check.
        let reason = match due(&loaded.ledger, loaded.credential(), this.ledger.now(), &self.policy) {
            Due::Now(_) if self.time_left() < REQUEST_NEEDS => return Ok(Outcome::Busy),
            Due::Now(reason) => reason,
            Due::NotYet { .. } if adopted => return Ok(Outcome::Refreshed),
            Due::NotYet { until, why } => return Ok(Outcome::NotDue { until, why }),
            Due::NeedsConsent(why) => return Ok(Outcome::NeedsConsent(why)),
        };
        // 5. Prove the vault writable: a token that could not be replaced is not spent.
        if let Err(error) = self.prove_writable(lease, &mut loaded).await? {
            warn!("the refresh token is not spent: {error}");
            return self.back_off_unannounced(lease, loaded, NotSent::VaultNotWritable).await;
        }
        // A vault that took its time has used up what the request needs.
        if self.time_left() < REQUEST_NEEDS {
            return Ok(Outcome::Busy);
        }
        let Some((version, credential)) = loaded.head.clone() else { return Err(Stop::Conflict) };
        let sent_from = SentFrom { epoch: loaded.ledger.epoch, head: version };

        // 6. Announce: from here on every other process knows that a request may be on its way.
        let attempt = AttemptId(uuid::Uuid::new_v4().to_string());
        let opened = this.ledger.now();
        let opened_monotonic = this.clock.monotonic();
        loaded.ledger.announce(attempt.clone(), credential.fingerprint(), opened);
        if let Err(stop) = self.commit(lease, &mut loaded).await {
            return match stop {
                Stop::Ended(_) => Ok(Outcome::Failed(FailureKind::NotSent(NotSent::LedgerNotWritable))),
                other => Err(other),
            };
        }
        // 7. Still ours, and still soon enough, by both clocks.
        let in_time = lease.renewed().await
            && this.ledger.now().duration_since(opened).abs() < SEND_WITHIN
            && elapsed(opened_monotonic, this.clock.monotonic()) < SEND_WITHIN;
        if !in_time {
            return self.record(lease, loaded, &attempt, FailureKind::NotSent(NotSent::Overtaken), None).await;
        }
        // 8. One request.
        info!(%reason, "asking Exact Online for a new pair of tokens");
        let (reply, took) = self.send(&credential.refresh_token).await;
        let received = this.ledger.now();
        let sent = received - took;
        match reply {
            Reply::Granted(grant) => {
                // 9. Keep it: from here on it is served, and nothing else is sent before it is stored.
                if Fingerprint::of(&grant.refresh_token) == credential.fingerprint() {
                    warn!("Exact Online granted a new access token with the same refresh token; it is kept");
                }
                let granted = Arc::new(credential.granted(&grant, attempt, sent, received));
                let unsaved = Unsaved { credential: granted, brought_by: BroughtBy::Refresh(sent_from), version: None, odd: None };
                this.memory.keep(unsaved.clone(), received, this.clock.monotonic());
                self.save(lease, loaded, unsaved).await
            }
            Reply::OddGrant { refresh_token, problem } => {
                warn!("Exact Online sent a new refresh token in an odd reply ({problem}); it is kept as a candidate");
                let odd = Arc::new(credential.odd_grant(refresh_token, attempt.clone(), received));
                let unsaved = Unsaved { credential: odd, brought_by: BroughtBy::Refresh(sent_from), version: None, odd: Some(problem) };
                this.memory.keep(unsaved.clone(), received, this.clock.monotonic());
                self.save(lease, loaded, unsaved).await
            }
            Reply::NotSent(cause) => self.record(lease, loaded, &attempt, FailureKind::NotSent(cause), None).await,
            Reply::TooEarly => self.record(lease, loaded, &attempt, FailureKind::TooEarly, None).await,
            Reply::Unclear(problem) => self.record(lease, loaded, &attempt, FailureKind::Unclear(problem), None).await,
            Reply::Refused(refusal) => self.record(lease, loaded, &attempt, FailureKind::Refused(refusal), None).await,
            Reply::Misconfigured(what) => self.record(lease, loaded, &attempt, FailureKind::Misconfigured(what), None).await,
            Reply::Throttled { retry_after } => self.record(lease, loaded, &attempt, FailureKind::Throttled, retry_after).await,
        }
    }

    /// Step 5. The outer error stops the pass, the inner one says that the vault is not writable.
    async fn prove_writable(&self, lease: &Lease, loaded: &mut Loaded) -> Result<Result<(), VaultError>, Stop> {
        let vault = &self.this.vault;
        let Some((version, credential)) = loaded.head.clone() else { return Err(Stop::Conflict) };
        if loaded.ledger.writer == vault.writer() {
            match vault.prove_writable(&version).await {
                // Restored from an older copy, or failed over. What is still in memory here is perhaps nowhere else.
                Err(VaultError::NotFound(_)) => {
                    warn!(%version, "the token store has lost the version that the ledger names; it is stored again from memory");
                }
                proven => return Ok(proven),
            }
        }
        // Changing a version and adding one are different rights. Who has never added one adds the head again, unchanged.
        let version = match vault.put(&credential).await {
            Ok(version) => version,
            Err(error) => return Ok(Err(error)),
        };
        loaded.ledger.resaved(version.clone(), vault.writer());
        loaded.head = Some((version, credential));
        self.commit(lease, loaded).await?;
        Ok(Ok(()))
    }

    /// Step 8. The reply, and how long it took by the clock that does not jump.
    async fn send(&self, refresh_token: &Secret) -> (Reply, SignedDuration) {
        let clock = &self.this.clock;
        let begun = clock.monotonic();
        let reply = Patience::by(clock, REPLY_WITHIN).wait_for(self.this.endpoint.refresh(refresh_token)).await;
        (reply.unwrap_or(Reply::Unclear(Unclear::TimedOut)), elapsed(begun, clock.monotonic()))
    }

    fn recorded(&self, what: FailureKind, retry_after: Option<SignedDuration>) -> Recorded {
        Recorded { what, retry_after, settings: self.policy.settings }
    }

    fn unsaved_outcome(&self, why: &str) -> Option<Outcome> {
        self.this.unsaved().map(|_| Outcome::Unsaved(why.to_owned()))
    }

    fn time_left(&self) -> Duration {
        self.end.saturating_sub(self.this.clock.monotonic())
    }
}

impl Loaded {
    fn credential(&self) -> Option<&Credential> {
        self.head.as_ref().map(|(_, credential)| &**credential)
    }
}

fn elapsed(from: Duration, to: Duration) -> SignedDuration {
    SignedDuration::try_from(to.saturating_sub(from)).unwrap_or(SignedDuration::MAX)
}

/// Once, at the end of a pass, for all who joined it. What a caller or the timer is told of it is logged where they are answered; only a grant in
/// danger is said here and loudly, whoever listens.
fn log(outcome: &Outcome) {
    match outcome {
        Outcome::Refreshed => info!("a new pair of tokens is stored"),
        Outcome::NotDue { until, why } => info!(%until, "no refresh: {why}"),
        Outcome::Busy => info!("another process is at work on the tokens"),
        Outcome::NeedsConsent(why) => info!("a person is needed: {why}"),
        Outcome::Failed(what) => info!(class = what.class(), "the refresh failed: {what}"),
        Outcome::Unsaved(why) => error!("A NEW PAIR OF TOKENS IS NOT STORED and is kept in memory: {why}"),
        Outcome::StoreFailed(problem) => info!("nothing was sent: {problem}"),
        Outcome::Crashed => error!("a refresh ended abnormally"),
    }
}
