//! A small fuzzer for the tests of `exact-token-broker`: no dependency, stable Rust.
//!
//! A target is a test that calls [`Target::run`] with a closure. It first tries every file of `fuzz/corpus/<target>/`, then inputs that are made of
//! them. What takes a branch that none took before is kept to make more of. Where the build does not count branches (any but that of `fuzz/run.sh`),
//! the label that the closure gives to each outcome takes their place.
//!
//! An input has failed when the closure panics, does not come back, or prints [`MARKER`].
//!
//! | variable | meaning |
//! |---|---|
//! | `FUZZ_SECONDS` | how long each target runs; without it, [`BRIEF`] executions |
//! | `FUZZ_SEED` | another seed than 1 |
//! | `FUZZ_KEEP` | where set, what took a new branch is added to the corpus |

mod coverage;
mod mutation;
mod random;
mod watch;

use std::collections::HashSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coverage::Coverage;
use random::Random;
use watch::Watch;

/// Stands where a secret would. No text that the product makes may hold it, whatever the letter case.
pub const MARKER: &str = "MADEUPcanary";

/// How many executions a target gets in an ordinary run of the tests, beside its corpus.
pub const BRIEF: u64 = 2_000;

/// How often a failed input is made smaller at most.
const SHRINKS: usize = 2_000;

/// What an execution came to.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Names the kind of outcome in one of a few words.
    pub label: String,
    /// All that the product said: `Debug`, `Display`, bodies.
    pub printed: String,
}

impl Seen {
    /// An outcome of this kind that printed this.
    pub fn new(label: impl Into<String>, printed: impl Into<String>) -> Self {
        Self { label: label.into(), printed: printed.into() }
    }
}

/// An input that failed.
#[derive(Clone, Debug)]
pub struct Found {
    /// As small as it could be made.
    pub input: Vec<u8>,
    /// What happened.
    pub why: String,
}

/// One parser.
pub struct Target {
    name: &'static str,
    words: Vec<&'static [u8]>,
    longest: usize,
    executions: Option<u64>,
    seeds: Vec<Vec<u8>>,
}

impl Target {
    /// `name` is that of its folder in `fuzz/corpus/`.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, words: Vec::new(), longest: 4096, executions: None, seeds: Vec::new() }
    }

    /// Words that mean something to the parser.
    #[must_use]
    pub fn words(mut self, words: &[&'static str]) -> Self {
        self.words.extend(words.iter().map(|word| word.as_bytes()));
        self
    }

    /// No input is longer: 4 KiB, unless told.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// Exactly so many, and no files: for tests of the loop itself.
    #[must_use]
    pub fn only(mut self, executions: u64, seeds: &[&str]) -> Self {
        self.executions = Some(executions);
        self.seeds = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
        self
    }

    /// Runs until the time is over, and says how far it came.
    ///
    /// # Panics
    ///
    /// When an input fails; and when the corpus has no file.
    pub fn run(self, execute: impl Fn(&[u8]) -> Seen) {
        let (name, seconds) = (self.name, variable("FUZZ_SECONDS").and_then(|text| text.parse().ok()).map(Duration::from_secs));
        match self.search(seconds, &execute) {
            Ok(report) => print(&format!("measured: fuzz {name}: {report}")),
            Err(Found { input, why }) => {
                let file = results().join(format!("{name}-{:016x}", hash(&input)));
                let _ = fs::create_dir_all(results()).and_then(|()| fs::write(&file, &input));
                panic!("{name}: {why}\ninput: \"{}\"\nalso in {}; once mended, keep it in fuzz/corpus/{name}/", input.escape_ascii(), file.display());
            }
        }
    }

    /// The same, with what was found as the result.
    ///
    /// # Errors
    ///
    /// The input that failed.
    ///
    /// # Panics
    ///
    /// When the corpus has no file.
    pub fn search(mut self, seconds: Option<Duration>, execute: &impl Fn(&[u8]) -> Seen) -> Result<String, Found> {
        let began = now();
        let seed = variable("FUZZ_SEED").and_then(|text| text.parse().ok()).unwrap_or(1);
        let mut random = Random::new(seed ^ hash(self.name.as_bytes()));
        if self.executions.is_none() {
            self.seeds = corpus(self.name);
        }
        assert!(!self.seeds.is_empty(), "{}: there is nothing in its corpus", self.name);
        let mut loop_ =
            Loop { coverage: Coverage::new(), labels: HashSet::new(), watch: Watch::begin(self.name), kept: Vec::new(), slowest: Duration::ZERO };
        loop_.coverage.is_new();
        for input in &self.seeds {
            loop_.attempt(input, execute)?;
        }
        // All of them are parents, also those that show nothing new.
        loop_.kept.clone_from(&self.seeds);
        let from_files = loop_.kept.len();
        let mut executions = u64::try_from(from_files).unwrap_or_default();
        let most = match (self.executions, seconds) {
            (Some(most), _) => most,
            (None, Some(_)) => u64::MAX,
            (None, None) => executions + BRIEF,
        };
        while executions < most && seconds.is_none_or(|seconds| executions % 64 != 0 || began.elapsed() < seconds) {
            let [one, other] = [(); 2].map(|()| loop_.pick(&mut random));
            let input = mutation::mutate(&loop_.kept[one], &loop_.kept[other], &self.words, self.longest, &mut random);
            executions += 1;
            if loop_.attempt(&input, execute)? {
                if variable("FUZZ_KEEP").is_some() && self.executions.is_none() {
                    keep(self.name, &input);
                }
                loop_.kept.push(input);
            }
        }
        let guided =
            if loop_.coverage.is_guided() { format!("{} branches taken", loop_.coverage.edges()) } else { "branches not counted".to_owned() };
        Ok(format!(
            "{executions} executions in {:.1} s, {from_files} inputs of the corpus and {} more kept, {guided}, {} kinds of outcome, slowest {:.1} ms",
            began.elapsed().as_secs_f64(),
            loop_.kept.len() - from_files,
            loop_.labels.len(),
            loop_.slowest.as_secs_f64() * 1e3
        ))
    }
}

