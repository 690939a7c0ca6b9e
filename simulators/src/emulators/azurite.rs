//! Azurite, Microsoft's emulator of Azure Storage: blobs with real leases and conditional writes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

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

    /// The same with other arguments, and more in its environment.
    ///
    /// # Panics
    ///
    /// As [`Azurite::start`].
    #[must_use]
    pub fn start_with(arguments: &[&str], environment: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = program();
        assert!(
            program.is_file(),
            "{} is missing: install Azurite with `npm install --prefix target/tools azurite@3.37.0`, or name its azurite-blob in AZURITE_BLOB",
            program.display()
        );
        let mut child = Command::new(program)
            .args(["--inMemoryPersistence", "--disableTelemetry"])
            .args(arguments)
            .envs(environment.iter().cloned())
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

    /// Waits, without yielding, until its replies bear this date: after its clock was moved they bear the old one for up to a second.
    ///
    /// # Panics
    ///
    /// If they do not within 10 s.
    pub fn wait_for_date(&self, date: Timestamp) {
        for _ in 0..500 {
            if self.date().is_some_and(|now| now.as_second() >= date.as_second()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the clock of Azurite does not move");
    }

    /// The date of a reply; any reply has one.
    fn date(&self) -> Option<Timestamp> {
        let address = self.endpoint.split("//").nth(1)?.split('/').next()?;
        let mut stream = TcpStream::connect(address).ok()?;
        write!(stream, "GET /made-up HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let date = reply.lines().find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("date")))?.1;
        jiff::fmt::rfc2822::parse(date).ok().map(|date| date.timestamp())
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
