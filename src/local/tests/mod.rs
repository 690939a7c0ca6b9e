mod lock;
mod processes;
mod trouble;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::EmbeddedStore;
use crate::ports::{Clock, Etag, LedgerError, LedgerStore, LockError, LockOwner, Vault, VaultError, WriteError};
use crate::token::consent::Pending;
use crate::token::{AccessToken, AttemptId, ChainIdentity, Credential, Ledger, LockId, Pointer, Secret, VersionId};

struct TestClock(AtomicU64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _: Duration) {
        unreachable!("the store never waits")
    }
}

/// A store in a folder of its own, and a second one on the same path, as another process would have it.
struct Scene {
    folder: TempDir,
    path: PathBuf,
    clock: Arc<TestClock>,
    store: EmbeddedStore,
    other: EmbeddedStore,
}

impl Scene {
    fn new() -> Self {
        Self::at("store/token.json")
    }

    fn at(path: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(path);
        let clock = Arc::new(TestClock(AtomicU64::new(0)));
        let store = EmbeddedStore::new(&path, Arc::clone(&clock) as Arc<dyn Clock>);
        let other = EmbeddedStore::new(&path, Arc::clone(&clock) as Arc<dyn Clock>);
        Self { folder, path, clock, store, other }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}{ending}", self.path.display()))
    }

    /// A store with one version that is the head.
    async fn begun() -> Self {
        let scene = Self::new();
        scene.store.lock(&me()).await.unwrap();
        let version = scene.store.put(&credential(1)).await.unwrap();
        let mut ledger = empty();
        ledger.new_epoch(Pointer::to(version, &credential(1)));
        scene.store.write(&me(), &ledger, None).await.unwrap();
        scene
    }
}

fn me() -> LockOwner {
    LockOwner("owner-1".into())
}

fn somebody_else() -> LockOwner {
    LockOwner("owner-2".into())
}

fn empty() -> Ledger {
    Ledger::begin(LockId("embedded".into()), "embedded")
}

fn etag(text: &str) -> Etag {
    Etag(text.into())
}

