//! `cargo demo`, end to end: the demo binary builds the program, runs it, shows a token and leaves nothing behind.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

/// The temporary folder of the demo is made below the test's own, so that the test sees whether it is removed.
fn demo(temporary: &Path, arguments: &[&str]) -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.args(arguments).env("TMPDIR", temporary).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    demo
}

fn number_after(text: &str, marker: &str) -> i32 {
    let (_, rest) = text.split_once(marker).unwrap_or_else(|| panic!("`{marker}` is not in:\n{text}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn assert_nothing_is_left(said: &str, temporary: &Path) {
    let handler = Pid::from_raw(number_after(said, "(process ")).unwrap();
    assert!(test_kill_process(handler).is_err(), "the handler still runs");
    let port = u16::try_from(number_after(said, "http://127.0.0.1:")).unwrap();
    TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0, "a temporary folder is left");
}

#[test]
fn once_shows_a_token_and_leaves_nothing_behind() {
    let temporary = TempDir::new().unwrap();
    let output = demo(temporary.path(), &["--once", "--port", "0"]).output().unwrap();
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complaints}");
    for expected in ["| the page says: Connected to Exact Online", "| code exchange granted", "s of life left", "\"token_type\":\"Bearer\""] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
    assert!(!said.contains("| ! "), "something odd was told:\n{said}");
    // 16 characters and an ellipsis.
    let (_, token) = said.split_once("\"access_token\":\"").unwrap();
    assert_eq!(token.split('"').next().unwrap().chars().count(), 17, "{said}");
    assert_nothing_is_left(&said, temporary.path());
}

#[test]
fn ctrl_c_stops_everything() {
    let temporary = TempDir::new().unwrap();
    let mut child: Child = demo(temporary.path(), &["--auto", "--port", "0"]).spawn().unwrap();
    let mut lines: BufReader<ChildStdout> = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("Ctrl+C stops everything") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "it ended early:\n{said}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    lines.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("nothing is left running"), "{said}");
    assert_nothing_is_left(&said, temporary.path());
}

/// Nothing happens before a person has done what the screen says; Ctrl+C ends it then as well.
#[test]
fn a_person_is_told_where_to_begin() {
    let temporary = TempDir::new().unwrap();
    let mut child: Child = demo(temporary.path(), &["--port", "0"]).spawn().unwrap();
    let mut lines: BufReader<ChildStdout> = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("then press Allow") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "it ended early:\n{said}");
    }
    let page = said.split_whitespace().find(|word| word.starts_with("http://localhost:") && word.ends_with("/api/Consent"));
    assert!(page.is_some(), "{said}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    lines.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("nothing is left running") && !said.contains("granted"), "{said}");
}

#[test]
fn a_taken_port_is_reported() {
    let temporary = TempDir::new().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = demo(temporary.path(), &["--once", "--port", &port]).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains(&format!("port {port}")) && complaint.contains("--port N"), "{complaint}");
}

#[test]
fn bad_usage_is_told_apart() {
    let temporary = TempDir::new().unwrap();
    for (arguments, code) in [(["--twice"].as_slice(), 64), (&["--port", "70710"], 64), (&["--help"], 0)] {
        let output = demo(temporary.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}
