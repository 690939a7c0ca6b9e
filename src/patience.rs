//! How long a reply is waited for that may hold tokens.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::Clock;

/// And what came in the same instant as the deadline, or as the end of a freeze just after it.
const A_MOMENT: Duration = Duration::from_millis(250);
/// A timer that is this late shows that the process was frozen, by its platform or by a debugger. If it was only busy, waiting longer does no harm.
const FROZEN: Duration = Duration::from_millis(5);

/// For so long; and a moment longer, or as long once more if the process was frozen when that passed: the request may have left only when it woke up.
/// A grant would else be given up by a clock that went on without us.
pub(crate) struct Patience {
    /// None: it has ended.
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Patience {
    /// By tokio's clock.
    pub(crate) fn of(limit: Duration) -> Self {
        let begun = Instant::now();
        Self::new(limit, move || begun.elapsed(), tokio::time::sleep)
    }

    /// By the port's.
    pub(crate) fn by(clock: &Arc<dyn Clock>, limit: Duration) -> Self {
        let (read, wait) = (Arc::clone(clock), Arc::clone(clock));
        let begun = read.monotonic();
        Self::new(
            limit,
            move || read.monotonic().saturating_sub(begun),
            move |duration| {
                let clock = Arc::clone(&wait);
                async move { clock.sleep(duration).await }
            },
        )
    }

    fn new<S: Future<Output = ()> + Send>(
        limit: Duration,
        elapsed: impl Fn() -> Duration + Send + 'static,
        sleep: impl Fn(Duration) -> S + Send + Sync + 'static,
    ) -> Self {
        let end = async move {
            sleep(limit).await;
            sleep(A_MOMENT).await;
            // Looked at after both: a freeze may begin in that moment too.
            if elapsed() >= limit + A_MOMENT + FROZEN {
                sleep(limit).await;
            }
        };
        Self { end: Some(Box::pin(end)) }
    }

    /// None: it did not come in time.
    pub(crate) async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let end = self.end.as_mut()?;
        tokio::select! {
            biased;
            done = work => return Some(done),
            () = end => {}
        }
        self.end = None;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(100);

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_taken_and_what_does_not_is_not() {
        let begun = Instant::now();
        assert_eq!(Patience::of(LIMIT).wait_for(tokio::time::sleep(Duration::from_secs(99))).await, Some(()));
        assert_eq!(Patience::of(LIMIT).wait_for(std::future::pending::<()>()).await, None);
        assert_eq!(begun.elapsed(), Duration::from_secs(199) + A_MOMENT);
    }

    /// A process that waits for 100 s and is frozen for a time wakes up; the task of the connection has the reply a while later.
    async fn read_after_a_freeze(begins: Duration, lasts: Duration, takes: Duration) {
        let mut patience = Patience::of(LIMIT);
        let (tell, told) = tokio::sync::oneshot::channel();
        let waiting = async {
            tokio::time::sleep(begins).await;
            tokio::time::advance(lasts).await;
            tokio::task::yield_now().await;
            tokio::time::sleep(takes).await;
            tell.send(7).unwrap();
            std::future::pending::<()>().await;
        };
        let reply = tokio::select! {
            biased;
            () = waiting => None,
            reply = patience.wait_for(told) => reply,
        };
        assert_eq!(reply, Some(Ok(7)), "frozen for {lasts:?} after {begins:?}");
        assert_eq!(patience.wait_for(std::future::pending::<()>()).await, None, "once");
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_during_a_freeze_is_still_taken() {
        let read = Duration::from_millis(20);
        read_after_a_freeze(Duration::from_secs(1), Duration::from_mins(5), read).await;
        // Seed 3504 of the simulation: a process woke up 2 ms after the deadline.
        read_after_a_freeze(Duration::from_mins(1), Duration::from_millis(40_002), read).await;
        // Seed 13323: a process was frozen in the moment that is added.
        read_after_a_freeze(Duration::from_millis(100_200), Duration::from_secs(10), read).await;
        // Seed 4704: the request left when the process woke up, and the reply took 35 s.
        read_after_a_freeze(Duration::from_millis(1), Duration::from_mins(10), Duration::from_secs(35)).await;
    }
}
