//! A wall clock that is ahead or behind, for the processes that are started with it. Their monotonic clock stays as it is.
//!
//! Debian's `faketime` does it as well, but where several threads read a clock that can be moved, it gives one in some two thousand the real time.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The variables that [`ClockFile::environment`] sets.
pub(crate) const NAMES: [&str; 2] = ["LD_PRELOAD", "SHIFTED_CLOCK_FILE"];

/// A wall clock that can be moved under processes that are running: they look at the file each time that they ask for the time.
pub(crate) struct ClockFile {
    path: PathBuf,
    file: File,
}

impl ClockFile {
    /// In a folder that stays, so many seconds ahead, negative for behind.
    pub(crate) fn new(folder: &Path, seconds: i64) -> Self {
        static WORKS: OnceLock<()> = OnceLock::new();
        WORKS.get_or_init(|| assert_works(folder));
        Self::create(folder, seconds)
    }

    fn create(folder: &Path, seconds: i64) -> Self {
        let path = folder.join(format!("clock{seconds:+}"));
        let clock = Self { file: File::create(&path).unwrap(), path };
        clock.set(seconds);
        clock
    }

    /// How many seconds all processes with [`ClockFile::environment`] are ahead from now on.
    pub(crate) fn set(&self, seconds: i64) {
        let number = seconds.to_ne_bytes();
        for offset in [0, 8] {
            self.file.write_all_at(&number, offset).unwrap();
        }
    }

    /// For the environment of a process.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let values = [library(), &self.path].map(|path| path.to_str().unwrap().to_owned());
        NAMES.map(str::to_owned).into_iter().zip(values).collect()
    }
}

/// What is preloaded.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Another process of tests may be making it as well.
        let (made, library) = (folder.join(format!("shifted_clock-{}.so", std::process::id())), folder.join("shifted_clock.so"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stage/shifted_clock.c");
        let compiled = Command::new("cc").args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]).arg(&made).arg(source).status();
        assert!(compiled.expect("this test needs the C compiler `cc`").success(), "the library for clocks does not compile");
        std::fs::rename(made, &library).unwrap();
        library
    })
}

fn assert_works(folder: &Path) {
    let shifted = ClockFile::create(folder, 7_200);
    let ahead = epoch_seconds(&shifted.environment()) - epoch_seconds(&[]);
    assert!((7_190..7_300).contains(&ahead), "with a clock of 7,200 s ahead the command `date` was {ahead} s ahead");
    shifted.set(-7_200);
    let behind = epoch_seconds(&[]) - epoch_seconds(&shifted.environment());
    assert!((7_190..7_300).contains(&behind), "with a clock of 7,200 s behind the command `date` was {behind} s behind");
}

fn epoch_seconds(environment: &[(String, String)]) -> i64 {
    let date = Command::new("date").arg("+%s").envs(environment.iter().cloned()).output().expect("there is a command `date`");
    String::from_utf8(date.stdout).unwrap().trim().parse().unwrap()
}
