//! What happens in the simulated host, as a stream for a demo and a list for tests.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{ambient, console::Line, verdict::Verdict};

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A handler answered `GET /` for the first time.
    HandlerStarted {
        /// Its process id.
        pid: u32,
        /// Its port on 127.0.0.1.
        port: u16,
        /// From the spawn to the first answer.
        ready_after: Duration,
    },
    /// A handler process ended.
    HandlerExited {
        /// Its process id.
        pid: u32,
        /// The exit code, 128 + the signal where there was one, and the last three lines on standard error.
        how: String,
        /// Whether the host starts it again.
        respawned: bool,
    },
    /// The host stops: the handler failed three times within 30 minutes, or could not be started.
    GivenUp {
        /// The reason.
        why: String,
    },
    /// An attempt of a timer invocation is being sent.
    TimerFired {
        /// The function's name.
        function: String,
        /// The same for all scheduled attempts of one invocation.
        invocation_id: String,
        /// `IsPastDue`.
        past_due: bool,
        /// 0 for the first attempt.
        retry: u32,
    },
    /// An attempt of a timer invocation has ended.
    TimerCompleted {
        /// The function's name.
        function: String,
        /// Same as when fired.
        invocation_id: String,
        /// How it ended.
        verdict: Verdict,
        /// From the sending to the whole reply.
        duration: Duration,
        /// The invocation's log lines.
        logs: Vec<String>,
    },
    /// A timer waits.
    NextTick {
        /// The function's name.
        function: String,
        /// Until when.
        at: Timestamp,
    },
    /// An HTTP call from outside was answered.
    HttpForwarded {
        /// The method.
        method: String,
        /// Without the query, which may hold keys.
        path: String,
        /// What the caller saw.
        status: u16,
        /// From the call to the answer.
        duration: Duration,
    },
    /// The handler printed a line.
    Console(Line),
}

#[derive(Clone)]
pub(super) struct Events {
    kept: Arc<Mutex<Vec<Event>>>,
    sender: broadcast::Sender<Event>,
}

/// Events that a slow reader of the stream can be behind before it loses some.
const BACKLOG: usize = 4_096;

impl Events {
    pub(super) fn new() -> Self {
        Self { kept: Arc::default(), sender: broadcast::channel(BACKLOG).0 }
    }

    pub(super) fn emit(&self, kind: EventKind) {
        let event = Event { at: ambient::now(), kind };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(event.clone());
        // No reader is no error.
        let _ = self.sender.send(event);
    }

    pub(super) fn all(&self) -> Vec<Event> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }
}
