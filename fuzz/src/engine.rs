//! The way to libFuzzer, and back for each input.

#![expect(unsafe_code, reason = "libFuzzer is C++")]

use std::cell::OnceCell;
use std::ffi::{CString, c_char, c_int};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{process, ptr, slice, thread};

// For what it links.
use libfuzzer_sys as _;

type Check = Box<dyn Fn(&[u8]) -> Result<(), String>>;

thread_local! {
    /// What the inputs are for. libFuzzer calls back in the thread that called it.
    static CHECK: OnceCell<Check> = const { OnceCell::new() };
}

/// One more at the begin of each execution, and at its end: odd while one runs.
static STEPS: AtomicU64 = AtomicU64::new(0);

// SAFETY: as libFuzzer's FuzzerDriver.cpp has it.
unsafe extern "C" {
    fn LLVMFuzzerRunDriver(argc: *mut c_int, argv: *mut *mut *mut c_char, callback: extern "C" fn(*const u8, usize) -> c_int) -> c_int;
}

/// Runs libFuzzer with these options until it ends the process: with code 0 when the time is over, with another when an input has failed, or takes
/// longer than `patience`.
///
/// # Panics
///
/// When it does not begin.
pub(crate) fn search(options: Vec<String>, patience: Duration, check: Check) -> ! {
    assert!(CHECK.with(|cell| cell.set(check)).is_ok(), "one target for each process");
    thread::spawn(move || watch(patience));
    let arguments = std::iter::once("fuzz".to_owned()).chain(options);
    let mut strings: Vec<*mut c_char> = arguments.map(|text| CString::new(text).expect("an option has no zero byte").into_raw()).collect();
    let mut count = c_int::try_from(strings.len()).expect("there are few options");
    strings.push(ptr::null_mut());
    let mut argv = strings.leak().as_mut_ptr();
    // SAFETY: `argv` holds `count` strings that end with a zero byte, and a null pointer after them, as that of a `main`; all live as long as the process.
    let code = unsafe { LLVMFuzzerRunDriver(&raw mut count, &raw mut argv, execute) };
    panic!("libFuzzer did not begin: {code}");
}

/// A failure ends the process, whereupon libFuzzer keeps the input. Nothing may unwind into C++: the check catches panics.
extern "C" fn execute(data: *const u8, size: usize) -> c_int {
    // SAFETY: libFuzzer hands over `size` bytes that nobody changes while this runs. A slice may not begin at null, not even an empty one.
    let input = if size == 0 { &[] } else { unsafe { slice::from_raw_parts(data, size) } };
    STEPS.fetch_add(1, Ordering::Relaxed);
    if let Err(why) = CHECK.with(|check| check.get().map_or(Ok(()), |check| check(input))) {
        give_up(&format!("{why}\ninput: \"{}\"", input.escape_ascii()));
    }
    STEPS.fetch_add(1, Ordering::Relaxed);
    0
}

/// libFuzzer's own `-timeout` sees nothing here: its signal must come in the thread that searches, and comes in the first one, which is libtest's.
fn watch(patience: Duration) {
    let mut before = 0;
    loop {
        thread::sleep(patience);
        let steps = STEPS.load(Ordering::Relaxed);
        if steps == before && steps % 2 == 1 {
            give_up(&format!("it hangs: not back after {} s", patience.as_secs()));
        }
        before = steps;
    }
}

fn give_up(why: &str) -> ! {
    // Past the capture of the test's output, which would end with the process.
    let _ = writeln!(std::io::stderr(), "fuzz: {why}");
    process::abort();
}
