//! One life of a process: the use cases over doubles of the ports, which stop dead at a chosen step and fail at a chosen call.
//!
//! Each call of a port is a step before it takes effect and another after it; so is each end of a wait. At the chosen step nothing of that process
//! ever goes on: that is SIGKILL.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use exact_token_broker::exact_online::request;
use exact_token_broker::exact_online::response::{self, Body};
use exact_token_broker::ports::{
    Clock, Etag, LedgerError, LedgerStore, LockError, LockOwner, Snapshot, TokenEndpoint, Vault, VaultError, VersionEntry, WriteError,
};
use exact_token_broker::refresh_token::Refresher;
use exact_token_broker::token::reply::Unclear;
use exact_token_broker::token::{Credential, Ledger, LockId, Reply, Secret, VersionId};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use simulators::exact_online::{Delivery, TokenRequest};
use tokio::sync::Notify;

use super::world::{BASE_URL, State, VaultIs, World, lock_id};

/// Which call of a process fails, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) op: &'static str,
    /// The how-manieth call of that operation, from 0.
    pub(crate) nth: usize,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// An error, and nothing happened.
    Before,
    /// It happened, and its confirmation is lost.
    After,
    /// It takes 20 s.
    Slow,
    /// It happens after 40 s, when nobody waits for it any more.
    Late,
    /// It never answers; nothing happened.
    Never,
}

pub(crate) const HOWS: [How; 5] = [How::Before, How::After, How::Slow, How::Late, How::Never];
const SLOW: Duration = Duration::from_secs(20);
const LATE: Duration = Duration::from_secs(40);

/// A lease of blob storage.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// What is decided about a life before it begins, and what it did.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) kill_at: Option<usize>,
    pub(crate) fault: Option<Fault>,
    steps: AtomicUsize,
    dead: AtomicBool,
    died: Notify,
    frozen: AtomicBool,
    thawed: Notify,
    calls: Mutex<Vec<&'static str>>,
}

impl Plan {
    pub(crate) fn new(kill_at: Option<usize>, fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self { kill_at, fault, ..Self::default() })
    }

    pub(crate) fn died(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Stops the process at its next step: SIGSTOP, a paused virtual machine.
    pub(crate) fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
    }

    /// Lets it go on as if nothing had been.
    pub(crate) fn thaw(&self) {
        self.frozen.store(false, Ordering::SeqCst);
        self.thawed.notify_waiters();
    }

    /// The operations that were called, in order.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }

    async fn step(&self) {
        tokio::task::yield_now().await;
        while self.frozen.load(Ordering::SeqCst) {
            self.thawed.notified().await;
        }
        if self.died() {
            return pending().await;
        }
        let step = self.steps.fetch_add(1, Ordering::SeqCst) + 1;
        if Some(step) == self.kill_at {
            self.dead.store(true, Ordering::SeqCst);
            self.died.notify_one();
            pending::<()>().await;
        }
    }

    fn fault_of(&self, op: &'static str) -> Option<How> {
        let mut calls = self.calls.lock().unwrap();
        let nth = calls.iter().filter(|call| **call == op).count();
        calls.push(op);
        self.fault.filter(|fault| fault.op == op && fault.nth == nth).map(|fault| fault.how)
    }
}

/// Runs `work` in a process of its own, from the world's time on. None: it was killed. The world's time is then that of the end.
pub(crate) fn live<T, F>(world: &World, plan: &Arc<Plan>, work: impl FnOnce(Arc<Refresher>, Arc<Doubles>) -> F) -> Option<T>
where
    F: Future<Output = T>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let doubles = Arc::new(Doubles { world: world.clone(), plan: Arc::clone(plan), begun: tokio::time::Instant::now(), from: world.state().now });
        let refresher = doubles.refresher();
        let result = tokio::select! {
            biased;
            () = plan.died.notified() => None,
            result = work(refresher, Arc::clone(&doubles)) => Some(result),
        };
        let end = doubles.true_now();
        world.state().now = end;
        result
    })
}

/// All ports of one life.
pub(crate) struct Doubles {
    pub(crate) world: World,
    plan: Arc<Plan>,
    begun: tokio::time::Instant,
    from: Timestamp,
}

/// What came back from a port.
enum Got<T> {
    Done(T),
    Failed,
    Unconfirmed,
}

impl Doubles {
    fn refresher(self: &Arc<Self>) -> Arc<Refresher> {
        Arc::new(Refresher::new(
            Arc::clone(self) as Arc<dyn TokenEndpoint>,
            Arc::clone(self) as Arc<dyn Vault>,
            Arc::clone(self) as Arc<dyn LedgerStore>,
            Arc::clone(self) as Arc<dyn Clock>,
            self.world.policy(),
        ))
    }

    /// Another process of the same installation, which lives at the same time.
    pub(crate) fn beside(&self, plan: &Arc<Plan>) -> Arc<Refresher> {
        let doubles = Self { world: self.world.clone(), plan: Arc::clone(plan), begun: self.begun, from: self.from };
        Arc::new(doubles).refresher()
    }

