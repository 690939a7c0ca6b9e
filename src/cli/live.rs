//! `doctor --live`: says what it is about to do, asks whether it may, and prints what comes of it as it comes.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Seek, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::prompt::{Answer, ask};
use super::{INTERRUPTED, print, say, serve, usable};
use crate::app::LiveChecks;
use crate::consent::{Begun, Callback, plausible};
use crate::live::plan::{Ended, UNGRANTED_AN_HOUR};
use crate::live::{Event, MINUTES, REQUESTS, Start, clock};
use crate::token::{Fingerprint, Secret};

/// What is typed where the flag is not given.
const PHRASE: &str = "this chain may die";

pub(super) async fn live(current: &Path, consent: bool, yes: bool, keep: Option<&Path>) -> anyhow::Result<ExitCode> {
    if !yes && !io::stdin().is_terminal() {
        bail!(
            "these checks can end the token chain that they run on, so somebody has to say that it may end: repeat with --yes-this-chain-may-die, or at a \
             terminal. Nothing was sent"
        );
    }
    let checks = LiveChecks::open(usable(current)?)?;
    let stored = checks.beside().await.context("nothing was sent")?;
    print(&beforehand(&checks.place, stored.is_empty(), keep.is_some()))?;
    if !yes && !confirmed().await? {
        bail!("nothing was sent: it was not confirmed");
    }
    let mut keeper = keep.map(Keeper::create).transpose()?;
    let start = if consent { log_in(&checks).await? } else { token().await? };
    let Some(start) = start else { return ended_early(keeper) };
    if let Start::Token(token) = &start {
        let fit = plausible(token.reveal()).map_err(anyhow::Error::from).and_then(|()| Ok(stored.allows_token(token)?));
        if let Err(error) = fit {
            ended_early(keeper)?;
            return Err(error.context("nothing was sent"));
        }
    }
    let report = checks.experiment.run(start, serve::interrupted(), &mut |event| told(&event, keeper.as_mut())).await;
    print(&format!("\n{report}"))?;
    if let Some(keeper) = keeper {
        print(&format!("  {}", keeper.finish()?))?;
    }
    Ok(match report.ended {
        Ended::Complete => ExitCode::SUCCESS,
        Ended::Interrupted => ExitCode::from(INTERRUPTED),
        _ => ExitCode::FAILURE,
    })
}

fn beforehand(place: &str, empty: bool, keeps: bool) -> String {
    let compared = if empty {
        format!("{place} holds nothing,\nso there was nothing to compare with: see to it yourself that the chain is one that nobody needs.")
    } else {
        format!("{place} holds a chain of another app.\nIt is only read, to make sure that the checks do not run on it.")
    };
    let newest = if keeps { "kept in the file that you named" } else { "forgotten at the end" };
    let ([least, most], [few, many]) = (MINUTES, REQUESTS);
    format!(
        "These checks send refresh tokens that were used before, on purpose. Exact Online may end the chain that\n\
         they run on, and a new log-in with the same app and user ends it, too: take an app registration that was\n\
         made for this.\n\n\
         They take {least} to {most} minutes and {few} to {many} token requests; more if a reply is odd, or if the last pair is\n\
         younger than 10 minutes. At most {UNGRANTED_AN_HOUR} requests in an hour bring nothing (Exact blocks an app after 10 errors in\n\
         an hour), so use the app for nothing else in the hour before and meanwhile.\n\n\
         {compared}\n\n\
         Nothing is stored; the newest refresh token is {newest}. Ctrl+C ends it with a report of what was\n\
         found until then. If it is killed, what it has printed is the report, and its last line that begins with\n\
         \"next\" says what is left. Each run begins anew.\n"
    )
}

async fn confirmed() -> anyhow::Result<bool> {
    let typed = line(&format!("Type \"{PHRASE}\" to begin: ")).await?;
    Ok(typed.is_some_and(|typed| typed.trim().eq_ignore_ascii_case(PHRASE)))
}

