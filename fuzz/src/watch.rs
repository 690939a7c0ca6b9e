//! Ends the process when an input does not come back: nothing else can.

use std::fs;
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Executions take microseconds; a loaded machine may stop the process for seconds.
const HANGS_AFTER: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Current {
    count: u64,
    input: Vec<u8>,
}

/// Watches the executions of one target, until it is dropped.
pub(crate) struct Watch {
    current: Arc<Mutex<Current>>,
    _ends: Sender<()>,
}

impl Watch {
    pub(crate) fn begin(name: &'static str) -> Self {
        let current = Arc::new(Mutex::new(Current::default()));
        let watched = Arc::clone(&current);
        let (ends, ended) = channel();
        std::thread::spawn(move || {
            let mut before = 0;
            while ended.recv_timeout(HANGS_AFTER) == Err(RecvTimeoutError::Timeout) {
                let current = lock(&watched);
                if current.count == before {
                    give_up(name, &current.input);
                }
                before = current.count;
            }
        });
        Self { current, _ends: ends }
    }

    pub(crate) fn looks_at(&self, input: &[u8]) {
        let mut current = lock(&self.current);
        current.count += 1;
        current.input.clear();
        current.input.extend_from_slice(input);
    }
}

fn lock(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

fn give_up(name: &str, input: &[u8]) -> ! {
    let file = crate::results().join(format!("{name}-hangs-{:016x}", crate::hash(input)));
    let _ = fs::create_dir_all(crate::results()).and_then(|()| fs::write(&file, input));
    let _ = writeln!(std::io::stderr(), "{name}: hangs on \"{}\"; also in {}", input.escape_ascii(), file.display());
    std::process::abort();
}
