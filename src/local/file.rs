//! Reading and replacing the file: always whole, never half.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};

use super::place::{Place, explain, sync_folder};
use crate::stored::{Embedded, embedded_from_json, embedded_to_json};
use crate::token::Secret;

/// A file larger than this is not ours: 256 versions of some KiB.
const LARGEST: u64 = 4 << 20;

/// Why the file's content is not known.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The file is out of reach.
    Unavailable(String),
    /// It is there and is not what this program writes.
    Damaged(String),
}

impl ReadError {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Unavailable(text) | Self::Damaged(text) => text,
        }
    }
}

/// Why the file was not replaced.
#[derive(Debug)]
pub(super) enum ReplaceError {
    /// The old content is still there.
    NotWritable(String),
    /// The new content may be there; whether it would outlast a power failure is not known. The text is for the log.
    Unclear(String),
}

/// The content; None if there is no file.
pub(super) fn read(place: &Place) -> Result<Option<Embedded>, ReadError> {
    let path = place.file.display();
    let damaged = |what: &dyn std::fmt::Display| {
        ReadError::Damaged(format!("{path}: {what}; put a good copy in its place, or move it away and connect to Exact Online again"))
    };
    let bytes = match read_bytes(place) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(what)) => return Err(damaged(&what)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ReadError::Unavailable(explain(&place.file, &error))),
    };
    let text = String::from_utf8(bytes).map_err(|_| damaged(&"it is not text"))?;
    embedded_from_json(Secret::new(text).reveal()).map(Some).map_err(|malformed| damaged(&malformed))
}

/// The inner error says why this cannot be the store's file. It is looked at before it is opened: opening a pipe would wait for ever.
fn read_bytes(place: &Place) -> io::Result<Result<Vec<u8>, &'static str>> {
    let is = fs::metadata(&place.file)?;
    if is.is_dir() {
        return Ok(Err("a folder is in the place of the file"));
    }
    if !is.is_file() {
        return Ok(Err("it is no plain file"));
    }
    if is.len() > LARGEST {
        return Ok(Err("it is larger than 4 MiB, as no file of this program is"));
    }
    let mut bytes = Vec::new();
    File::open(&place.file)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

/// Puts `content` in the place of what is there. The caller has the lock, and has read what it replaces.
pub(super) fn replace(place: &Place, content: &Embedded) -> Result<(), ReplaceError> {
    let text = embedded_to_json(content);
    if let Err(malformed) = embedded_from_json(text.reveal()) {
        return Err(ReplaceError::NotWritable(format!("{}: what was to be written could not be read again: {malformed}", place.file.display())));
    }
    let not_written = |error: io::Error| {
        // It holds tokens; a leftover would be replaced by the next write, but there may be none.
        let _ = fs::remove_file(&place.next);
        ReplaceError::NotWritable(explain(&place.next, &error))
    };
    write_next(place, text.reveal()).map_err(not_written)?;
    if let Err(error) = fs::rename(&place.next, &place.file) {
        // A rename is done or not done; what was to be moved tells which, if anybody can.
        return Err(match fs::symlink_metadata(&place.next) {
            Ok(_) => {
                let _ = fs::remove_file(&place.next);
                ReplaceError::NotWritable(explain(&place.file, &error))
            }
            Err(_) => ReplaceError::Unclear(explain(&place.file, &error)),
        });
    }
    sync_folder(place.folder()).map_err(|error| ReplaceError::Unclear(explain(place.folder(), &error)))
}

/// Always a new file, so that neither the mode nor the target of what a killed process, or anybody, left there matters.
fn write_next(place: &Place, text: &str) -> io::Result<()> {
    match fs::remove_file(&place.next) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let mut next = for_the_owner_alone().write(true).create_new(true).open(&place.next)?;
    next.write_all(text.as_bytes())?;
    next.sync_all()
}

/// Options that make a new file with mode 0600.
pub(super) fn for_the_owner_alone() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
