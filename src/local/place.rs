//! Where the store is: the file behind all symbolic links, and its two companions.

use std::ffi::OsString;
use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// The three paths of one store, none of them through a symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Holds the store.
    pub(super) file: PathBuf,
    /// The next content, while it is being written. What a killed process left there is replaced.
    pub(super) next: PathBuf,
    /// Never deleted: a lock on a deleted file is no lock.
    pub(super) lock: PathBuf,
}

impl Place {
    /// The place that `path` names; None if its folder does not exist.
    pub(super) fn find(path: &Path) -> Result<Option<Self>, String> {
        let Some(name) = path.file_name() else {
            return Err(format!("{}: this names no file; correct TOKEN_FILE", path.display()));
        };
        let missing = |error: &Error| error.kind() == ErrorKind::NotFound;
        match fs::canonicalize(path) {
            Ok(target) => return Ok(Some(Self::at(target))),
            Err(error) if missing(&error) => {}
            Err(error) => return Err(explain(path, &error)),
        }
        if let Some(link) = dead_link(path) {
            return Err(format!("{}: this link leads nowhere; mount or create what it leads to, or remove it", link.display()));
        }
        match fs::canonicalize(folder_of(path)) {
            Ok(folder) => Ok(Some(Self::at(folder.join(name)))),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(explain(folder_of(path), &error)),
        }
    }

    /// The same, with its folder made if it is missing: for its owner alone, as the file will be.
    pub(super) fn make(path: &Path) -> Result<Self, String> {
        if let Some(place) = Self::find(path)? {
            return Ok(place);
        }
        let folder = folder_of(path);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|error| explain(folder, &error))?;
        // A new folder is on the disk once the folder above it is. Where that may not be read, there is nothing to be done.
        for above in folder.ancestors().skip(1) {
            if sync_folder(above).is_err() {
                break;
            }
        }
        Self::find(path)?.ok_or_else(|| format!("{}: the folder was removed as soon as it was made", folder.display()))
    }

    /// The folder that all three are in.
    pub(super) fn folder(&self) -> &Path {
        folder_of(&self.file)
    }

    fn at(file: PathBuf) -> Self {
        let beside = |ending: &str| {
            let mut path: OsString = file.clone().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        };
        Self { next: beside(".new"), lock: beside(".lock"), file }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The link because of which nothing is found at `path`, if there is one.
fn dead_link(path: &Path) -> Option<&Path> {
    let nearest = path.ancestors().find(|path| fs::symlink_metadata(path).is_ok())?;
    fs::symlink_metadata(nearest).is_ok_and(|found| found.is_symlink() && !nearest.exists()).then_some(nearest)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Other systems have no such call and write names at once.
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Which path, what the system said about it, and what can be done. Nothing of a file's content.
pub(super) fn explain(path: &Path, error: &Error) -> String {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "make it readable and writable for the user that runs this program",
        ErrorKind::ReadOnlyFilesystem => "name a writable place with TOKEN_FILE",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "a part of this path is no folder; move it away or correct TOKEN_FILE",
        ErrorKind::IsADirectory => "a folder is in the way; move it away or correct TOKEN_FILE",
        ErrorKind::Unsupported => "name a place on a local disk with TOKEN_FILE",
        _ => "look at this path, or name another place with TOKEN_FILE",
    };
    let code = error.raw_os_error().map_or_else(String::new, |code| format!(" (os error {code})"));
    format!("{}: {}{code}; {advice}", path.display(), error.kind())
}
