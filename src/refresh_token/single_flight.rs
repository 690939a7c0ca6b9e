//! Several callers, one piece of work: the first starts it, the others wait for its result.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::task;

/// At most one piece of work at a time. It runs as a task of its own, so it goes on when the callers have gone.
#[derive(Debug)]
pub struct SingleFlight<T> {
    running: Arc<Mutex<Option<watch::Receiver<Option<T>>>>>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Starts `work` and waits for it; if something is running already, waits for that and drops `work` unstarted. None if the work panicked.
    pub async fn run(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut result = self.join_or_start(work);
        let value = result.wait_for(Option::is_some).await.ok()?;
        value.clone()
    }

    /// Waits until nothing is running.
    pub async fn idle(&self) {
        loop {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(mut result) = running else { return };
            // An error means that the work panicked; its place is free then.
            drop(result.wait_for(Option::is_some).await);
        }
    }

    fn join_or_start(&self, work: impl Future<Output = T> + Send + 'static) -> watch::Receiver<Option<T>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = &*running {
            return result.clone();
        }
        let (tell, result) = watch::channel(None);
        *running = Some(result.clone());
        let landing = Landing(Arc::clone(&self.running));
        task::spawn(async move {
            let value = work.await;
            // Clear first, tell second: who is told can start the next flight at once.
            drop(landing);
            tell.send_replace(Some(value));
        });
        result
    }
}

/// Frees the place when the work ends, however it ends.
struct Landing<T>(Arc<Mutex<Option<watch::Receiver<Option<T>>>>>);

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_starts_it_and_all_get_its_result() {
        let flight = SingleFlight::default();
        let started = Arc::new(AtomicU32::new(0));
        let work = || {
            let started = Arc::clone(&started);
            async move {
                started.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                7
            }
        };
        let (a, b) = tokio::join!(flight.run(work()), flight.run(work()));
        assert_eq!((a, b, started.load(Ordering::SeqCst)), (Some(7), Some(7), 1));
        assert_eq!(flight.run(work()).await, Some(7));
        assert_eq!(started.load(Ordering::SeqCst), 2, "a finished flight is not joined");
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_when_its_caller_has_gone() {
        let flight = SingleFlight::default();
        let done = Arc::new(AtomicU32::new(0));
        let also_done = Arc::clone(&done);
        let work = async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            also_done.store(1, Ordering::SeqCst);
        };
        assert!(tokio::time::timeout(Duration::from_secs(1), flight.run(work)).await.is_err());
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_panic_is_no_result_and_frees_the_place() {
        let flight = SingleFlight::<u8>::default();
        assert_eq!(flight.run(async { panic!("made up") }).await, None);
        assert_eq!(flight.run(async { 1 }).await, Some(1));
    }
}
