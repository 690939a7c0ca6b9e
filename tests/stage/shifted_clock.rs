//! A wall clock that is ahead or behind, for one process, by the Debian package `faketime`. Its monotonic clock stays as it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// `$LIB` is the dynamic linker's own variable.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// The variables that [`environment`] sets.
pub(crate) const NAMES: [&str; 5] = ["LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC", "FAKETIME_DISABLE_SHM", "NO_FAKE_STAT"];

/// What makes the wall clock of a process be ahead by so many seconds, negative for behind.
pub(crate) fn environment(seconds: i64) -> Vec<(String, String)> {
    assert_works();
    variables(seconds)
}

/// A wall clock that can be moved under processes that are running: they look at the file each time that they ask for the time.
pub(crate) struct ClockFile(PathBuf);

impl ClockFile {
    /// In a folder that stays.
    pub(crate) fn new(folder: &Path) -> Self {
        assert_works();
        let file = Self(folder.join("clock"));
        file.set(0);
        file
    }

    /// How many seconds all processes with [`ClockFile::environment`] are ahead from now on. They must not be reading the time while it is written, or
    /// they may find half of it: hence the rename.
    pub(crate) fn set(&self, seconds: i64) {
        let beside = self.0.with_extension("next");
        std::fs::write(&beside, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(beside, &self.0).unwrap();
    }

    /// For the environment of a process.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut variables = variables(0);
        variables.retain(|(name, _)| name != "FAKETIME");
        variables.push(("FAKETIME_TIMESTAMP_FILE".to_owned(), self.0.to_str().unwrap().to_owned()));
        variables.push(("FAKETIME_NO_CACHE".to_owned(), "1".to_owned()));
        variables
    }
}

fn assert_works() {
    static WORKS: OnceLock<()> = OnceLock::new();
    WORKS.get_or_init(|| {
        let (now, shifted) = (epoch_seconds(&[]), epoch_seconds(&variables(7_200)));
        assert!(
            (7_190..7_300).contains(&(shifted - now)),
            "this test needs the Debian package `faketime` (apt-get install faketime): with {LIBRARY} preloaded the clock did not move"
        );
    });
}

/// Removes what the library leaves in shared memory for a process that was killed; versions before 0.9.11 do not know `FAKETIME_DISABLE_SHM`.
pub(crate) fn sweep() {
    let Ok(folder) = std::fs::read_dir("/dev/shm") else { return };
    for entry in folder.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = ["faketime_shm_", "sem.faketime_sem_"].iter().find_map(|prefix| name.strip_prefix(prefix));
        if pid.is_some_and(is_dead) {
            // Another test may have been faster.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether there is no such process, or nothing of it but its number.
fn is_dead(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    pid.bytes().all(|byte| byte.is_ascii_digit()) && stat.map_or(true, |stat| stat.contains(") Z "))
}

fn variables(seconds: i64) -> Vec<(String, String)> {
    let values = [LIBRARY, &format!("{seconds:+}"), "1", "1", "1"];
    NAMES.into_iter().zip(values).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn epoch_seconds(environment: &[(String, String)]) -> i64 {
    let date = Command::new("date").arg("+%s").envs(environment.iter().cloned()).output().expect("there is a command `date`");
    String::from_utf8(date.stdout).unwrap().trim().parse().unwrap()
}