struct Loop {
    coverage: Coverage,
    labels: HashSet<String>,
    watch: Watch,
    kept: Vec<Vec<u8>>,
    slowest: Duration,
}

impl Loop {
    /// Half of the time one of the latest: they have been tried least.
    fn pick(&self, random: &mut Random) -> usize {
        let length = self.kept.len();
        if random.below(2) == 0 { length - 1 - random.below(length.min(16)) } else { random.below(length) }
    }

    /// Whether it showed anything new.
    fn attempt(&mut self, input: &[u8], execute: &impl Fn(&[u8]) -> Seen) -> Result<bool, Found> {
        self.watch.looks_at(input);
        let began = now();
        let seen = outcome(input, execute);
        let new = self.coverage.is_new();
        self.slowest = self.slowest.max(began.elapsed());
        match seen {
            Ok(label) => Ok(self.labels.insert(label) | new),
            Err(_) => Err(self.shrink(input.to_vec(), execute)),
        }
    }

    /// Takes away what need not be there for it to fail.
    fn shrink(&self, mut input: Vec<u8>, execute: &impl Fn(&[u8]) -> Seen) -> Found {
        let mut length = input.len().div_ceil(2);
        for _ in 0..SHRINKS {
            let smaller = (0..input.len()).step_by(length.max(1)).find_map(|at| {
                let mut smaller = input.clone();
                smaller.drain(at..(at + length).min(input.len()));
                self.watch.looks_at(&smaller);
                outcome(&smaller, execute).is_err().then_some(smaller)
            });
            match smaller {
                Some(smaller) => input = smaller,
                None if length <= 1 => break,
                None => length = length.div_ceil(2),
            }
        }
        let why = outcome(&input, execute).err().unwrap_or_else(|| "it failed once and not again".to_owned());
        Found { input, why }
    }
}

/// The label, or why it failed.
fn outcome(input: &[u8], execute: &impl Fn(&[u8]) -> Seen) -> Result<String, String> {
    let seen = panic::catch_unwind(AssertUnwindSafe(|| execute(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        format!("it panicked: {}", text.unwrap_or_default())
    })?;
    let leaks = seen.printed.to_ascii_lowercase().contains(&MARKER.to_ascii_lowercase());
    if leaks { Err(format!("it printed what stands for a secret: {}", seen.printed)) } else { Ok(seen.label) }
}

/// Whether this build counts the branches that are taken.
#[must_use]
pub fn is_guided() -> bool {
    Coverage::new().is_guided()
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))).collect()
}

fn keep(name: &str, input: &[u8]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name).join(format!("found-{:016x}", hash(input)));
    fs::write(&file, input).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// Where failed inputs are left.
pub(crate) fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz")
}

/// FNV-1a: the same in every run.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[expect(clippy::print_stdout, reason = "this is what a run is for")]
fn print(line: &str) {
    println!("{line}");
}

#[expect(clippy::disallowed_methods, reason = "how long the loop runs is the machine's time; no product code is measured by it")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "these are for the loop, not for the product")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
