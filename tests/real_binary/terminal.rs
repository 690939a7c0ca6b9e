//! The binary in a pseudo terminal, as at a shell. The keys that end a line or the input work; Ctrl+C is a signal, because the terminal is nobody's
//! controlling one.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::{Child, Command};

use super::stage::PATIENCE;

/// Ctrl+D: at the beginning of a line, the end of the input.
pub(super) const CTRL_D: &[u8] = b"\x04";

/// A pair of ends: ours, and the one that a program takes for a terminal.
pub(super) fn open() -> (File, File) {
    let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&own).unwrap();
    unlockpt(&own).unwrap();
    let path = ptsname(&own, Vec::new()).unwrap().into_string().unwrap();
    (File::from(own), OpenOptions::new().read(true).write(true).open(path).unwrap())
}

/// A program that reads from a terminal and writes to it.
pub(super) struct Terminal {
    child: Child,
    own: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Terminal {
    pub(super) fn start(mut command: Command) -> Self {
        let (own, terminal) = open();
        let again = || Stdio::from(terminal.try_clone().unwrap());
        let child = command.stdin(again()).stdout(again()).stderr(again()).spawn().unwrap();
        let (screen, mut from) = (Arc::new(Mutex::new(Vec::new())), own.try_clone().unwrap());
        let shared = Arc::clone(&screen);
        // It ends with an error when the program has, and with it the last of the other ends.
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut part) {
                shared.lock().unwrap().extend_from_slice(&part[..length]);
            }
        });
        Self { child, own, screen, reader }
    }

    /// All that was written so far, and what was typed, as the terminal shows it.
    pub(super) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).replace("\r\n", "\n")
    }

    /// Waits for something on the screen, and gives what stands there since then.
    pub(super) async fn until(&self, what: &str, since: usize) -> String {
        let seen = async {
            loop {
                let screen = self.screen();
                if let Some(found) = screen[since..].find(what) {
                    return screen[since + found..].to_owned();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{what:?} did not come: {}", self.screen()))
    }

    /// Types it when the program has asked, and waits until it has asked again or anything else that is expected.
    pub(super) async fn answer(&mut self, bytes: &[u8], expected: &str) -> String {
        let since = self.screen().len();
        self.own.write_all(bytes).unwrap();
        self.until(expected, since).await;
        self.screen()[since..].to_owned()
    }

    /// Types it, and leaves it at that.
    pub(super) fn type_in(&mut self, bytes: &[u8]) {
        self.own.write_all(bytes).unwrap();
    }

    pub(super) fn ctrl_c(&self) {
        kill_process(Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap(), Signal::INT).unwrap();
    }

    /// The exit code, and the whole screen. Nothing may ever have been rewritten on it.
    pub(super) async fn end(mut self) -> (Option<i32>, String) {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let code = ended.unwrap_or_else(|_| panic!("it did not end: {}", self.screen())).unwrap().code();
        let Self { reader, screen, .. } = self;
        tokio::task::spawn_blocking(|| reader.join().unwrap()).await.unwrap();
        let screen = String::from_utf8_lossy(&screen.lock().unwrap()).replace("\r\n", "\n");
        assert!(!screen.contains(['\x1b', '\r']), "{screen:?}");
        (code, screen)
    }
}
