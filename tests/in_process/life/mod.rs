//! One life of a process: the use cases over doubles of the ports, which stop dead at a chosen step and fail at a chosen call.
//!
//! Each call of a port is a step before it takes effect and another after it; so is each end of a wait. At the chosen step nothing of that process
//! ever goes on: that is SIGKILL.

mod exact;
mod ledger;
mod plan;
mod vault;

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use exact_token_broker::ports::{Clock, LedgerStore, TokenEndpoint, Vault};
use exact_token_broker::refresh_token::Refresher;
use jiff::{SignedDuration, Timestamp};

use crate::world::{State, World};

pub(crate) use plan::{Fault, HOWS, How, Plan};
use plan::{LATE, SLOW};

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
            () = plan.killed() => None,
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

impl<T, E> Got<Result<T, E>> {
    /// What the port says: where nothing happened the one error, where nobody knows whether it did the other.
    fn or(self, failed: E, unconfirmed: E) -> Result<T, E> {
        match self {
            Self::Done(result) => result,
            Self::Failed => Err(failed),
            Self::Unconfirmed => Err(unconfirmed),
        }
    }

    /// The same for who cannot use what did not come, whether it happened or not.
    fn or_away(self, away: E) -> Result<T, E>
    where
        E: Clone,
    {
        self.or(away.clone(), away)
    }
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
