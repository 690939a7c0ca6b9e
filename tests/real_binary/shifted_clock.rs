//! A wall clock that is ahead or behind, for one process, by the Debian package `faketime`. Its monotonic clock stays as it is.

use std::process::Command;
use std::sync::OnceLock;

/// `$LIB` is the dynamic linker's own variable.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// The variables that [`environment`] sets.
pub(crate) const NAMES: [&str; 5] = ["LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC", "FAKETIME_DISABLE_SHM", "NO_FAKE_STAT"];

/// What makes the wall clock of a process be ahead by so many seconds, negative for behind.
pub(crate) fn environment(seconds: i64) -> Vec<(String, String)> {
    static WORKS: OnceLock<()> = OnceLock::new();
    WORKS.get_or_init(|| {
        let (now, shifted) = (epoch_seconds(&[]), epoch_seconds(&variables(7_200)));
        assert!(
            (7_190..7_300).contains(&(shifted - now)),
            "this test needs the Debian package `faketime` (apt-get install faketime): with {LIBRARY} preloaded the clock did not move"
        );
    });
    variables(seconds)
}

fn variables(seconds: i64) -> Vec<(String, String)> {
    let values = [LIBRARY, &format!("{seconds:+}"), "1", "1", "1"];
    NAMES.into_iter().zip(values).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn epoch_seconds(environment: &[(String, String)]) -> i64 {
    let date = Command::new("date").arg("+%s").envs(environment.iter().cloned()).output().expect("there is a command `date`");
    String::from_utf8(date.stdout).unwrap().trim().parse().unwrap()
}
