//! What befalls a vault as a whole.

use super::faults::Fault;
use super::log::Operation;
use super::rules::Rules;
use super::versions::Version;

impl Rules {
    /// Takes the last versions away, as a restore from an older copy does, or a fail-over to a region that has not caught up. They come back with
    /// [`Rules::catch_up`].
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn roll_back(&mut self, name: &str, count: usize) -> Vec<Version> {
        let secret = self.secrets.get_mut(name).expect("a test names a secret that exists");
        let kept = secret.versions.len().checked_sub(count).expect("a test takes away what is there");
        let lost = secret.versions.split_off(kept);
        secret.by_id.retain(|_, at| *at < kept);
        lost
    }

    /// Puts versions back that were taken away. They are then the last that landed.
    pub fn catch_up(&mut self, name: &str, versions: Vec<Version>) {
        let secret = self.secrets.entry(name.to_owned()).or_default();
        for version in versions {
            secret.add(version);
        }
    }

    /// Recovers a secret that was deleted softly, as a person in the portal does.
    pub fn recover(&mut self, name: &str) {
        self.secrets.entry(name.to_owned()).or_default().deleted = false;
    }

    /// Fails every write that no other fault is for, and serves reads: Microsoft Learn, "Reliability in Azure Key Vault", says that a vault is
    /// read-only after a fail-over, and not how it answers a write then.
    pub fn read_only(&mut self, fault: Option<Fault>) {
        self.writes = fault;
    }

    pub(super) fn write_fault(&self, operation: Operation) -> Option<Fault> {
        let reads = matches!(operation, Operation::Get | Operation::GetLatest | Operation::ListVersions | Operation::GetDeleted);
        self.writes.clone().filter(|_| !reads)
    }
}
