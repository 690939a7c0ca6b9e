//! Many histories, on all cores: what comes out does not depend on how many there are.

use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::history::{History, live};
use crate::world::facts::Facts;

/// A history in which a promise was not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// To live it through again.
    pub seed: u64,
    /// The first promise.
    pub what: String,
}

/// What came of all of them.
#[derive(Debug, Default)]
pub struct Sum {
    /// Everything that was counted.
    pub facts: Facts,
    /// By seed.
    pub failures: Vec<Failure>,
}

/// Lives through them all; with `until_first`, until one of them fails, and then to the end of those with lower seeds.
#[must_use]
pub fn run(seeds: RangeInclusive<u64>, threads: usize, until_first: bool) -> Sum {
    let (first, last) = (*seeds.start(), *seeds.end());
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !(until_first && failed.load(Ordering::Relaxed)) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > last {
                        return;
                    }
                    let (facts, what) = outcome(seed);
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    sum.facts.add(&facts);
                    if let Some(what) = what {
                        sum.failures.push(Failure { seed, what });
                        failed.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.failures.sort();
    sum
}

/// A panic anywhere in it is a failure like another.
fn outcome(seed: u64) -> (Facts, Option<String>) {
    match std::panic::catch_unwind(AssertUnwindSafe(|| live(seed))) {
        Ok(History { facts, broken, .. }) => (facts, broken.into_iter().next()),
        Err(_) => (Facts { histories: 1, ..Facts::default() }, Some("a panic".to_owned())),
    }
}
