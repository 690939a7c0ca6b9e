//! Azurite, Microsoft's emulator of Azure Storage: blobs with real leases and conditional writes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// For a clock that is moved: Node keeps the text of the date for up to a second, and puts the old one into replies that name no date themselves.
const FRESH_DATES: &str = include_str!("fresh_dates.js");

/// One blob service that keeps everything in memory. It stops when it is dropped.
pub struct Azurite {
    child: Child,
    endpoint: String,
    log: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Azurite {
    /// The only account.
    pub const ACCOUNT: &str = "devstoreaccount1";
    /// Its well-known key: public, and the same everywhere.
    pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    /// On a port of its own choosing, so that any number of tests can run beside each other.
    ///
    /// # Panics
    ///
    /// If it is not installed, or ends before it listens.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&["--blobPort", "0"], &[])
    }

    /// The same with other arguments, and the environment of a clock that can be moved under it (empty: the machine's).
    ///
    /// # Panics
    ///
    /// As [`Azurite::start`].
    #[must_use]
    pub fn start_with(arguments: &[&str], clock: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = program();
        assert!(
            program.is_file(),
            "{} is missing: install Azurite with `npm install --prefix target/tools azurite@3.37.0`, or name its azurite-blob in AZURITE_BLOB",
            program.display()
        );
        let mut command = Command::new(program);
        if !clock.is_empty() {
            let script = folder.path().join("fresh_dates.js");
            std::fs::write(&script, FRESH_DATES).expect("a temporary file");
            command.env("NODE_OPTIONS", format!("--require \"{}\"", script.display()));
        }
        let mut child = command
            .args(["--inMemoryPersistence", "--disableTelemetry"])
            .args(arguments)
            .envs(clock.iter().cloned())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("Azurite could not be started");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines().map_while(Result::ok);
        let listens = lines.find_map(|line| Some(line.split_once(" successfully listens on ")?.1.to_owned()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&log);
        // A full pipe would stop it.
        std::thread::spawn(move || lines.for_each(|line| heard.lock().unwrap_or_else(PoisonError::into_inner).extend(request(&line))));
        let endpoint = format!("{}/{}", listens.expect("Azurite ended before it listened"), Self::ACCOUNT);
        Self { child, endpoint, log, _folder: folder }
    }

    /// Its address with the account as path.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The value for `AzureWebJobsStorage`.
    #[must_use]
    pub fn connection_string(&self) -> String {
        let (account, key, endpoint) = (Self::ACCOUNT, Self::KEY, &self.endpoint);
        format!("DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};BlobEndpoint={endpoint};")
    }

    /// The requests that were answered so far, each as method, path with query, and status: its own access log, which comes a moment after the reply.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it. What it kept is gone.
    pub fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A line of the access log: `127.0.0.1 - - [date] "PUT /path HTTP/1.1" 201 -`.
fn request(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("] \"")?;
    let (request, status) = rest.split_once(" HTTP/1.1\" ")?;
    Some(format!("{request} {}", status.split(' ').next()?))
}

#[expect(clippy::disallowed_methods, reason = "where a tool of the tests is, is no setting of the program")]
fn program() -> PathBuf {
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/node_modules/.bin/azurite-blob");
    std::env::var_os("AZURITE_BLOB").map_or_else(installed, PathBuf::from)
}
