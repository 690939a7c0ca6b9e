//! What is around the adapter: vault, identity endpoint, the way to them, and the process that it runs in.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use simulators::exact_online::system_clock;
use simulators::key_vault::{KeyVault, Logged, Operation, Relay, Rules, TestCa, Way};
use simulators::managed_identity::{self, ManagedIdentity};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::driver::ANSWER;

pub(crate) const NAME: &str = "exact-online-token";
pub(crate) const HOST: &str = "made-up.vault.azure.net";
/// In every refresh token that is stored here.
pub(crate) const CANARY: &str = "CANARY-refresh-token";

pub(crate) struct World {
    pub(crate) vault: KeyVault,
    pub(crate) identity: ManagedIdentity,
    pub(crate) relay: Relay,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) async fn world() -> World {
    world_with(Rules::default(), managed_identity::Rules::default()).await
}

pub(crate) async fn world_with(vault: Rules, identity: managed_identity::Rules) -> World {
    let ca = TestCa::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
    let identity = ManagedIdentity::start(identity, system_clock()).await.unwrap();
    let vault = KeyVault::start(vault, &ca, identity.shared(), system_clock()).await.unwrap();
    let relay = Relay::start().await.unwrap();
    relay.lead(HOST, Way::To(vault.address()));
    World { vault, identity, relay, folder }
}

impl World {
    /// A new process with the environment of a function app, and the adapter in it.
    pub(crate) async fn process(&self) -> Process {
        self.process_with(&self.identity.endpoint(), "-", |command| command).await
    }

    pub(crate) async fn process_with(&self, endpoint: &str, client_id: &str, set: impl FnOnce(&mut Command) -> &mut Command) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--ignored", "--nocapture", "driver::driver"]);
        for name in ["NO_PROXY", "no_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_DIR", "MSI_ENDPOINT", "IDENTITY_SERVER_THUMBPRINT"] {
            command.env_remove(name);
        }
        command.env("HTTPS_PROXY", self.relay.url()).env("SSL_CERT_FILE", self.folder.path().join("ca.pem")).env("RUST_BACKTRACE", "1");
        if endpoint != "-" {
            command.env("IDENTITY_ENDPOINT", endpoint).env("IDENTITY_HEADER", managed_identity::Rules::header());
        }
        set(&mut command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let mut stderr = child.stderr.take().unwrap();
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        });
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
        let mut process = Process { input, output, said, writer: String::new(), marks: 0, _child: child };
        let opened = process.ask(&format!("open https://{HOST} {NAME} {endpoint} {client_id}")).await;
        process.writer.push_str(opened["ok"].as_str().unwrap());
        process
    }

    /// The requests since the last call of this.
    pub(crate) fn requests(&self, before: &mut usize) -> Vec<(Operation, u16)> {
        let rules = self.vault.rules();
        let new = rules.log()[*before..].iter().map(|it: &Logged| (it.operation, it.status)).collect();
        *before = rules.log().len();
        new
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.identity.rules().log().len()
    }

    /// Nothing was sent that the real services refuse, nothing was deleted, and "latest" was never asked for.
    pub(crate) fn assert_well_behaved(&self) {
        let rules = self.vault.rules();
        assert_eq!(rules.violations(), []);
        assert_eq!(self.identity.rules().violations(), []);
        for logged in rules.log() {
            let known = [Operation::Set, Operation::Get, Operation::ListVersions, Operation::Update];
            assert!(known.contains(&logged.operation), "{logged:?}");
            assert!(logged.version.is_some() || matches!(logged.operation, Operation::Set | Operation::ListVersions), "{logged:?}");
        }
    }
}

/// The process in which the adapter runs.
pub(crate) struct Process {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    said: Arc<Mutex<String>>,
    pub(crate) writer: String,
    marks: u32,
    _child: Child,
}

impl Process {
    /// One command, one answer. Everything that comes is kept.
    pub(crate) async fn ask(&mut self, command: &str) -> Value {
        self.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        loop {
            let Some(line) = self.output.next_line().await.unwrap() else { panic!("the process ended: {}", self.said.lock().unwrap()) };
            let answer = line.strip_prefix(ANSWER).map(|json| serde_json::from_str(json).unwrap());
            self.said.lock().unwrap().push_str(&(line + "\n"));
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    /// A version of the credential that the attempt brought.
    pub(crate) async fn put(&mut self, attempt: &str) -> String {
        let answer = self.ask(&format!("put {attempt} {CANARY}-{attempt}")).await;
        answer["ok"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn assert_error(answer: &Value, kind: &str, says: &[&str]) {
        let text = answer["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(answer["error"], kind, "{answer}");
        for part in says {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(!text.contains("SIMULATED") && !text.contains("html") && !text.contains("backtrace") && !text.contains(CANARY), "{text}");
    }

    /// All output so far, log included. What was said before this is in it: the log is one stream.
    pub(crate) async fn said(&mut self) -> String {
        self.marks += 1;
        let mark = format!("END-OF-LOG-{}.", self.marks);
        self.ask(&format!("say {mark}")).await;
        loop {
            let said = std::mem::take(&mut *self.said.lock().unwrap());
            let heard = said.contains(&mark);
            self.said.lock().unwrap().insert_str(0, &said);
            if heard {
                return said;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
