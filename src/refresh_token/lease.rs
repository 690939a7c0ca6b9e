//! The lock, kept alive by a task of its own for as long as a pass needs it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};

use crate::ports::{Clock, LedgerStore, LockError, LockOwner};
use crate::task;

/// A lease lives 60 s; four renewals fit into that.
const RENEW_EVERY: Duration = Duration::from_secs(15);

/// A lock that this process holds, unless [`Lease::lost`].
pub struct Lease {
    ledger: Arc<dyn LedgerStore>,
    owner: LockOwner,
    lost: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
    released: bool,
}

/// The name under which the lock was asked for in vain. Without a reply, perhaps it is ours or will be when the request arrives: asked for under the
/// same name it is, in either case; another name of this process would be kept out by it for its 60 s.
#[derive(Debug, Default)]
pub struct Unanswered(Mutex<Option<(LockOwner, Option<AbortHandle>)>>);

impl Unanswered {
    /// The name to ask under: that one, which nobody else uses from now on, or a new one.
    fn owner(&self) -> LockOwner {
        let unanswered = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((owner, giving_back)) = unanswered else { return LockOwner(uuid::Uuid::new_v4().to_string()) };
        giving_back.inspect(AbortHandle::abort);
        owner
    }

    fn keep(&self, owner: LockOwner, giving_back: Option<AbortHandle>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((owner, giving_back));
    }
}

impl Lease {
    /// Takes the lock once. Waiting for it is the caller's business.
    pub async fn take(ledger: &Arc<dyn LedgerStore>, clock: &Arc<dyn Clock>, unanswered: &Unanswered) -> Result<Self, LockError> {
        let owner = unanswered.owner();
        if let Err(error) = ledger.lock(&owner).await {
            // Without a reply it may have been taken all the same, and others wait for it.
            let giving_back = matches!(error, LockError::Unavailable(_)).then(|| give_back(Arc::clone(ledger), owner.clone())).flatten();
            unanswered.keep(owner, giving_back);
            return Err(error);
        }
        let lost = Arc::new(AtomicBool::new(false));
        let keeper = task::spawn(keep(Arc::clone(ledger), Arc::clone(clock), owner.clone(), Arc::clone(&lost)));
        Ok(Self { ledger: Arc::clone(ledger), owner, lost, keeper, released: false })
    }

    /// The name under which it is held.
    #[must_use]
    pub fn owner(&self) -> &LockOwner {
        &self.owner
    }

    /// Whether somebody else was seen to hold it.
    #[must_use]
    pub fn lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Renews it now; false if it is not certain to be ours.
    pub async fn renewed(&self) -> bool {
        match self.ledger.renew(&self.owner).await {
            Ok(()) => !self.lost(),
            Err(LockError::Held) => {
                self.lost.store(true, Ordering::SeqCst);
                false
            }
            Err(LockError::Unavailable(_)) => false,
        }
    }

    /// Gives it back.
    pub async fn release(mut self) {
        self.keeper.abort();
        self.released = true;
        self.ledger.unlock(&self.owner).await;
    }
}

async fn keep(ledger: Arc<dyn LedgerStore>, clock: Arc<dyn Clock>, owner: LockOwner, lost: Arc<AtomicBool>) {
    loop {
        clock.sleep(RENEW_EVERY).await;
        if ledger.renew(&owner).await == Err(LockError::Held) {
            lost.store(true, Ordering::SeqCst);
            return;
        }
    }
}

impl Drop for Lease {
    /// A pass that ended abnormally gives the lock back as well: a file lock has no end of its own while its process lives.
    fn drop(&mut self) {
        self.keeper.abort();
        if !self.released {
            give_back(Arc::clone(&self.ledger), self.owner.clone());
        }
    }
}

/// Without anybody waiting for it.
fn give_back(ledger: Arc<dyn LedgerStore>, owner: LockOwner) -> Option<AbortHandle> {
    let running = tokio::runtime::Handle::try_current().is_ok();
    running.then(|| task::spawn(async move { ledger.unlock(&owner).await }).abort_handle())
}
