//! Ledger, lock and vault: reachable, readable, writable.

use super::site::clock;
use super::{CHECK_WITHIN, Check, Doctor};
use crate::ports::{LedgerError, LockError, LockOwner, Snapshot, VaultError, VersionEntry};
use crate::token::VersionId;

/// From this many versions on a new secret is advised: `keep-warm` writes so many in five weeks, and a list of them begins to take seconds.
const MANY_VERSIONS: usize = 5_000;
/// How long a lock that somebody else has is waited for, and how often it is tried.
const TRY_LOCK: u32 = 10;
const TRY_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

const STORAGE: &str = "check AzureWebJobsStorage, the account's network rules, and the identity's role on it (docs/operations.md)";
const VAULT: &str = "check KEY_VAULT_URL, the vault's network rules, and the identity's rights on it (docs/operations.md, Rights)";
const FILE: &str = "look at the file that TOKEN_FILE names, and at its folder";

type Listed = Option<Result<Vec<VersionEntry>, VaultError>>;

impl Doctor {
    pub(super) async fn look_at_store(&self) -> Vec<Check> {
        let (read, listed) = tokio::join!(self.within(self.ledger.read()), self.within(self.vault.list()));
        let version = version(read.as_ref(), &listed);
        let mut checks = vec![self.ledger_found(read.as_ref())];
        if self.embedded() {
            // Whoever writes the file needs the lock.
            checks.extend(self.under_lock(version.as_ref()).await);
            checks.push(self.readable(version.as_ref(), &listed).await);
        } else {
            checks.push(self.storage_clock(read.as_ref()));
            let (lock, readable, changeable, addable) =
                tokio::join!(self.lock(), self.readable(version.as_ref(), &listed), self.changeable(version.as_ref()), self.addable());
            checks.extend([lock, readable, changeable, addable]);
        }
        checks.push(versions(&listed, self.remedy(VAULT)));
        checks
    }

    fn embedded(&self) -> bool {
        self.facts.token_file.is_some()
    }