    /// Time as it really is, whatever the clocks say.
    pub(crate) fn true_now(&self) -> Timestamp {
        self.from + SignedDuration::try_from(self.begun.elapsed()).unwrap()
    }

    async fn call<T: Send + 'static>(&self, op: &'static str, effect: impl FnOnce(&mut State, Timestamp) -> T + Send + 'static) -> Got<T> {
        self.plan.step().await;
        let (takes, away) = self.world.state().meets(op);
        if takes > Duration::ZERO {
            tokio::time::sleep(takes).await;
        }
        if away {
            return Got::Failed;
        }
        let how = self.plan.fault_of(op);
        match how {
            Some(How::Before) => {
                self.plan.step().await;
                return Got::Failed;
            }
            Some(How::Never) => return pending().await,
            Some(How::Late) => {
                let (world, begun, from) = (self.world.clone(), self.begun, self.from);
                let landed = tokio::spawn(async move {
                    tokio::time::sleep(LATE).await;
                    effect(&mut world.state(), from + SignedDuration::try_from(begun.elapsed()).unwrap())
                });
                let Ok(value) = landed.await else { return Got::Failed };
                self.plan.step().await;
                return Got::Done(value);
            }
            Some(How::Slow) => {
                tokio::time::sleep(SLOW).await;
                self.plan.step().await;
            }
            Some(How::After) | None => {}
        }
        let value = effect(&mut self.world.state(), self.true_now());
        self.plan.step().await;
        if how == Some(How::After) { Got::Unconfirmed } else { Got::Done(value) }
    }
}

#[async_trait]
impl Clock for Doubles {
    fn now(&self) -> Timestamp {
        let skew = self.world.state().skew;
        self.true_now() + skew
    }

    fn monotonic(&self) -> Duration {
        self.begun.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
        self.plan.step().await;
    }
}

#[async_trait]
impl TokenEndpoint for Doubles {
    async fn refresh(&self, refresh_token: &Secret) -> Reply {
        let token = refresh_token.clone();
        let exchange = self.call("exact.refresh", move |state, now| {
            let config = state.exact.config().clone();
            let sent = request::refresh(BASE_URL, &config.client_id, &Secret::new(config.client_secret.clone()), &token);
            let mut request = TokenRequest::post(sent.body.reveal().as_bytes().to_vec());
            request.headers = sent.headers.iter().map(|(name, value)| (name.to_string(), (*value).to_owned())).collect();
            state.exact.token(now, &request)
        });
        let reply = match exchange.await {
            Got::Done(reply) => reply,
            Got::Failed | Got::Unconfirmed => return Reply::Unclear(Unclear::ConnectionLost),
        };
        let cut = match reply.delivery {
            Delivery::Whole => None,
            Delivery::After(delay) if delay < Duration::from_secs(100) => {
                self.sleep(delay).await;
                None
            }
            Delivery::After(_) | Delivery::Never => {
                self.sleep(Duration::from_secs(100)).await;
                return Reply::Unclear(Unclear::TimedOut);
            }
            Delivery::Cut => Some(Unclear::ConnectionLost),
            Delivery::Reset => return Reply::Unclear(Unclear::ConnectionLost),
        };
        let headers = reply.headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let bytes = if cut.is_some() { reply.body[..reply.body.len() / 2].to_vec() } else { reply.body };
        response::classify(refresh_token, StatusCode::from_u16(reply.status).unwrap(), &headers, &Body { bytes, cut })
    }
}

#[async_trait]
impl Vault for Doubles {
    async fn put(&self, credential: &Credential) -> Result<VersionId, VaultError> {
        let credential = credential.clone();
        let put = self.call("vault.put", move |state, now| {
            if state.vault != VaultIs::Well {
                return Err(VaultError::NotWritable("made up".to_owned()));
            }
            state.put += 1;
            let version = VersionId(format!("version-{}", state.put));
            state.versions.insert(version.clone(), (now, credential));
            Ok(version)
        });
        match put.await {
            Got::Done(result) => result,
            Got::Failed => Err(VaultError::Unavailable("made up".to_owned())),
            Got::Unconfirmed => Err(VaultError::Unclear),
        }
    }

    async fn get(&self, version: &VersionId) -> Result<Credential, VaultError> {
        let version = version.clone();
        let get = self.call("vault.get", move |state, _| {
            let found = state.versions.get(&version).map(|(_, credential)| credential.clone());
            found.ok_or_else(|| VaultError::NotFound(version.clone()))
        });
        match get.await {
            Got::Done(result) => result,
            Got::Failed | Got::Unconfirmed => Err(VaultError::Unavailable("made up".to_owned())),
        }
    }

    async fn list(&self) -> Result<Vec<VersionEntry>, VaultError> {
        let list = self.call("vault.list", |state, _| {
            let entry = |(version, (created, credential)): (&VersionId, &(Timestamp, Credential))| VersionEntry {
                version: version.clone(),
                created: *created,
                attempt: Some(credential.attempt.clone()),
            };
            Ok(state.versions.iter().map(entry).collect())
        });
        match list.await {
            Got::Done(result) => result,
            Got::Failed | Got::Unconfirmed => Err(VaultError::Unavailable("made up".to_owned())),
        }
    }

