//! How a piece of work is started that nobody waits for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

tokio::task_local! {
    static WATCH: Arc<dyn Watch>;
}

/// Decides whether the work of a process goes on: that of a simulated process, which is stopped wherever it happens to be. Without one, all of it does.
pub trait Watch: Send + Sync {
    /// Before each step of each piece of work. [`Poll::Pending`]: not now; whoever is asked wakes the task when that changes, if ever.
    fn goes_on(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// [`tokio::spawn`]; work that is started under a watch is watched likewise.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match WATCH.try_with(Arc::clone) {
        Ok(watch) => tokio::spawn(watched(watch, work)),
        Err(_) => tokio::spawn(work),
    }
}

/// `work` under a watch, and all that it starts.
pub fn watched<F: Future + Send>(watch: Arc<dyn Watch>, work: F) -> impl Future<Output = F::Output> + Send {
    let work = Box::pin(WATCH.scope(Arc::clone(&watch), work));
    Watched { watch, work }
}

struct Watched<F> {
    watch: Arc<dyn Watch>,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.watch.goes_on(cx) {
            Poll::Ready(()) => self.work.as_mut().poll(cx),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Stop {
        asked: AtomicUsize,
        stopped: AtomicBool,
    }

    impl Watch for Stop {
        fn goes_on(&self, _: &mut Context<'_>) -> Poll<()> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.stopped.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(()) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_watched_work_starts_is_watched() {
        let (stop, steps) = (Arc::new(Stop::default()), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&steps);
        let work = watched(Arc::clone(&stop) as _, async move {
            drop(spawn(async move {
                loop {
                    counted.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }));
        });
        work.await;
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        assert_eq!(steps.load(Ordering::SeqCst), 4);
        stop.stopped.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(steps.load(Ordering::SeqCst), 4);
        assert!(stop.asked.load(Ordering::SeqCst) > 4);
    }

    #[tokio::test]
    async fn nobody_watches_otherwise() {
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
    }
}