    /// What to do, by where the store is.
    fn remedy(&self, in_azure: &'static str) -> &'static str {
        if self.embedded() { FILE } else { in_azure }
    }

    fn ledger_found(&self, read: Option<&Result<Option<Snapshot>, LedgerError>>) -> Check {
        const NAME: &str = "ledger";
        match read {
            None => Check::silent(NAME, self.remedy(STORAGE)),
            Some(Err(problem)) => Check::failed(NAME, problem.to_string(), self.remedy(STORAGE)),
            Some(Ok(None)) => Check::ok(NAME, format!("there is none yet in {}", self.facts.place)),
            Some(Ok(Some(Snapshot { ledger, .. }))) => {
                Check::ok(NAME, format!("epoch {}, generation {}, in {}", ledger.epoch, ledger.generation, self.facts.place))
            }
        }
    }

    fn storage_clock(&self, read: Option<&Result<Option<Snapshot>, LedgerError>>) -> Check {
        const NAME: &str = "clock and the storage's";
        let ahead = self.ledger.now().duration_since(self.clock.now());
        match read {
            // A storage that refuses tells the time as well, and a wrong clock is one reason to refuse.
            None | Some(Err(_)) if ahead.as_secs() == 0 => Check::remark(NAME, "could not be told: the storage did not answer", STORAGE),
            _ => clock(NAME, ahead),
        }
    }

    async fn lock(&self) -> Check {
        self.with_lock(async || Vec::new()).await.0
    }

    async fn under_lock(&self, version: Option<&VersionId>) -> Vec<Check> {
        let (lock, mut proofs) = self.with_lock(async || vec![self.changeable(version).await, self.addable().await]).await;
        proofs.insert(0, lock);
        proofs
    }

    /// Takes the lock, renews it, lets `work` be done, gives it back, and sees that it was given back.
    async fn with_lock(&self, work: impl AsyncFnOnce() -> Vec<Check>) -> (Check, Vec<Check>) {
        const NAME: &str = "lock";
        let remedy = self.remedy(STORAGE);
        let owner = LockOwner(uuid::Uuid::new_v4().to_string());
        let taken = self.within(self.take(&owner)).await;
        let found = match taken {
            None => Check::silent(NAME, remedy),
            Some(Err(LockError::Held)) => {
                let found = format!("another process has held it for {TRY_LOCK} s; that is right while it refreshes");
                return (Check::remark(NAME, found, "try again; a process that hangs with the embedded store has to be ended by you"), Vec::new());
            }
            Some(Err(problem)) => Check::failed(NAME, problem.to_string(), remedy),
            Some(Ok(())) => {
                let renewed = self.within(self.ledger.renew(&owner)).await;
                let done = work().await;
                self.within(self.ledger.unlock(&owner)).await;
                return (self.given_back(NAME, renewed).await, done);
            }
        };
        // It may have been taken all the same.
        self.within(self.ledger.unlock(&owner)).await;
        (found, Vec::new())
    }

    async fn take(&self, owner: &LockOwner) -> Result<(), LockError> {
        for _ in 1..TRY_LOCK {
            match self.ledger.lock(owner).await {
                Err(LockError::Held) => self.clock.sleep(TRY_AGAIN).await,
                other => return other,
            }
        }
        self.ledger.lock(owner).await
    }

    async fn given_back(&self, name: &'static str, renewed: Option<Result<(), LockError>>) -> Check {
        let remedy = self.remedy(STORAGE);
        match renewed {
            None => return Check::silent(name, remedy),
            Some(Err(problem)) => return Check::failed(name, format!("taken, and not renewed: {problem}"), remedy),
            Some(Ok(())) => {}
        }
        let another = LockOwner(uuid::Uuid::new_v4().to_string());
        let again = self.within(self.ledger.lock(&another)).await;
        self.within(self.ledger.unlock(&another)).await;
        match again {
            Some(Ok(())) => Check::ok(name, "it can be taken, renewed and given back"),
            Some(Err(LockError::Held)) => Check::remark(name, "it can be taken and renewed; then another process took it", "nothing"),
            Some(Err(problem)) => Check::failed(name, format!("taken and renewed, and then: {problem}"), remedy),
            None => Check::silent(name, remedy),
        }
    }

    async fn readable(&self, version: Option<&VersionId>, listed: &Listed) -> Check {
        const NAME: &str = "token store, read";
        let remedy = self.remedy(VAULT);
        match (version, listed) {
            (Some(version), _) => match self.within(self.vault.get(version)).await {
                None => Check::silent(NAME, remedy),
                Some(Ok(_)) => Check::ok(NAME, "the tokens can be read"),
                Some(Err(problem)) => Check::failed(NAME, problem.to_string(), remedy),
            },
            (None, None) => Check::silent(NAME, remedy),
            (None, Some(Err(problem))) => Check::failed(NAME, problem.to_string(), remedy),
            (None, Some(Ok(_))) => Check::ok(NAME, "it answers, and there are no tokens in it yet"),
        }
    }

    /// What a refresh proves before it spends a token.
    async fn changeable(&self, version: Option<&VersionId>) -> Check {
        const NAME: &str = "token store, change a version";
        let Some(version) = version else { return Check::ok(NAME, "there is no version yet") };
        self.proven(NAME, self.within(self.vault.prove_writable(version)).await)
    }

    async fn addable(&self) -> Check {
        self.proven("token store, add a version", self.within(self.vault.prove_first_write()).await)
    }

    fn proven(&self, name: &'static str, proof: Option<Result<(), VaultError>>) -> Check {
        let remedy = self.remedy(VAULT);
        match proof {
            None => Check::silent(name, remedy),
            Some(Ok(())) => Check::ok(name, "it may be done"),
            Some(Err(problem)) => Check::failed(name, problem.to_string(), remedy),
        }
    }
}

/// The version that counts; where the ledger does not say, the one that landed last.
fn version(read: Option<&Result<Option<Snapshot>, LedgerError>>, listed: &Listed) -> Option<VersionId> {
    let head = match read {
        Some(Ok(Some(snapshot))) => snapshot.ledger.head.as_ref().map(|head| head.version.clone()),
        _ => None,
    };
    let latest = || match listed {
        Some(Ok(entries)) => entries.iter().max_by_key(|entry| entry.created).map(|entry| entry.version.clone()),
        _ => None,
    };
    head.or_else(latest)
}

fn versions(listed: &Listed, remedy: &'static str) -> Check {
    const NAME: &str = "versions";
    const NEW_SECRET: &str =
        "begin a new secret once a year: set TOKEN_SECRET_NAME to a new name, and connect again (docs/operations.md, What grows)";
    match listed {
        None => Check::remark(NAME, format!("not counted within {} s: there may be very many", CHECK_WITHIN.as_secs()), NEW_SECRET),
        Some(Err(problem)) => Check::failed(NAME, problem.to_string(), remedy),
        Some(Ok(entries)) if entries.len() >= MANY_VERSIONS => {
            Check::remark(NAME, format!("{} versions; a list of them is one request for each 25", entries.len()), NEW_SECRET)
        }
        Some(Ok(entries)) => Check::ok(NAME, entries.len().to_string()),
    }
}
