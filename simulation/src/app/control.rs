//! A process that can be stopped dead or for a while, wherever it happens to be: before any step of any piece of its work.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use exact_token_broker::task::Watch;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::time::Time;

/// What is to happen at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGKILL: nothing of it ever goes on, and nothing of it is cleaned up.
    Kill,
    /// SIGSTOP, a paused virtual machine: its timers go on, its work does not.
    Freeze,
}

/// The life of one process.
pub struct Control {
    time: Time,
    life: Mutex<Life>,
    stopped: Notify,
    changed: Notify,
}

#[derive(Default)]
struct Life {
    steps: u64,
    stop_at: Option<(u64, Stop)>,
    /// To be stopped so many steps after Exact has granted it something.
    after_grant: Option<(u64, Stop)>,
    /// To be frozen when it is about to send a request to Exact.
    before_sending: bool,
    died: Option<Timestamp>,
    frozen: bool,
    freezes: Vec<(Timestamp, Option<Timestamp>)>,
    thawed: Option<Timestamp>,
    waiting: Vec<Waker>,
}

impl Control {
    /// Alive.
    #[must_use]
    pub fn new(time: Time) -> Arc<Self> {
        Arc::new(Self { time, life: Mutex::default(), stopped: Notify::new(), changed: Notify::new() })
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it before so many more steps; 0 stops it now.
    pub fn stop_in(&self, steps: u64, stop: Stop) {
        let mut life = self.life();
        life.stop_at = Some((life.steps + steps, stop));
        if steps == 0 {
            self.strike(&mut life, stop);
        }
    }

    /// Stops it so many steps after the next grant, or at once if that is 0: between the grant and the first durable write.
    pub fn stop_after_grant(&self, steps: u64, stop: Stop) {
        self.life().after_grant = Some((steps, stop));
    }

    /// Freezes it when it has checked everything for the last time, and its next request to Exact is about to leave.
    pub fn freeze_before_sending(&self) {
        self.life().before_sending = true;
    }

    /// It is about to send. Whether that is where it freezes.
    pub fn sends(&self) -> bool {
        let freezes = std::mem::take(&mut self.life().before_sending);
        if freezes {
            self.stop_in(0, Stop::Freeze);
        }
        freezes
    }

    /// What was planned for it does not happen.
    pub fn disarm(&self) {
        let mut life = self.life();
        life.stop_at = None;
        life.after_grant = None;
        life.before_sending = false;
    }

    /// Exact has granted it something; the reply is not there yet.
    pub fn granted(&self) {
        let armed = self.life().after_grant.take();
        if let Some((steps, stop)) = armed {
            self.stop_in(steps, stop);
        }
    }

    fn strike(&self, life: &mut Life, stop: Stop) {
        life.stop_at = None;
        match stop {
            Stop::Kill => life.died = life.died.or(Some(self.time.now())),
            Stop::Freeze => {
                life.frozen = true;
                life.freezes.push((self.time.now(), None));
            }
        }
        self.stopped.notify_one();
        self.changed.notify_waiters();
    }

    /// Ends when it was killed or frozen.
    pub async fn stopped(&self) {
        self.stopped.notified().await;
    }

    /// Ends when it is dead.
    pub async fn death(&self) {
        self.until(|life| life.died.is_some()).await;
    }

    /// Ends when it is frozen, or dead.
    pub async fn stop(&self) {
        self.until(|life| life.died.is_some() || life.frozen).await;
    }

    async fn until(&self, so: impl Fn(&Life) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if so(&self.life()) {
                return;
            }
            changed.await;
        }
    }

    /// Lets it go on as if nothing had been.
    pub fn thaw(&self) {
        let mut life = self.life();
        life.frozen = false;
        life.thawed = Some(self.time.now());
        if let Some((_, until @ None)) = life.freezes.last_mut() {
            *until = Some(self.time.now());
        }
        let waiting = std::mem::take(&mut life.waiting);
        drop(life);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether it was killed.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.life().died.is_some()
    }

    /// When it was killed.
    #[must_use]
    pub fn died(&self) -> Option<Timestamp> {
        self.life().died
    }

    /// Whether it is frozen.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.life().frozen
    }

    /// Whether it was frozen at any time between two.
    #[must_use]
    pub fn was_frozen_between(&self, from: Timestamp, until: Timestamp) -> bool {
        self.life().freezes.iter().any(|(frozen, thawed)| *frozen <= until && thawed.is_none_or(|thawed| thawed >= from))
    }

    /// Whether it was frozen at any time since then.
    #[must_use]
    pub fn was_frozen_since(&self, since: Timestamp) -> bool {
        let life = self.life();
        life.frozen || life.thawed.is_some_and(|thawed| thawed >= since)
    }
}

impl Watch for Control {
    fn goes_on(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut life = self.life();
        if life.died.is_none() && !life.frozen {
            life.steps += 1;
            if let Some((at, stop)) = life.stop_at
                && life.steps >= at
            {
                self.strike(&mut life, stop);
            }
        }
        if life.died.is_some() {
            return Poll::Pending;
        }
        if life.frozen {
            life.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}
