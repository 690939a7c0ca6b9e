//! Several callers, one piece of work: the first starts it, the others wait for its result.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::task;

/// At most one piece of work at a time. It runs as a task of its own, so it goes on when the callers have gone.
#[derive(Debug)]
pub struct SingleFlight<T> {
    running: Place<T>,
}

type Place<T> = Arc<Mutex<Option<Arc<Flight<T>>>>>;

/// One piece of work. Who waits for it is woken in the order of coming, which a simulation can repeat: of tokio's channels for this, `watch` wakes in a
/// random one.
#[derive(Debug)]
struct Flight<T> {
    state: Mutex<State<T>>,
    landed: Notify,
}

#[derive(Clone, Debug)]
enum State<T> {
    Running,
    Done(T),
    Panicked,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

impl<T: Clone> Flight<T> {
    async fn result(&self) -> Option<T> {
        let mut landed = pin!(self.landed.notified());
        // From here on no landing is missed.
        landed.as_mut().enable();
        if let State::Running = self.state() {
            landed.await;
        }
        match self.state() {
            State::Done(value) => Some(value),
            State::Running | State::Panicked => None,
        }
    }

    fn state(&self) -> State<T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Starts `work` and waits for it; if something is running already, waits for that and drops `work` unstarted. None if the work panicked.
    pub async fn run(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.join_or_start(work).result().await
    }

    /// Waits until nothing is running.
    pub async fn idle(&self) {
        loop {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(flight) = running else { return };
            drop(flight.result().await);
        }
    }

    fn join_or_start(&self, work: impl Future<Output = T> + Send + 'static) -> Arc<Flight<T>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = &*running {
            return Arc::clone(flight);
        }
        let flight = Arc::new(Flight { state: Mutex::new(State::Running), landed: Notify::new() });
        *running = Some(Arc::clone(&flight));
        let landing = Landing { place: Arc::clone(&self.running), flight: Arc::clone(&flight), value: None };
        drop(task::spawn(async move {
            let value = work.await;
            landing.with(value);
        }));
        flight
    }
}

/// Frees the place when the work ends, however it ends, and then tells: who is told can start the next flight at once.
struct Landing<T> {
    place: Place<T>,
    flight: Arc<Flight<T>>,
    value: Option<T>,
}

impl<T> Landing<T> {
    fn with(mut self, value: T) {
        self.value = Some(value);
    }
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.flight.state.lock().unwrap_or_else(PoisonError::into_inner) = self.value.take().map_or(State::Panicked, State::Done);
        self.flight.landed.notify_waiters();
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
