//! What the fuzz targets of `exact-token-broker` share.
//!
//! A target is a test that calls [`Target::run`] with a closure that feeds one input to a parser and gives back all that the product said. An input
//! has failed when the closure panics, or when what it gives back holds [`MARKER`].
//!
//! An ordinary run of the tests tries each file of `fuzz/corpus/<target>/`. `fuzz/run.sh` builds the tests with the feature `libfuzzer` and with
//! LLVM's coverage counters, and lets libFuzzer make more of these files, each target in a process of its own.
//!
//! | variable | meaning |
//! |---|---|
//! | `FUZZ_SECONDS` | how long libFuzzer searches; without it, only the corpus is tried |
//! | `FUZZ_SEED` | another seed than 1 |
//! | `FUZZ_KEEP` | where set, what took a new branch is added to the corpus, else it stays in `target/fuzz/<target>/` |

#[cfg(feature = "libfuzzer")]
mod engine;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Stands where a secret would. No text that the product makes may hold it, whatever the letter case.
pub const MARKER: &str = "MADEUPcanary";

/// What texts of all kinds break at, beside what libFuzzer thinks of itself.
const COMMON: &[&str] = &[
    MARKER,
    "\"MADEUPcanary\"",
    "null",
    "1e999",
    "18446744073709551616",
    "-9223372036854775809",
    "253402300800",
    "{\"a\":",
    "\\u0000",
    "\\ud800",
    "\\\"",
    "\u{feff}",
    "\u{fffd}",
    "\u{200b}",
    "%00",
    "%zz",
    "%C3%A9",
    "%2521",
    "\r\n",
    "://",
];

/// One parser.
pub struct Target {
    name: &'static str,
    words: Vec<&'static str>,
    longest: usize,
    patience: Duration,
}

impl Target {
    /// `name` is that of its folder in `fuzz/corpus/`.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, words: COMMON.to_vec(), longest: 4096, patience: Duration::from_secs(10) }
    }

    /// Words that mean something to the parser. libFuzzer leaves out those of more than 64 bytes.
    #[must_use]
    pub fn words(mut self, words: &[&'static str]) -> Self {
        self.words.extend(words);
        self
    }

    /// No input is longer: 4 KiB, unless told.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// An input that takes longer hangs: 10 s, unless told.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Tries the corpus, or lets libFuzzer search.
    ///
    /// # Panics
    ///
    /// When an input fails; and when the corpus has no file. Where libFuzzer searches, the process ends instead.
    pub fn run(self, execute: impl Fn(&[u8]) -> String + 'static) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name);
        match variable("FUZZ_SECONDS") {
            None => replay(&corpus, &execute),
            Some(seconds) => self.search(&corpus, &seconds, execute),
        }
    }

    #[cfg(feature = "libfuzzer")]
    fn search(&self, corpus: &Path, seconds: &str, execute: impl Fn(&[u8]) -> String + 'static) -> ! {
        assert!(!files(corpus).is_empty(), "there is nothing in {}", corpus.display());
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz");
        let (found, words) = (results.join(self.name), results.join(format!("{}.dict", self.name)));
        // What an earlier run found would make this one another.
        if found.exists() {
            fs::remove_dir_all(&found).expect("what was found earlier can be removed");
        }
        fs::create_dir_all(&found).expect("a folder can be made in target/fuzz");
        fs::write(&words, dictionary(&self.words)).expect("the dictionary can be written");
        let mut options = vec![
            format!("-max_total_time={seconds}"),
            format!("-max_len={}", self.longest),
            format!("-dict={}", words.display()),
            format!("-artifact_prefix={}-", found.display()),
            "-rss_limit_mb=2048".to_owned(),
            format!("-seed={}", variable("FUZZ_SEED").as_deref().unwrap_or("1")),
            "-print_final_stats=1".to_owned(),
        ];
        // libFuzzer writes into the first folder, and only reads the others.
        let folders = if variable("FUZZ_KEEP").is_some() { vec![corpus] } else { vec![found.as_path(), corpus] };
        options.extend(folders.iter().map(|folder| folder.display().to_string()));
        engine::search(options, self.patience, Box::new(move |input| check(input, &execute)))
    }

    #[cfg(not(feature = "libfuzzer"))]
    fn search(&self, _: &Path, _: &str, _: impl Fn(&[u8]) -> String) {
        let Self { name, words, longest, patience } = self;
        panic!("{name} ({} words, up to {longest} bytes, {patience:?}): built without libFuzzer, which fuzz/run.sh builds in", words.len());
    }
}

/// Each file as an input.
fn replay(corpus: &Path, execute: &impl Fn(&[u8]) -> String) {
    let files = files(corpus);
    assert!(!files.is_empty(), "there is nothing in {}", corpus.display());
    for file in files {
        let input = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if let Err(why) = check(&input, execute) {
            panic!("{}: {why}", file.display());
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Why the input failed, if it did.
fn check(input: &[u8], execute: &impl Fn(&[u8]) -> String) -> Result<(), String> {
    let said = panic::catch_unwind(AssertUnwindSafe(|| execute(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        format!("it panicked: {}", text.unwrap_or_default())
    })?;
    let leaks = said.to_ascii_lowercase().contains(&MARKER.to_ascii_lowercase());
    if leaks { Err(format!("it printed what stands for a secret: {said}")) } else { Ok(()) }
}

/// In the form that libFuzzer reads: a word in a line, each byte as a number.
#[cfg(any(feature = "libfuzzer", test))]
fn dictionary(words: &[&str]) -> String {
    use std::fmt::Write;
    words.iter().fold(String::new(), |mut text, word| {
        text.push('"');
        word.bytes().for_each(|byte| write!(text, "\\x{byte:02x}").expect("a text takes all"));
        text + "\"\n"
    })
}

#[expect(clippy::disallowed_methods, reason = "these are for the targets, not for the product")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
