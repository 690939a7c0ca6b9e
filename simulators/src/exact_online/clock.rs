//! Where the server takes the time from.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The time of this machine.
#[must_use]
pub fn system_clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place where a simulator may read the machine's time")]
    Arc::new(Timestamp::now)
}

/// A clock that stands still until a test moves it. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<Mutex<Timestamp>>,
}

impl ManualClock {
    /// Begins at a given time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { now: Arc::new(Mutex::new(now)) }
    }

    /// The time that it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows another time, earlier or later.
    pub fn set(&self, now: Timestamp) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Goes forward.
    ///
    /// # Panics
    ///
    /// Beyond the year 9999.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now += by;
    }

    /// For [`ExactOnline::start`](super::ExactOnline::start).
    #[must_use]
    pub fn clock(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}
