//! The lock: the kernel's lock on the lock file, and inside this process the owner's name.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::Inner;
use super::file::for_the_owner_alone;
use super::place::{Place, explain};
use crate::ports::{LockError, LockOwner};

/// How long an owner that does not renew keeps it from other owners in the same process. (From other processes only the process's end does.)
const LEASE: Duration = Duration::from_mins(1);

/// The lock, while this process has it.
pub(super) struct HeldLock {
    /// Who has it inside this process.
    pub(super) owner: LockOwner,
    /// What it guards, wherever `TOKEN_FILE` leads by now.
    pub(super) place: Place,
    renewed: Duration,
    file: File,
}

impl HeldLock {
    /// Whether the file that is locked is still the one that others would lock.
    pub(super) fn is_valid(&self) -> bool {
        same_file(&self.file, &self.place.lock)
    }
}

impl Drop for HeldLock {
    /// Said, not left to the closing of the file: a child process that is just being started may have a copy of the open file for an instant.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Who holds the lock, as far as the lock file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process.
    pub pid: Option<u32>,
    /// When it took the lock.
    pub since: Option<Timestamp>,
}

impl Inner {
    pub(super) fn lock(&self, owner: &LockOwner) -> Result<(), LockError> {
        let mut held = self.held();
        let now = self.clock.monotonic();
        if let Some(lock) = held.as_mut().filter(|lock| lock.is_valid()) {
            if lock.owner == *owner {
                lock.renewed = now;
                return Ok(());
            }
            if now < lock.renewed + LEASE {
                return Err(LockError::Held);
            }
        }
        *held = None;
        let place = Place::make(&self.path).map_err(LockError::Unavailable)?;
        let file = take(&place, self.now())?;
        *held = Some(HeldLock { owner: owner.clone(), place, renewed: now, file });
        Ok(())
    }

    pub(super) fn renew(&self, owner: &LockOwner) -> Result<(), LockError> {
        let mut held = self.held();
        let lock = held.as_mut().filter(|lock| lock.owner == *owner && lock.is_valid()).ok_or(LockError::Held)?;
        lock.renewed = self.clock.monotonic();
        Ok(())
    }

    pub(super) fn unlock(&self, owner: &LockOwner) {
        let mut held = self.held();
        if let Some(mut lock) = held.take_if(|lock| lock.owner == *owner) {
            // Only for those who look; the lock itself ends when `lock` is dropped.
            let _ = note(&mut lock.file, "");
        }
    }
}

/// Locks the lock file, and notes in it who did.
fn take(place: &Place, now: Timestamp) -> Result<File, LockError> {
    let unavailable = |error: io::Error| LockError::Unavailable(explain(&place.lock, &error));
    let mut file = for_the_owner_alone().read(true).write(true).create(true).truncate(false).open(&place.lock).map_err(unavailable)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => LockError::Held,
        TryLockError::Error(error) => unavailable(error),
    })?;
    if !same_file(&file, &place.lock) {
        return Err(LockError::Held);
    }
    if !is_ours(&content(&mut file).map_err(unavailable)?) {
        let path = place.lock.display();
        return Err(LockError::Unavailable(format!("{path}: this is no lock file of this program; move it away or correct TOKEN_FILE")));
    }
    // A full disk shows at the first write of something that matters.
    let _ = note(&mut file, &format!("pid {} since {now}\n", std::process::id()));
    Ok(file)
}

/// Who has the lock now. Holds it for an instant if nobody does; another process may then be told once that it is held.
pub(super) fn holder(place: &Place) -> Result<Option<Holder>, String> {
    let mut file = match File::open(&place.lock) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| explain(&place.lock, &error))?,
    };
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| None).map_err(|error| explain(&place.lock, &error)),
        Err(TryLockError::Error(error)) => Err(explain(&place.lock, &error)),
        Err(TryLockError::WouldBlock) => {
            // Some systems keep a locked file from being read.
            let content = content(&mut file).unwrap_or_default();
            let mut words = content.split_ascii_whitespace();
            let mut after = |word| words.find(|found| *found == word).and_then(|_| words.next());
            Ok(Some(Holder { pid: after("pid").and_then(|pid| pid.parse().ok()), since: after("since").and_then(|at| at.parse().ok()) }))
        }
    }
}

fn content(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(100).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Also what a process left that was killed while it wrote.
fn is_ours(content: &str) -> bool {
    content.starts_with("pid ") || "pid ".starts_with(content)
}

fn note(file: &mut File, text: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

/// Whether `file` is what `path` names. If somebody deleted or replaced the lock file, the next process locks another one.
#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |is: std::fs::Metadata| (is.dev(), is.ino());
    file.metadata().map(id).ok().is_some_and(|held| std::fs::metadata(path).is_ok_and(|named| id(named) == held))
}

/// Elsewhere an open file cannot be deleted by chance.
#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    path.exists()
}
