//! The embedded store: ledger and versions in one file, and a lock file beside it. For a developer's machine; nothing has to be installed.
//!
//! The same two ports as in Azure, and the same promises, by other means:
//!
//! - The lock is the kernel's lock on `<file>.lock`. It ends with the process, even by `kill -9`. The holder of a process that is frozen is *not*
//!   taken over: whoever has the lock keeps it until it gives it back or dies. [`EmbeddedStore::holder`] tells who that is.
//! - Every write, of a version too, writes the whole file anew beside the old one and renames it. So there is always a whole file, and whoever
//!   writes needs the lock.
//! - The [`Etag`](crate::ports::Etag) is the ledger's generation, which a version's write leaves as it is.
//! - Versions are dropped here, unlike in Key Vault: kept are the head, the candidates, one that waits to be confirmed, those of open
//!   attempts, and the last 20.
//!
//! A file that cannot be read, or is not what this program writes, is left as it is: every write begins by reading. If `TOKEN_FILE` is a symbolic
//! link, the store is where the link leads, lock file included, so that two names of one store cannot mean two locks; a link that leads nowhere is
//! an error, since a disk that is not mounted must not look like a chain that never was.
//!
//! Locks and renames are those of a local disk. On a network share they may promise less.

mod file;
mod ledger;
mod lock;
mod place;
#[cfg(test)]
#[cfg(unix)]
mod tests;
mod vault;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::ports::{Clock, LockError};
use crate::stored::Embedded;
use lock::HeldLock;
pub use lock::Holder;
use place::Place;

/// Names the lock, and the writer: there is only the one.
pub const EMBEDDED: &str = "embedded";

/// [`Vault`](crate::ports::Vault) and [`LedgerStore`](crate::ports::LedgerStore) over one file. A clone is the same store.
#[derive(Clone)]
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<HeldLock>>,
}

impl EmbeddedStore {
    /// The store at `path`, which may not exist yet, nor its folder. Touches nothing before the first call.
    pub fn new(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { inner: Arc::new(Inner { path: path.into(), clock, held: Mutex::new(None) }) }
    }

    /// The file, as it was named.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.inner.path
    }

    /// Who holds the lock, in whichever process; None if nobody does. For a person to look at.
    pub async fn holder(&self) -> Result<Option<Holder>, LockError> {
        let looked = self.blocking(|inner| inner.find().and_then(|place| place.map_or(Ok(None), |place| lock::holder(&place)))).await;
        looked.unwrap_or_else(|| Err(ENDING.to_owned())).map_err(LockError::Unavailable)
    }

    /// Runs file work where it holds up nobody. None if the runtime ends before it is done.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> Option<T> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner)).await.ok()
    }
}

/// Why a read did not come to an end.
const ENDING: &str = "the program is ending";

impl Inner {
    /// Where the store is; None if not even its folder exists.
    fn find(&self) -> Result<Option<Place>, String> {
        Place::find(&self.path)
    }

    /// The whole content; None if there is no file.
    fn load(&self) -> Result<Option<Embedded>, file::ReadError> {
        match self.find().map_err(file::ReadError::Unavailable)? {
            Some(place) => file::read(&place),
            None => Ok(None),
        }
    }

    /// The lock, as far as this process has it. A panic elsewhere leaves nothing half done here: the file is written whole or not at all.
    fn held(&self) -> MutexGuard<'_, Option<HeldLock>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