    async fn prove_writable(&self, version: &VersionId) -> Result<(), VaultError> {
        let version = version.clone();
        let prove = self.call("vault.prove", move |state, _| {
            if state.vault == VaultIs::ReadOnly {
                return Err(VaultError::NotWritable("made up".to_owned()));
            }
            if state.versions.contains_key(&version) { Ok(()) } else { Err(VaultError::NotFound(version.clone())) }
        });
        match prove.await {
            Got::Done(result) => result,
            Got::Failed => Err(VaultError::Unavailable("made up".to_owned())),
            Got::Unconfirmed => Err(VaultError::Unclear),
        }
    }

    async fn prove_first_write(&self) -> Result<(), VaultError> {
        let prove = self.call("vault.prove_first", |state, _| match state.vault {
            VaultIs::ReadOnly => Err(VaultError::NotWritable("made up".to_owned())),
            VaultIs::Well | VaultIs::Full | VaultIs::Away => Ok(()),
        });
        match prove.await {
            Got::Done(result) => result,
            Got::Failed => Err(VaultError::Unavailable("made up".to_owned())),
            Got::Unconfirmed => Err(VaultError::Unclear),
        }
    }

    fn writer(&self) -> &'static str {
        "made-up-writer"
    }
}

#[async_trait]
impl LedgerStore for Doubles {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn lock_id(&self) -> LockId {
        lock_id()
    }

    async fn read(&self) -> Result<Option<Snapshot>, LedgerError> {
        let read = self.call("ledger.read", |state, _| {
            if !state.ledger_up {
                return Err(LedgerError::Unavailable("made up".to_owned()));
            }
            if state.ledger_damaged {
                return Err(LedgerError::Damaged("made up".to_owned()));
            }
            Ok(state.ledger.as_ref().map(|(ledger, etag)| Snapshot { ledger: ledger.clone(), etag: Etag(etag.to_string()) }))
        });
        match read.await {
            Got::Done(result) => result,
            Got::Failed | Got::Unconfirmed => Err(LedgerError::Unavailable("made up".to_owned())),
        }
    }

    async fn lock(&self, owner: &LockOwner) -> Result<(), LockError> {
        let owner = owner.clone();
        let lock = self.call("ledger.lock", move |state, now| {
            if !state.ledger_up {
                return Err(LockError::Unavailable("made up".to_owned()));
            }
            match &state.lock {
                Some((holder, until)) if *holder != owner.0 && *until > now => Err(LockError::Held),
                _ => {
                    state.lock = Some((owner.0.clone(), now + LEASE));
                    Ok(())
                }
            }
        });
        match lock.await {
            Got::Done(result) => result,
            Got::Failed | Got::Unconfirmed => Err(LockError::Unavailable("made up".to_owned())),
        }
    }

    async fn renew(&self, owner: &LockOwner) -> Result<(), LockError> {
        let owner = owner.clone();
        let renew = self.call("ledger.renew", move |state, now| match &mut state.lock {
            // Blob storage renews a lease that has run out, as long as nobody else has taken it.
            Some((holder, until)) if *holder == owner.0 => {
                *until = now + LEASE;
                Ok(())
            }
            _ => Err(LockError::Held),
        });
        match renew.await {
            Got::Done(result) => result,
            Got::Failed | Got::Unconfirmed => Err(LockError::Unavailable("made up".to_owned())),
        }
    }

    async fn unlock(&self, owner: &LockOwner) {
        let owner = owner.clone();
        let unlock = self.call("ledger.unlock", move |state, _| {
            if state.lock.as_ref().is_some_and(|(holder, _)| *holder == owner.0) {
                state.lock = None;
            }
        });
        let (Got::Done(()) | Got::Failed | Got::Unconfirmed) = unlock.await;
    }

    async fn write(&self, owner: &LockOwner, ledger: &Ledger, over: Option<&Etag>) -> Result<Etag, WriteError> {
        let (owner, ledger, over) = (owner.clone(), ledger.clone(), over.cloned());
        let write = self.call("ledger.write", move |state, now| {
            if !state.ledger_up {
                return Err(WriteError::NotWritable("made up".to_owned()));
            }
            let held = state.lock.as_ref().is_some_and(|(holder, until)| *holder == owner.0 && *until > now);
            let stored = state.ledger.as_ref().map(|(_, etag)| Etag(etag.to_string()));
            if !held || stored != over {
                return Err(WriteError::Conflict);
            }
            let etag = state.ledger.as_ref().map_or(1, |(_, etag)| etag + 1);
            state.ledger = Some((ledger, etag));
            Ok(Etag(etag.to_string()))
        });
        match write.await {
            Got::Done(result) => result,
            Got::Failed => Err(WriteError::NotWritable("made up".to_owned())),
            Got::Unconfirmed => Err(WriteError::Unclear),
        }
    }
}
