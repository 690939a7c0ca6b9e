//! Which branches of the product an execution took.
//!
//! `fuzz/run.sh` builds the product's tests with LLVM's `sancov` pass, which counts each edge in a byte and tells at start where these bytes are.
//! In any other build nobody tells, there is nothing to read, and the loop goes by what its target says of each outcome.

#![expect(unsafe_code, reason = "the counters are bytes that the compiler's instrumentation owns")]

use std::slice;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

static COUNTERS: Mutex<Vec<&'static [AtomicU64]>> = Mutex::new(Vec::new());

/// Called by each instrumented object before `main`, with the two ends of its counters.
///
/// # Safety
///
/// The compiler calls it: the bytes between `start` and `stop` are there as long as the process, and are touched by nobody but this file and the
/// instrumentation, which adds to single bytes. A count that is lost when two threads add at once is no harm.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *const AtomicU8, stop: *const AtomicU8) {
    let length = (stop as usize).saturating_sub(start as usize);
    if length == 0 {
        return;
    }
    // SAFETY: see above. Any eight bytes are a number; the few before and after the first and the last whole one are left out.
    let (_, counters, _) = unsafe { slice::from_raw_parts(start, length).align_to::<AtomicU64>() };
    let mut all = COUNTERS.lock().unwrap_or_else(PoisonError::into_inner);
    if all.iter().all(|known| known.as_ptr() != counters.as_ptr()) {
        all.push(counters);
    }
}

/// What was seen so far: for each counter the powers of two that it has reached, eight counters to a word.
pub(crate) struct Coverage {
    counters: Vec<&'static [AtomicU64]>,
    seen: Vec<u64>,
}

impl Coverage {
    pub(crate) fn new() -> Self {
        let counters = COUNTERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let length = counters.iter().map(|counters| counters.len()).sum();
        Self { counters, seen: vec![0; length] }
    }

    /// Whether this build counts.
    pub(crate) fn is_guided(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Whether what ran since the last look went where nothing went before, or so often. Counts from nothing again.
    pub(crate) fn is_new(&mut self) -> bool {
        let mut new = false;
        for (eight, seen) in self.counters.iter().copied().flatten().zip(&mut self.seen) {
            let counts = eight.load(Ordering::Relaxed);
            // Nearly all of the program rests.
            if counts == 0 {
                continue;
            }
            eight.store(0, Ordering::Relaxed);
            let reached = counts.to_ne_bytes().map(|count| if count == 0 { 0 } else { 1 << count.ilog2() });
            let reached = u64::from_ne_bytes(reached);
            new |= *seen | reached != *seen;
            *seen |= reached;
        }
        new
    }

    /// How many edges were ever taken.
    pub(crate) fn edges(&self) -> usize {
        self.seen.iter().flat_map(|seen| seen.to_ne_bytes()).filter(|seen| *seen != 0).count()
    }
}
