//! How long a reply is waited for.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

/// What came while a process was frozen is there when it wakes up, but not in the same instant: the connection's own task has to read it first.
const AFTER_A_FREEZE: Duration = Duration::from_secs(5);
/// And what came in the same instant as the deadline, or as the end of a freeze just after it.
const A_MOMENT: Duration = Duration::from_millis(250);
/// A timer that is this late shows that the process was frozen, by its platform or by a debugger. If it was only busy, waiting longer does no harm.
const FROZEN: Duration = Duration::from_millis(5);

/// Until a deadline; and a moment longer, once, or a few seconds if the process was frozen when it passed. A grant that lies in the socket then would else be given up
/// by a clock that went on without us.
pub(super) struct Patience {
    deadline: Instant,
    extended: bool,
}

impl Patience {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { deadline, extended: false }
    }

    /// None: it did not come in time.
    pub(super) async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        if let Ok(done) = timeout_at(self.deadline, &mut work).await {
            return Some(done);
        }
        if self.extended {
            return None;
        }
        let longer = if Instant::now() < self.deadline + FROZEN { A_MOMENT } else { AFTER_A_FREEZE };
        self.extended = true;
        self.deadline = Instant::now() + longer;
        timeout(longer, work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_seconds(seconds: u64) -> Patience {
        Patience::until(Instant::now() + Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_taken_and_what_does_not_is_not() {
        let begun = Instant::now();
        assert_eq!(in_seconds(100).wait_for(tokio::time::sleep(Duration::from_secs(99))).await, Some(()));
        assert_eq!(in_seconds(100).wait_for(std::future::pending::<()>()).await, None);
        assert_eq!(begun.elapsed().as_secs(), 199);
    }

    /// Seed 3504 of the simulation: a process woke up 2 ms after the deadline.
    #[tokio::test(start_paused = true)]
    async fn what_came_during_a_freeze_that_ended_with_the_deadline_is_still_taken() {
        let mut patience = in_seconds(100);
        let (tell, told) = tokio::sync::oneshot::channel();
        let waiting = async {
            tokio::time::sleep(Duration::from_millis(100_002)).await;
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            tell.send(7).unwrap();
            std::future::pending::<()>().await;
        };
        let reply = tokio::select! {
            biased;
            () = waiting => None,
            reply = patience.wait_for(told) => reply,
        };
        assert_eq!(reply, Some(Ok(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_during_a_freeze_is_still_taken() {
        let mut patience = in_seconds(100);
        let (tell, told) = tokio::sync::oneshot::channel();
        let waiting = async {
            // The reply is read by another task, some steps after the process has woken up.
            tokio::time::sleep(Duration::from_secs(1)).await;
            tokio::time::advance(Duration::from_mins(5)).await;
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            tell.send(7).unwrap();
            std::future::pending::<()>().await;
        };
        let reply = tokio::select! {
            biased;
            () = waiting => None,
            reply = patience.wait_for(told) => reply,
        };
        assert_eq!(reply, Some(Ok(7)));
        assert_eq!(patience.wait_for(std::future::pending::<()>()).await, None, "once");
    }
}
