//! Virtual time: tokio's, which stands still while anything can be done, and jumps when nothing can.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use exact_token_broker::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// True time, the same for the whole world.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    begun: Instant,
    start: Timestamp,
}

impl Time {
    /// Begins now, which is `start`.
    #[must_use]
    pub fn from(start: Timestamp) -> Self {
        Self { begun: Instant::now(), start }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.start + self.begun.elapsed()
    }

    /// Since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Waits until then.
    pub async fn reach(&self, at: Timestamp) {
        if let Ok(left) = Duration::try_from(at.duration_since(self.now())) {
            tokio::time::sleep(left).await;
        }
    }
}

/// The clocks of one process.
#[derive(Debug)]
pub struct SkewedClock {
    time: Time,
    since: Duration,
    off: Mutex<SignedDuration>,
}

impl SkewedClock {
    /// The wall clock is that much ahead.
    #[must_use]
    pub fn new(time: Time, off: SignedDuration) -> Self {
        Self { time, since: time.elapsed(), off: Mutex::new(off) }
    }

    /// Whether the wall clock is off by more than 2 s.
    #[must_use]
    pub fn is_wild(&self) -> bool {
        self.off.lock().unwrap_or_else(PoisonError::into_inner).abs() > SignedDuration::from_secs(2)
    }

    /// From now on the wall clock is that much ahead.
    pub fn set(&self, off: SignedDuration) {
        *self.off.lock().unwrap_or_else(PoisonError::into_inner) = off;
    }
}

#[async_trait]
impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        self.time.now() + *self.off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn monotonic(&self) -> Duration {
        self.time.elapsed().saturating_sub(self.since)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