fn credential(number: u32) -> Credential {
    let granted_at = Timestamp::from_second(1_800_000_000 + i64::from(number)).unwrap();
    Credential {
        refresh_token: Secret::new(format!("made-up-refresh-token-{number}")),
        access: Some(AccessToken {
            value: Secret::new(format!("made-up-access-token-{number}")),
            expires_at: granted_at,
            lifetime: SignedDuration::from_secs(600),
        }),
        granted_at,
        renewable_at: granted_at,
        attempt: AttemptId(format!("attempt-{number}")),
        epoch: 1,
        lock_id: LockId("embedded".into()),
        chain: ChainIdentity { base_url: "https://start.exactonline.nl".into(), client_id: "made-up-client-id".into(), user: None },
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn nothing_is_touched_before_the_first_write() {
    let scene = Scene::new();
    assert_eq!(scene.store.read().await.unwrap().map(|snapshot| snapshot.etag), None);
    assert_eq!(scene.store.list().await, Ok(vec![]));
    assert_eq!(scene.store.get(&VersionId("1".into())).await.unwrap_err(), VaultError::NotFound(VersionId("1".into())));
    assert_eq!(scene.store.holder().await, Ok(None));
    assert!(!scene.path.parent().unwrap().exists());
}

#[tokio::test]
async fn what_one_store_writes_the_other_reads() {
    let scene = Scene::begun().await;
    let snapshot = scene.other.read().await.unwrap().unwrap();
    let head = snapshot.ledger.head.unwrap();
    assert_eq!(snapshot.etag, etag("1"));
    assert_eq!(head.version, VersionId("1-attempt-1".into()));
    assert_eq!(scene.other.get(&head.version).await.unwrap().refresh_token.reveal(), "made-up-refresh-token-1");
    let listed = scene.other.list().await.unwrap();
    assert_eq!((listed.len(), &listed[0].version, &listed[0].attempt), (1, &head.version, &Some(AttemptId("attempt-1".into()))));
}

#[tokio::test]
async fn file_and_folder_are_for_their_owner_alone() {
    let scene = Scene::begun().await;
    assert_eq!(mode(scene.path.parent().unwrap()), 0o700);
    assert_eq!((mode(&scene.path), mode(&scene.beside(".lock"))), (0o600, 0o600));
    assert!(!scene.beside(".new").exists());

    fs::set_permissions(&scene.path, fs::Permissions::from_mode(0o644)).unwrap();
    scene.store.read().await.unwrap().expect("a file that others can read is read all the same");
    scene.store.prove_writable(&VersionId("1-attempt-1".into())).await.unwrap();
    assert_eq!(mode(&scene.path), 0o600);
}

#[tokio::test]
async fn the_ledger_is_written_only_under_the_lock_and_over_what_was_read() {
    let scene = Scene::begun().await;
    let mut ledger = empty();
    ledger.generation = 700;
    assert_eq!(scene.store.write(&me(), &ledger, None).await, Err(WriteError::Conflict));
    assert_eq!(scene.store.write(&me(), &ledger, Some(&etag("0"))).await, Err(WriteError::Conflict));
    assert_eq!(scene.store.write(&somebody_else(), &ledger, Some(&etag("1"))).await, Err(WriteError::Conflict));
    assert_eq!(scene.other.write(&me(), &ledger, Some(&etag("1"))).await, Err(WriteError::Conflict));
    assert_eq!(scene.store.write(&me(), &ledger, Some(&etag("1"))).await, Ok(etag("2")));
    assert_eq!(scene.store.write(&me(), &ledger, Some(&etag("1"))).await, Err(WriteError::Conflict));
    let read = scene.other.read().await.unwrap().unwrap();
    ledger.generation = 2;
    assert_eq!((read.etag, read.ledger), (etag("2"), ledger));

    fs::remove_file(&scene.path).unwrap();
    assert_eq!(scene.store.write(&me(), &empty(), Some(&etag("2"))).await, Err(WriteError::Conflict));
    assert_eq!(scene.store.write(&me(), &empty(), None).await, Ok(etag("1")));
}

#[tokio::test]
async fn a_version_leaves_the_ledger_as_it_is() {
    let scene = Scene::begun().await;
    let before = scene.store.read().await.unwrap().unwrap();
    assert_eq!(scene.store.put(&credential(2)).await, Ok(VersionId("2-attempt-2".into())));
    scene.store.prove_writable(&VersionId("2-attempt-2".into())).await.unwrap();
    let after = scene.store.read().await.unwrap().unwrap();
    assert_eq!((before.etag, before.ledger), (after.etag, after.ledger));
}

#[tokio::test]
async fn versions_need_the_lock_and_their_proof_an_existing_version() {
    let scene = Scene::begun().await;
    let head = VersionId("1-attempt-1".into());
    for refused in [scene.other.put(&credential(2)).await.map(|_| ()), scene.other.prove_writable(&head).await] {
        let said = refused.unwrap_err().to_string();
        assert_eq!(said, "the token store is not writable: this process does not hold the lock, without which the file is not written");
    }
    let unknown = VersionId("9-attempt-9".into());
    assert_eq!(scene.store.prove_writable(&unknown).await, Err(VaultError::NotFound(unknown)));
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&scene.path);
    scene.store.prove_writable(&head).await.unwrap();
    assert_ne!(inode(&scene.path), before, "the proof is a real rewrite");
}

#[tokio::test]
async fn the_proof_for_a_first_version_is_a_real_rewrite_and_needs_the_lock() {
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let scene = Scene::new();
    assert!(matches!(scene.store.prove_first_write().await, Err(VaultError::NotWritable(_))), "without the lock");
    assert!(!scene.path.exists());
    scene.store.lock(&me()).await.unwrap();
    scene.store.prove_first_write().await.unwrap();
    assert_eq!(mode(&scene.path), 0o600);
    assert_eq!((scene.other.read().await.unwrap().map(|snapshot| snapshot.etag), scene.other.list().await), (None, Ok(vec![])), "it is empty");
    let before = inode(&scene.path);
    scene.store.prove_first_write().await.unwrap();
    assert_ne!(inode(&scene.path), before);

    let scene = Scene::begun().await;
    let before = (scene.store.read().await.unwrap().unwrap().ledger, scene.store.list().await.unwrap());
    scene.store.prove_first_write().await.unwrap();
    assert_eq!((scene.store.read().await.unwrap().unwrap().ledger, scene.store.list().await.unwrap()), before);
    fs::create_dir(scene.beside(".new")).unwrap();
    assert!(matches!(scene.store.prove_first_write().await, Err(VaultError::NotWritable(_))), "what is in the way");
}

#[tokio::test]
async fn head_candidates_open_attempts_what_waits_and_the_last_20_versions_are_kept() {
    let scene = Scene::begun().await;
    for number in 2..=4 {
        scene.store.put(&credential(number)).await.unwrap();
    }
    let mut ledger = scene.store.read().await.unwrap().unwrap().ledger;
    ledger.odd_grant_saved(Pointer::to(VersionId("2-attempt-2".into()), &credential(2)));
    ledger.announce(AttemptId("attempt-3".into()), credential(1).fingerprint(), scene.clock.now());
    let pointer = Pointer::to(VersionId("4-attempt-4".into()), &credential(4));
    ledger.consents.pending = Some(Pending { pointer, person: None });
    scene.store.write(&me(), &ledger, Some(&etag("1"))).await.unwrap();
    for number in 5..=40 {
        scene.store.put(&credential(number)).await.unwrap();
    }
    let kept: Vec<_> = scene.store.list().await.unwrap().into_iter().map(|entry| entry.version.0).collect();
    let expected: Vec<_> = (1..=4).chain(21..=40).map(|number| format!("{number}-attempt-{number}")).collect();
    assert_eq!(kept, expected);
}
