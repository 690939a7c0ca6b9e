//! The embedded store between real processes: this test binary starts itself again, as a process with one of the roles below.
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use super::*;

const ROLE: &str = "LOCAL_PROCESSES_ROLE";
const FILE: &str = "LOCAL_PROCESSES_FILE";
/// Rounds inside the lock of each of the eight.
const ROUNDS: u64 = 15;

fn open(path: &Path) -> EmbeddedStore {
    EmbeddedStore::new(path, Arc::new(TestClock(AtomicU64::new(0))))
}

fn owner() -> LockOwner {
    LockOwner(format!("owner of process {}", std::process::id()))
}

/// A process that does not outlive the test, should that fail.
struct Started(Child);

impl Started {
    /// `kill -9`.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(role: &str, path: &Path) -> Started {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "local::tests::processes::as_a_child", "--nocapture"])
        .env(ROLE, role)
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn();
    Started(child.unwrap())
}

/// Waits until the child says that it has begun.
fn wait_for_its_word(child: &mut Started) {
    let lines = BufReader::new(child.0.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("begun")), "the child ended without a word");
}

/// No test of its own: what the started processes do.
#[tokio::test]
async fn as_a_child() {
    #[expect(clippy::disallowed_methods, reason = "these two are from the test that started this process")]
    let (Some(role), Some(path)) = (std::env::var_os(ROLE), std::env::var_os(FILE)) else { return };
    let path = Path::new(&path);
    match role.to_str().unwrap() {
        "hold" => {
            let store = open(path);
            store.lock(&owner()).await.unwrap();
            println!("\nbegun");
            std::future::pending::<()>().await;
        }
        "write for ever" => write_for_ever(&open(path)).await,
        "take turns" => take_turns(path).await,
        other => panic!("there is no role {other}"),
    }
}

async fn write_for_ever(store: &EmbeddedStore) {
    store.lock(&owner()).await.expect("the lock of a killed process is free");
    println!("\nbegun");
    loop {
        write_once(store).await;
    }
}

/// One version and the ledger that names it.
async fn write_once(store: &EmbeddedStore) {
    let snapshot = store.read().await.unwrap();
    let (mut ledger, etag) = match snapshot {
        Some(snapshot) => (snapshot.ledger, Some(snapshot.etag)),
        None => (Ledger::begin(store.lock_id(), store.writer()), None),
    };
    // Several blocks of the disk.
    let refresh_token = Secret::new("made-up-refresh-token-".repeat(200));
    let attempt = AttemptId(format!("attempt {} of process {}", ledger.generation, std::process::id()));
    let credential = Credential { refresh_token, attempt, epoch: ledger.epoch + 1, ..credential(1) };
    let version = store.put(&credential).await.unwrap();
    ledger.new_epoch(Pointer::to(version, &credential));
    store.write(&owner(), &ledger, etag.as_ref()).await.unwrap();
}

async fn take_turns(path: &Path) {
    let store = open(path);
    let inside = path.with_extension("inside");
    let mut done = 0;
    while done < ROUNDS {
        match store.lock(&owner()).await {
            Ok(()) => {
                std::fs::File::create_new(&inside).expect("another process is inside");
                write_once(&store).await;
                std::fs::remove_file(&inside).unwrap();
                store.unlock(&owner()).await;
                done += 1;
            }
            Err(LockError::Held) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn kill_9_of_the_holder_frees_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.json");
    let mut holder = start("hold", &path);
    wait_for_its_word(&mut holder);
    let store = open(&path);
    assert_eq!(store.lock(&owner()).await, Err(LockError::Held));
    assert_eq!(store.holder().await.unwrap().unwrap().pid, Some(holder.0.id()));

    holder.kill();
    assert_eq!(store.holder().await, Ok(None), "what the killed process noted in the lock file counts no more");
    store.lock(&owner()).await.unwrap();
}

#[tokio::test]
async fn eight_processes_are_never_inside_at_once_and_none_loses_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.json");
    let children: Vec<_> = (0..8).map(|_| start("take turns", &path)).collect();
    for mut child in children {
        let mut said = String::new();
        child.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(child.0.wait().unwrap().success(), "{said}");
    }
    let ledger = open(&path).read().await.unwrap().unwrap().ledger;
    assert_eq!((ledger.generation, ledger.epoch), (8 * ROUNDS, 8 * ROUNDS));
}

#[tokio::test]
async fn a_kill_9_at_any_moment_leaves_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.json");
    let store = open(&path);
    let mut generation = 0;
    for round in 0..12 {
        let mut writer = start("write for ever", &path);
        wait_for_its_word(&mut writer);
        // Another moment of the cycle of writes in each round, and a look at the file while it is being replaced.
        for _ in 0..20 + 7 * round {
            store.read().await.expect("a reader never sees half a file");
            tokio::time::sleep(Duration::from_micros(150)).await;
        }
        writer.kill();

        let ledger = store.read().await.unwrap().map(|snapshot| snapshot.ledger);
        if let Some(head) = ledger.as_ref().and_then(|ledger| ledger.head.as_ref()) {
            store.get(&head.version).await.expect("a ledger never names a version that is not there");
        }
        let reached = ledger.map_or(0, |ledger| ledger.generation);
        assert!(reached >= generation, "a write that was there is gone");
        generation = reached;
    }
    assert!(generation > 12, "the processes wrote: {generation}");
}
