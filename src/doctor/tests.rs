//! Each finding, and that nothing hangs; over ports that say what they are told to, or nothing.

use std::fs;
use std::path::Path;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::*;
use crate::ports::{Etag, Knocked, LedgerError, LockError, LockOwner, LogIn, NoSite, Snapshot, VaultError, VersionEntry, WriteError};
use crate::token::{Credential, Ledger, LockId, VersionId};

/// All ports at once.
#[derive(Clone)]
struct Stub {
    begun: Instant,
    /// Nobody answers.
    silent: bool,
    log_in: LogIn,
    status: u16,
    /// Seconds that Exact's clock, and the storage's, are ahead of this one.
    exact_ahead: i64,
    storage_ahead: i64,
    versions: usize,
    held: bool,
    read_only: bool,
}

impl Stub {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            silent: false,
            log_in: LogIn::Shown,
            status: 404,
            exact_ahead: 0,
            storage_ahead: 0,
            versions: 0,
            held: false,
            read_only: false,
        }
    }

    async fn answer<T>(&self, answer: T) -> T {
        if self.silent { std::future::pending().await } else { answer }
    }

    fn proof(&self) -> Result<(), VaultError> {
        if self.read_only { Err(VaultError::NotWritable("made up".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl Clock for Stub {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.begun.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[async_trait]
impl ExactSite for Stub {
    async fn knock(&self) -> Result<Knocked, NoSite> {
        let date = Timestamp::from_second(Clock::now(self).as_second() + self.exact_ahead).ok();
        self.answer(Ok(Knocked { status: self.status, date })).await
    }

    async fn open_log_in(&self, _: &str) -> Result<LogIn, NoSite> {
        self.answer(Ok(self.log_in)).await
    }
}

#[async_trait]
impl Vault for Stub {
    async fn put(&self, _: &Credential) -> Result<VersionId, VaultError> {
        panic!("no token is written")
    }

    async fn get(&self, version: &VersionId) -> Result<Credential, VaultError> {
        self.answer(Err(VaultError::NotFound(version.clone()))).await
    }

    async fn list(&self) -> Result<Vec<VersionEntry>, VaultError> {
        let entry = |n: usize| VersionEntry { version: VersionId(n.to_string()), created: Timestamp::UNIX_EPOCH, attempt: None };
        self.answer(Ok((0..self.versions).map(entry).collect())).await
    }

    async fn prove_writable(&self, _: &VersionId) -> Result<(), VaultError> {
        self.answer(self.proof()).await
    }

    async fn prove_first_write(&self) -> Result<(), VaultError> {
        self.answer(self.proof()).await
    }

    fn writer(&self) -> &'static str {
        "made-up-writer"
    }
}

#[async_trait]
impl LedgerStore for Stub {
    fn now(&self) -> Timestamp {
        Clock::now(self) + SignedDuration::from_secs(self.storage_ahead)
    }

    fn lock_id(&self) -> LockId {
        LockId("made-up-lock".to_owned())
    }

    async fn read(&self) -> Result<Option<Snapshot>, LedgerError> {
        self.answer(Ok(None)).await
    }

    async fn lock(&self, _: &LockOwner) -> Result<(), LockError> {
        self.answer(if self.held { Err(LockError::Held) } else { Ok(()) }).await
    }

    async fn renew(&self, _: &LockOwner) -> Result<(), LockError> {
        self.answer(Ok(())).await
    }

    async fn unlock(&self, _: &LockOwner) {
        self.answer(()).await;
    }

    async fn write(&self, _: &LockOwner, _: &Ledger, _: Option<&Etag>) -> Result<Etag, WriteError> {
        panic!("the ledger is not written")
    }
}

const REDIRECT: &str = "https://made-up.example/api/ConsentCallback";

fn facts() -> Facts {
    Facts {
        app_root: Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(),
        base_url: "https://exact.invalid".to_owned(),
        redirect_uri: Some(REDIRECT.to_owned()),
        host: Some("made-up.example".to_owned()),
        place: "a made-up place".to_owned(),
        token_file: None,
        remarks: Vec::new(),
    }
}

async fn examined(stub: Stub, facts: Facts) -> Report {
    let stub = Arc::new(stub);
    Doctor { vault: stub.clone(), ledger: stub.clone(), site: stub.clone(), clock: stub, facts }.examine().await
}

fn check<'a>(report: &'a Report, name: &str) -> &'a Check {
    report.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

/// The checks that did not go well.
fn complaints(report: &Report) -> Vec<(&'static str, Verdict)> {
    report.checks.iter().filter(|check| check.verdict != Verdict::Ok).map(|check| (check.name, check.verdict)).collect()
}

#[tokio::test(start_paused = true)]
async fn where_all_is_well_nothing_is_said_and_every_name_is_there_once() {
    let report = examined(Stub::new(), facts()).await;
    assert!(report.healthy && complaints(&report).is_empty(), "{report}");
    let mut names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), 14, "{names:?}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 14);
    assert!(report.to_string().ends_with(&format!("All is well. (build {})", env!("CARGO_PKG_VERSION"))), "{report}");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_answers_every_check_ends_and_says_so() {
    let begun = Instant::now();
    let report = examined(Stub { silent: true, ..Stub::new() }, facts()).await;
    // The store is read first; what is asked next is asked at once.
    assert!(begun.elapsed() <= 3 * CHECK_WITHIN, "{:?}", begun.elapsed());
    let silent = ["Exact Online", "client id", "ledger", "lock", "token store, read", "token store, add a version"];
    for name in silent {
        let found = check(&report, name);
        assert_eq!((found.verdict, found.finding.as_str()), (Verdict::Failed, "no answer within 15 s"), "{name}");
        assert!(found.remedy.is_some());
    }
    for name in ["versions", "clock and Exact Online's"] {
        assert_eq!(check(&report, name).verdict, Verdict::Remark, "{name}");
    }
    assert_eq!(check(&report, "functions").verdict, Verdict::Ok, "the rest goes on");
    assert!(!report.healthy && report.to_string().contains("6 checks failed."), "{report}");
}

#[tokio::test(start_paused = true)]
async fn clocks_are_compared_with_both_others() {
    for (off, verdict) in
        [(0, Verdict::Ok), (4, Verdict::Ok), (6, Verdict::Remark), (28, Verdict::Remark), (32, Verdict::Failed), (4_000, Verdict::Failed)]
    {
        for sign in [1, -1] {
            let report = examined(Stub { exact_ahead: sign * off, storage_ahead: sign * off, ..Stub::new() }, facts()).await;
            for name in ["clock and Exact Online's", "clock and the storage's"] {
                let found = check(&report, name);
                assert_eq!(found.verdict, verdict, "{off}: {report}");
                let said = if sign > 0 { "s behind theirs" } else { "s ahead of theirs" };
                assert_eq!(found.finding.contains(said), verdict != Verdict::Ok, "{}", found.finding);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_log_in_page_says_is_told_with_a_remedy() {
    for (log_in, verdict, says) in [
        (LogIn::Shown, Verdict::Ok, "knows it"),
        (LogIn::UnknownClient, Verdict::Failed, "EXACT_REGION"),
        (LogIn::NotThisApp, Verdict::Failed, "character by character"),
        (LogIn::NoRedirectUri, Verdict::Failed, "https"),
        (LogIn::Odd(503), Verdict::Remark, "status 503"),
    ] {
        let report = examined(Stub { log_in, ..Stub::new() }, facts()).await;
        let found = check(&report, "client id");
        assert_eq!(found.verdict, verdict);
        assert!(format!("{} {}", found.finding, found.remedy.as_deref().unwrap_or_default()).contains(says), "{found:?}");
    }
    let report = examined(Stub { status: 503, ..Stub::new() }, facts()).await;
    assert_eq!(check(&report, "Exact Online").verdict, Verdict::Remark);
}

#[tokio::test(start_paused = true)]
async fn the_redirect_uri_is_looked_at() {
    for (uri, host, says) in [
        (Some(REDIRECT), Some("MADE-UP.example"), None),
        (Some(REDIRECT), None, None),
        (Some(REDIRECT), Some("other.example"), Some("not of this app's own host, other.example")),
        (Some("https://made-up.example/done"), Some("made-up.example"), Some("does not end with /api/ConsentCallback")),
        (Some("http://localhost:7071/api/ConsentCallback"), Some("localhost:7071"), Some("plain http")),
        (None, None, Some("EXACT_REDIRECT_URI is not set")),
    ] {
        let facts = Facts { redirect_uri: uri.map(str::to_owned), host: host.map(str::to_owned), ..facts() };
        let report = examined(Stub::new(), facts).await;
        let found = check(&report, "redirect URI");
        let verdict = match says {
            None => Verdict::Ok,
            Some("plain http") => Verdict::Failed,
            Some(_) => Verdict::Remark,
        };
        assert_eq!(found.verdict, verdict, "{found:?}");
        assert!(says.is_none_or(|says| found.finding.contains(says)), "{found:?}");
        assert_eq!(check(&report, "client id").verdict == Verdict::Remark, uri.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_cannot_be_written_a_lock_that_is_held_and_many_versions() {
    let report = examined(Stub { read_only: true, versions: 1, ..Stub::new() }, facts()).await;
    let expected =
        [("token store, read", Verdict::Failed), ("token store, change a version", Verdict::Failed), ("token store, add a version", Verdict::Failed)];
    assert_eq!(complaints(&report), expected, "the version that it lists cannot be read, either: {report}");

    let report = examined(Stub { held: true, ..Stub::new() }, facts()).await;
    assert_eq!(complaints(&report), [("lock", Verdict::Remark)], "{report}");

    for (versions, verdict) in [(4_999, Verdict::Ok), (5_000, Verdict::Remark)] {
        let report = examined(Stub { versions, ..Stub::new() }, facts()).await;
        assert_eq!(check(&report, "versions").verdict, verdict);
    }
}

/// The app's folder, as it is published.
fn published() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(root.join("host.json"), folder.path().join("host.json")).unwrap();
    for (name, _) in files::FUNCTIONS {
        fs::create_dir(folder.path().join(name)).unwrap();
        let file = Path::new(name).join("function.json");
        fs::copy(root.join(&file), folder.path().join(&file)).unwrap();
    }
    folder
}

#[test]
fn every_folder_of_this_repository_is_known() {
    let mut folders: Vec<String> = fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("function.json").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let known: Vec<&str> = files::FUNCTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, known);
}

#[tokio::test]
async fn the_apps_files_are_compared_with_those_of_the_build() {
    type Spoil = fn(&Path);
    let cases: [(Spoil, Verdict, &str); 9] = [
        (|_| {}, Verdict::Ok, ""),
        (|root| fs::remove_dir_all(root.join("GetToken")).unwrap(), Verdict::Failed, "GetToken/function.json: is missing"),
        (
            |root| replace(&root.join("GetToken/function.json"), "\"function\"", "\"anonymous\""),
            Verdict::Failed,
            "GetToken/function.json: is not the one",
        ),
        (|root| replace(&root.join("Status/function.json"), "{", ""), Verdict::Failed, "Status/function.json: is not JSON"),
        (|root| replace(&root.join("RefreshToken/function.json"), "*/9", "*/5"), Verdict::Remark, "another schedule"),
        (
            |root| {
                fs::create_dir(root.join("Other")).unwrap();
                fs::write(root.join("Other/function.json"), "{}").unwrap();
            },
            Verdict::Failed,
            "Other/function.json: this program answers to no such function",
        ),
        (|root| replace(&root.join("host.json"), "true,\n", "false,\n"), Verdict::Ok, ""),
        (
            |root| replace(&root.join("host.json"), "\"enableForwardingHttpRequest\": true", "\"a\": 1"),
            Verdict::Failed,
            "enableForwardingHttpRequest",
        ),
        (|root| fs::remove_file(root.join("host.json")).unwrap(), Verdict::Failed, "is missing"),
    ];
    for (spoil, verdict, says) in cases {
        let folder = published();
        spoil(folder.path());
        let checks = files::app(folder.path()).await;
        let worst = checks.iter().max_by_key(|check| check.verdict).unwrap();
        assert_eq!(worst.verdict, verdict, "{says}: {checks:?}");
        assert!(worst.finding.contains(says), "{checks:?}");
    }
    let empty = tempfile::tempdir().unwrap();
    let checks = files::app(empty.path()).await;
    assert!(matches!(&checks[..], [only] if only.verdict == Verdict::Remark && only.finding.contains("is not the app's folder")), "{checks:?}");
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_token_file_is_its_owners_alone_or_it_is_said() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token.json");
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(folder.path(), 0o700);
    assert_eq!(files::modes(&file).await.verdict, Verdict::Ok, "there is none yet");
    fs::write(&file, "").unwrap();
    for (of_file, of_folder, verdict) in [
        (0o600, 0o700, Verdict::Ok),
        (0o640, 0o700, Verdict::Failed),
        (0o604, 0o700, Verdict::Failed),
        (0o600, 0o755, Verdict::Remark),
        (0o600, 0o770, Verdict::Failed),
    ] {
        set(&file, of_file);
        set(folder.path(), of_folder);
        let found = files::modes(&file).await;
        assert_eq!(found.verdict, verdict, "{of_file:o} {of_folder:o}: {found:?}");
    }
}
