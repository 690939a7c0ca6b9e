//! What is wrong with an installation, and what to do about it: a list of checks, each a name, a finding and a remedy.
//!
//! It spends no token and sends no token request. It takes the lock for a moment, and changes nothing but what a proof needs: the content type of the
//! version that counts, and one version of a secret of its own; of the embedded store it writes the same content anew. Whatever hangs, each check ends
//! within [`CHECK_WITHIN`] and the rest go on.

mod files;
mod site;
mod store;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::ports::{Clock, ExactSite, LedgerStore, Vault};

/// The longest that one question to somebody else may take.
pub const CHECK_WITHIN: Duration = Duration::from_secs(15);
/// Raised when a member changes its meaning or goes away.
const VERSION: u32 = 1;

/// Everything that is looked at.
pub struct Doctor {
    /// Where the tokens are.
    pub vault: Arc<dyn Vault>,
    /// Ledger and lock.
    pub ledger: Arc<dyn LedgerStore>,
    /// Exact Online, by its front door.
    pub site: Arc<dyn ExactSite>,
    /// This machine's.
    pub clock: Arc<dyn Clock>,
    /// What the settings say.
    pub facts: Facts,
}

/// What the settings say, as far as it is looked at.
#[derive(Debug)]
pub struct Facts {
    /// The folder of `host.json`.
    pub app_root: PathBuf,
    /// Exact's site.
    pub base_url: String,
    /// Where Exact sends the browser back to.
    pub redirect_uri: Option<String>,
    /// The name by which the app is reached, if the platform tells.
    pub host: Option<String>,
    /// Where the tokens are kept, in words.
    pub place: String,
    /// The file of the embedded store, if that is where.
    pub token_file: Option<PathBuf>,
    /// What looks odd about the settings.
    pub remarks: Vec<String>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Nothing fails of it now, or it could not be told.
    Remark,
    /// Something does not work.
    Failed,
}

/// One check. No value of a setting that is secret, and no text from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// What was found.
    pub finding: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// All checks.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of this form.
    pub version: u32,
    /// Whether no check failed.
    pub healthy: bool,
    /// In the order in which a person would go about it.
    pub checks: Vec<Check>,
    /// The program's version.
    pub build: &'static str,
}

impl Doctor {
    /// Looks at everything.
    pub async fn examine(self) -> Report {
        let (app, site, store) = tokio::join!(files::app(&self.facts.app_root), self.look_at_site(), self.look_at_store());
        let mut checks = vec![settings(&self.facts.remarks)];
        checks.extend(app);
        checks.extend(site);
        checks.extend(store);
        if let Some(file) = &self.facts.token_file {
            checks.push(files::modes(file).await);
        }
        Report::of(checks)
    }

    /// None: no answer in time.
    async fn within<T>(&self, question: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = question => Some(answer),
            () = self.clock.sleep(CHECK_WITHIN) => None,
        }
    }
}

impl Report {
    /// Of an installation whose settings cannot be used: nothing but its files can be looked at.
    pub async fn misconfigured(problems: &[String], app_root: PathBuf) -> Self {
        let remedy = "correct them, then run this again for the rest";
        let rest = "not looked at without settings that can be used: Exact Online, clocks, client id, redirect URI, ledger, lock, token store, versions, \
                    file modes";
        let mut checks: Vec<Check> = problems.iter().map(|problem| Check::failed("settings", problem.clone(), remedy)).collect();
        checks.extend(files::app(&app_root).await);
        checks.push(Check::remark("the rest", rest, "correct the settings, then run this again"));
        Self::of(checks)
    }

    fn of(checks: Vec<Check>) -> Self {
        let healthy = checks.iter().all(|check| check.verdict != Verdict::Failed);
        Self { version: VERSION, healthy, checks, build: env!("CARGO_PKG_VERSION") }
    }
}

impl Check {
    fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, finding: finding.into(), remedy: None }
    }

    fn remark(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Remark, finding: finding.into(), remedy: Some(remedy.into()) }
    }

    fn failed(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Failed, finding: finding.into(), remedy: Some(remedy.into()) }
    }

    fn silent(name: &'static str, remedy: &str) -> Self {
        Self::failed(name, format!("no answer within {} s", CHECK_WITHIN.as_secs()), remedy)
    }
}

fn settings(remarks: &[String]) -> Check {
    const NAME: &str = "settings";
    match remarks {
        [] => Check::ok(NAME, "all settings can be used"),
        remarks => Check::remark(NAME, remarks.join("; "), "look whether that is meant"),
    }
}

/// For a person.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, verdict, finding, remedy } in &self.checks {
            let verdict = match verdict {
                Verdict::Ok => "ok",
                Verdict::Remark => "note",
                Verdict::Failed => "FAILED",
            };
            writeln!(f, "{verdict:<7} {name}: {finding}")?;
            if let Some(remedy) = remedy {
                writeln!(f, "        -> {remedy}")?;
            }
        }
        let failed = self.checks.iter().filter(|check| check.verdict == Verdict::Failed).count();
        match failed {
            0 => write!(f, "\nAll is well. (build {})", self.build),
            1 => write!(f, "\n1 check failed. (build {})", self.build),
            _ => write!(f, "\n{failed} checks failed. (build {})", self.build),
        }
    }
}

#[cfg(test)]
mod tests;
