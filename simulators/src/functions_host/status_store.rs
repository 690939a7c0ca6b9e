//! Where the host keeps what it knows of its timers: a blob in Azure, a file or memory here.
//!
//! Source: azure-webjobs-sdk-extensions `StorageScheduleMonitor`, whose blobs are named `timers/<host id>/Host.Functions.<name>/status`.

use std::{collections::BTreeMap, path::PathBuf, sync::Mutex};

use super::{envelope::StatusDates, host::lock, schedule::ScheduleStatus};

pub(super) struct StatusStore {
    folder: Option<PathBuf>,
    memory: Mutex<BTreeMap<String, ScheduleStatus>>,
}

impl StatusStore {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, memory: Mutex::default() }
    }

    /// `None` if there is none, or none that can be read.
    pub(super) fn read(&self, function: &str) -> Option<ScheduleStatus> {
        match self.file(function) {
            Some(file) => {
                let json = std::fs::read(file).ok()?;
                serde_json::from_slice::<StatusDates>(&json).ok()?.status()
            }
            None => lock(&self.memory).get(function).cloned(),
        }
    }

    /// A status that cannot be written is lost: the tick is then past due at the next start, as after a crash.
    pub(super) fn write(&self, function: &str, status: &ScheduleStatus) {
        let Some(file) = self.file(function) else {
            lock(&self.memory).insert(function.to_owned(), status.clone());
            return;
        };
        if let Some(folder) = file.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        if let Ok(json) = serde_json::to_vec(&StatusDates::of(status)) {
            let _ = std::fs::write(file, json);
        }
    }

    fn file(&self, function: &str) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.join(format!("Host.Functions.{function}")).join("status"))
    }
}
