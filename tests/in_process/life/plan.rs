//! What is decided about a life before it begins: at which step it is cut, and which call of it fails and how.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

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
pub(super) const SLOW: Duration = Duration::from_secs(20);
pub(super) const LATE: Duration = Duration::from_secs(40);

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

    /// Waits until the process is killed.
    pub(super) async fn killed(&self) {
        self.died.notified().await;
    }

    pub(super) async fn step(&self) {
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

    pub(super) fn fault_of(&self, op: &'static str) -> Option<How> {
        let mut calls = self.calls.lock().unwrap();
        let nth = calls.iter().filter(|call| **call == op).count();
        calls.push(op);
        self.fault.filter(|fault| fault.op == op && fault.nth == nth).map(|fault| fault.how)
    }
}
