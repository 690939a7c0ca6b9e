//! `doctor`: prints what is wrong and what to do about it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::app;
use crate::config;

/// Wrong settings are a finding, too: nothing here fails but the printing.
pub(super) async fn doctor(current: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let source = config::command_line(current);
    crate::telemetry::init(Some(config::log_filter(|name| source.get(name)).as_deref().unwrap_or("off")));
    let root = config::app_root(|name| source.get(name), current);
    let report = app::doctor(source.config(current), root).await;
    let text = if json { serde_json::to_string_pretty(&report).context("the report could not be written")? } else { report.to_string() };
    super::print(&text)?;
    Ok(if report.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
