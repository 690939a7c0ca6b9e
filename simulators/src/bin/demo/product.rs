//! Builds the program, as a person would, and learns from cargo where it is.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::narrator::print;

/// The folder of host.json.
pub(super) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// In the profile that the demo itself was built in. Cargo knows about `CARGO_TARGET_DIR` and whatever else moves the binary.
pub(super) async fn build() -> Result<PathBuf> {
    print("building exact-token-broker (the first time, this takes some minutes) …");
    let mut build = Command::new(cargo());
    build.args(["build", "--locked", "--package", "exact-token-broker", "--bin", "exact-token-broker"]);
    build.arg("--message-format=json-render-diagnostics").current_dir(root());
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let output = build.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await.context("cargo could not be started")?;
    ensure!(output.status.success(), "cargo could not build exact-token-broker");
    String::from_utf8_lossy(&output.stdout).lines().rev().find_map(executable).context("cargo did not say where exact-token-broker is")
}

/// Of one of cargo's messages.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    message["executable"].as_str().map(PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "the cargo that runs the demo is the one that builds, and says so in CARGO")]
fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
