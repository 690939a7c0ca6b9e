//! The process in which the adapter runs: it takes commands from standard input, one per line, and answers each with one line of JSON. What the
//! SDK takes from the environment (proxy, trust store, identity endpoint) can be set for a process only.

use std::future::Future;
use std::io::{BufRead as _, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use exact_token_broker::azure::identity::Identity;
use exact_token_broker::azure::key_vault::{KeyVault, Settings};
use exact_token_broker::clock::SystemClock;
use exact_token_broker::local::EmbeddedStore;
use exact_token_broker::ports::{Clock, LedgerStore, LockOwner, TokenEndpoint, Vault, VaultError};
use exact_token_broker::refresh_token::Refresher;
use exact_token_broker::token::schedule::{Mode, Policy};
use exact_token_broker::token::{AttemptId, ChainIdentity, Credential, Fingerprint, Ledger, LockId, Reply, Secret, VersionId};
use serde_json::{Value, json};
use tokio::time::Instant;

/// What an answer begins with: the test harness writes to standard output as well.
pub(crate) const ANSWER: &str = "@answer ";

#[test]
#[ignore = "run by the other tests, each in a process of its own"]
fn driver() {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    // Everything that this program and every crate below it says, at the finest level.
    tracing_subscriber::registry().with(Everything).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut vault = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words.as_slice() {
            ["open", url, name, endpoint, client_id] => {
                let given = |text: &'static str, word: &str| (word != "-").then(|| word.to_owned()).ok_or(text);
                let endpoint = given("no endpoint", endpoint).ok();
                let identity = Identity::choose(endpoint.as_deref(), endpoint.is_some(), given("none", client_id).ok().as_deref()).unwrap();
                let settings = Settings { vault_url: (*url).to_owned(), secret_name: (*name).to_owned(), identity, owner: None };
                vault = Some(Arc::new(KeyVault::new(settings).unwrap()));
                json!({ "ok": vault.as_ref().unwrap().writer() })
            }
            ["say", text] => {
                tracing::trace!(text, "said on command");
                json!({ "ok": null })
            }
            words => runtime.block_on(run(vault.clone().unwrap(), words)),
        };
        println!("\n{ANSWER}{answer}");
    }
}

async fn run(vault: Arc<KeyVault>, words: &[&str]) -> Value {
    let begun = Instant::now();
    let mut answer = match words {
        ["put", attempt, refresh_token] => told(vault.put(&credential(attempt, refresh_token)).await, |version| json!(version.0)),
        ["put-bytes", bytes] => {
            let filler = "x".repeat(bytes.parse().unwrap());
            told(vault.put(&credential("large", &filler)).await, |version| json!(version.0))
        }
        ["get", version] => told(vault.get(&VersionId((*version).to_owned())).await, |it| json!([it.attempt.0, it.fingerprint().to_string()])),
        ["list"] => told(vault.list().await, |entries| {
            entries.into_iter().map(|it| json!([it.version.0, it.created.as_second(), it.attempt.map(|attempt| attempt.0)])).collect()
        }),
        ["prove", version] => told(vault.prove_writable(&VersionId((*version).to_owned())).await, |()| json!(null)),
        ["prove-first"] => told(vault.prove_first_write().await, |()| json!(null)),
        ["gets", count, version] => {
            let version = VersionId((*version).to_owned());
            let good = parallel(count, || {
                let (vault, version) = (Arc::clone(&vault), version.clone());
                async move { vault.get(&version).await.is_ok() }
            });
            json!({ "ok": good.await })
        }
        ["callers", count, folder] => json!({ "ok": callers(vault, count, folder).await }),
        other => panic!("{other:?}"),
    };
    answer["ms"] = json!(u64::try_from(begun.elapsed().as_millis()).unwrap());
    answer
}

fn told<T>(result: Result<T, VaultError>, show: impl FnOnce(T) -> Value) -> Value {
    match result {
        Ok(value) => json!({ "ok": show(value) }),
        Err(error) => {
            let kind = match &error {
                VaultError::Unavailable(_) => "Unavailable",
                VaultError::NotWritable(_) => "NotWritable",
                VaultError::Unclear => "Unclear",
                VaultError::NotFound(_) => "NotFound",
                VaultError::Damaged(_) => "Damaged",
            };
            json!({ "error": kind, "text": error.to_string(), "debug": format!("{error:?}") })
        }
    }
}

/// How many of so many at once came back with true.
async fn parallel<F>(count: &str, one: impl Fn() -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let all: Vec<_> = (0..count.parse::<usize>().unwrap()).map(|_| tokio::spawn(one())).collect();
    let mut good = 0;
    for task in all {
        good += usize::from(task.await.unwrap());
    }
    good
}

/// So many callers at once who want to know what is stored, in a process that knows nothing yet. The ledger is the embedded one.
async fn callers(vault: Arc<KeyVault>, count: &str, folder: &str) -> usize {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ledger = EmbeddedStore::new(format!("{folder}/ledger.json"), Arc::clone(&clock));
    let now = ledger.now();
    let known = Credential { lock_id: ledger.lock_id(), ..credential("a", "made-up") };
    // Put by another client, so that this one is cold.
    let version = VersionId(std::fs::read_to_string(format!("{folder}/version")).unwrap());
    let owner = LockOwner("made-up".to_owned());
    ledger.lock(&owner).await.unwrap();
    let stored = Ledger::rebuild(vec![(version, known.clone())], now, Ledger::begin(ledger.lock_id(), vault.writer()));
    ledger.write(&owner, &Ledger { generation: 1, ..stored }, None).await.unwrap();
    ledger.unlock(&owner).await;

    let policy = Policy { mode: Mode::KeepWarm, chain: known.chain, settings: Fingerprint([1; 16]), lock_id: ledger.lock_id() };
    let refresher = Arc::new(Refresher::new(Arc::new(Nobody), vault, Arc::new(ledger), clock, policy));
    let looked = parallel(count, || {
        let refresher = Arc::clone(&refresher);
        async move { refresher.look().await.is_ok() && refresher.view().head.is_some() }
    });
    looked.await
}

/// Exact Online, which nobody may ask here.
struct Nobody;

#[async_trait]
impl TokenEndpoint for Nobody {
    async fn refresh(&self, _: &Secret) -> Reply {
        panic!("a request was sent")
    }
}

fn credential(attempt: &str, refresh_token: &str) -> Credential {
    let at = "2026-11-23T17:00:00Z".parse().unwrap();
    Credential {
        refresh_token: Secret::new(refresh_token),
        access: None,
        granted_at: at,
        renewable_at: at,
        attempt: AttemptId(attempt.to_owned()),
        epoch: 1,
        lock_id: LockId("made-up-lock".to_owned()),
        chain: ChainIdentity { base_url: "https://exact.invalid".to_owned(), client_id: "made-up".to_owned(), user: None },
    }
}

/// A log that leaves nothing out.
struct Everything;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Everything {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 = format!("{} {field}={value:?}", self.0);
            }
        }
        let mut fields = Fields(event.metadata().target().to_owned());
        event.record(&mut fields);
        std::io::stderr().write_all((fields.0 + "\n").as_bytes()).unwrap();
    }
}