async fn token() -> anyhow::Result<Option<Start>> {
    let prompt = if io::stdin().is_terminal() { "The refresh token of the throw-away chain, then Enter: " } else { "" };
    let text = line(prompt).await?;
    Ok(text.map(|text| Start::Token(Secret::new(text.trim_start_matches('\u{feff}').trim()))))
}

async fn log_in(checks: &LiveChecks) -> anyhow::Result<Option<Start>> {
    let redirect_uri = checks.redirect_uri.clone().context("EXACT_REDIRECT_URI is not set; nothing was sent")?;
    let state = Secret::new(uuid::Uuid::new_v4().to_string());
    let address = checks.authorize_url(&redirect_uri, state.reveal());
    let begun = Begun { authorize_url: Secret::new(address.clone()), cookie: Secret::new("") };
    print(&format!("{address}\n"))?;
    let prompt = "Open this address, log in, and paste here within 3 minutes what the address bar shows then: ";
    let Some(text) = line(prompt).await? else { return Ok(None) };
    let callback = Callback::pasted(&text, &begun).map_err(|why| anyhow::anyhow!("{why}; nothing was sent"))?;
    let ours = callback.state.as_ref().is_some_and(|back| Fingerprint::of(back) == Fingerprint::of(&state));
    match callback.code {
        Some(code) if ours => Ok(Some(Start::Code(code, redirect_uri))),
        _ => bail!("that is not what this log-in ended with; nothing was sent"),
    }
}

fn told(event: &Event<'_>, keeper: Option<&mut Keeper>) {
    let line = match event {
        Event::Waiting { step, until, left } => {
            format!("         next at {}: {} (at most {left} more)", clock(*until), step.words())
        }
        Event::Answered(record) => record.to_string(),
        Event::NewToken(token) => return keeper.map_or((), |keeper| keeper.keep(token)),
        Event::Finishing => "         a request is under way and is waited for, at most 100 s".to_owned(),
    };
    // Who reads it may have gone; the checks go on.
    drop(print(&line));
}

/// A line of standard input; None: interrupted.
async fn line(prompt: &str) -> anyhow::Result<Option<String>> {
    match ask(prompt, None).await? {
        Answer::Line(text) => Ok(Some(text)),
        Answer::End => Ok(Some(String::new())),
        Answer::Interrupted => Ok(None),
        Answer::NoText => bail!("that is not text (UTF-8); nothing was sent"),
        Answer::CutOff => bail!("the terminal cut that off, because it takes no longer line; nothing was sent"),
    }
}

fn ended_early(keeper: Option<Keeper>) -> anyhow::Result<ExitCode> {
    if let Some(keeper) = keeper {
        keeper.finish()?;
    }
    Ok(ExitCode::from(INTERRUPTED))
}

/// The file of the newest refresh token.
struct Keeper<'a> {
    path: &'a Path,
    file: File,
    kept: bool,
}

impl<'a> Keeper<'a> {
    /// Before anything is sent. Never over a file that is there.
    fn create(path: &'a Path) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).with_context(|| format!("{} cannot be created for the newest token; nothing was sent", path.display()))?;
        Ok(Self { path, file, kept: false })
    }

    /// After each grant, so that a process that is killed leaves it behind.
    fn keep(&mut self, token: &Secret) {
        let mut write = || {
            self.file.rewind()?;
            self.file.set_len(0)?;
            self.file.write_all(token.reveal().as_bytes())?;
            self.file.sync_data()
        };
        match write() {
            Ok(()) => self.kept = true,
            Err(_) => say(&mut io::stderr(), "warning: the newest token could not be written to its file"),
        }
    }

    /// What became of it.
    fn finish(self) -> anyhow::Result<String> {
        if self.kept {
            return Ok(format!("The newest refresh token is in {}; whether it still works, the lines above say.", self.path.display()));
        }
        std::fs::remove_file(self.path).with_context(|| format!("{} is empty and could not be removed", self.path.display()))?;
        Ok("There was no new refresh token to keep.".to_owned())
    }
}
