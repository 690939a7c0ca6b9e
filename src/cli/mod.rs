//! The command line: the only place that prints.

mod consent;
mod doctor;
mod live;
mod prompt;
mod serve;

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, Subcommand};

use crate::app::Broker;
use crate::config::{self, Config, ConfigError};
use crate::get_token::{Ask, NoToken};
use crate::status::{State, Status};
use crate::token::Secret;

/// More than any refresh token, and not so much that a mistaken file fills the memory.
const MOST_INPUT: u64 = 64 * 1024;

/// Keeps an Exact Online token chain alive and hands out living access tokens.
///
/// Without a command it serves: that is how the Azure Functions host starts it. The other commands read `local.settings.json` in the current
/// folder where the environment does not say. No secret is ever an argument.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer the Functions host on 127.0.0.1 (the default).
    Serve,
    /// Begin a chain with a log-in at Exact Online in any browser: prints the address to open and takes the one that the browser ends at.
    Consent {
        /// Open the browser of this machine.
        #[arg(long)]
        open: bool,
        /// Take the new tokens without a question where they are another user's than the stored ones.
        #[arg(long)]
        yes: bool,
    },
    /// Take over a refresh token from standard input. It is not spent here; the next tick or call does that.
    Import {
        /// Put it in the place of a chain that is stored already. The stored one is kept as a version.
        #[arg(long)]
        replace: bool,
    },
    /// Take over the stored tokens after the app's storage was moved: they were got under another lock, and are not used until you say so.
    Adopt {
        /// Nothing else uses these tokens any more: two installations that refresh the same chain lose it.
        #[arg(long)]
        yes: bool,
    },
    /// Print a living access token and nothing else, for scripts.
    Token {
        /// Seconds of life that it must still have, 0 to 540.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(0..=540))]
        min_validity: i64,
        /// Seconds to wait for it, 0 to 200.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(i64).range(0..=200))]
        max_wait: i64,
    },
    /// Show what is known of the chain. Exit code 0 if it is connected and all is well, else 1.
    Status {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Look for what is wrong with the installation, and say what to do. Spends no token. Exit code 0 if nothing fails, else 1.
    Doctor {
        /// For machines.
        #[arg(long)]
        json: bool,
        /// Find out how Exact Online treats a used refresh token, on a chain that nobody needs and that may end of it: reads its refresh token from
        /// standard input. Takes up to an hour.
        #[arg(long, conflicts_with = "json")]
        live: bool,
        /// Begin the throw-away chain with a log-in, in place of a token.
        #[arg(long, requires = "live")]
        consent: bool,
        /// Do not ask whether that chain may end.
        #[arg(long, requires = "live")]
        yes_this_chain_may_die: bool,
        /// Keep the newest refresh token in a new file. Without it that token is forgotten.
        #[arg(long, requires = "live", value_name = "FILE")]
        keep_token: Option<PathBuf>,
    },
}

/// Bad usage, as in `sysexits.h`.
const USAGE: u8 = 64;
/// As a shell reports a command that Ctrl+C ended.
const INTERRUPTED: u8 = 130;
/// What a first interruption is told.
const FINISHING: &str = "a refresh is under way and is finished first; interrupt again to end now, and its reply could be lost";

/// Runs what the arguments ask for.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            drop(error.print());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            // clap would repeat the argument, and it could be a token that was meant for standard input.
            let usage = Arguments::command().render_usage();
            say(&mut io::stderr(), &format!("error: {} (it is not repeated here: it could be a secret)\n\n{usage}\n\nTry --help.", error.kind()));
            return ExitCode::from(USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("the runtime could not be started")),
    };
    let done = runtime.block_on(async {
        let current = std::env::current_dir().context("the current folder could not be read")?;
        match arguments.command {
            None | Some(Command::Serve) => serve::serve(&current).await,
            Some(Command::Import { replace }) => import(&current, replace).await,
            Some(Command::Consent { open, yes }) => consent::consent(&current, open, yes).await,
            Some(Command::Adopt { yes }) => adopt(&current, yes).await,
            Some(Command::Token { min_validity, max_wait }) => token(&current, min_validity, max_wait).await,
            Some(Command::Status { json }) => status(&current, json).await,
            Some(Command::Doctor { live: true, consent, yes_this_chain_may_die, keep_token, .. }) => {
                live::live(&current, consent, yes_this_chain_may_die, keep_token.as_deref()).await
            }
            Some(Command::Doctor { json, .. }) => doctor::doctor(&current, json).await,
        }
    });
    done.unwrap_or_else(|error| fail(&error))
}

async fn import(current: &Path, replace: bool) -> anyhow::Result<ExitCode> {
    let broker = open(current)?;
    if io::stdin().is_terminal() {
        say(&mut io::stderr(), "Paste the refresh token, then press Enter and Ctrl+D:");
    }
    let mut text = String::new();
    io::stdin().take(MOST_INPUT).read_to_string(&mut text).context("standard input could not be read as text")?;
    let imported = broker.import(Secret::new(text.trim()), replace).await?;
    let what = if imported.replaced { "took the place of the stored one" } else { "is stored" };
    let (epoch, place) = (imported.epoch, broker.place());
    print(&format!("The refresh token {what} (epoch {epoch}) in {place}.\nThe next tick or call asks Exact Online for a pair."))?;
    Ok(ExitCode::SUCCESS)
}

async fn adopt(current: &Path, yes: bool) -> anyhow::Result<ExitCode> {
    let broker = open(current)?;
    if !yes {
        let place = broker.place();
        bail!(
            "this would take the tokens in {place} over for this installation; make sure that no other one uses them any more (two that refresh the \
             same chain lose it), then repeat with --yes"
        );
    }
    let adopted = broker.adopt().await?;
    print(&format!("The stored tokens are this installation's now (epoch {}).", adopted.epoch))?;
    Ok(ExitCode::SUCCESS)
}

async fn token(current: &Path, min_validity: i64, max_wait: i64) -> anyhow::Result<ExitCode> {
    let broker = open(current)?;
    let ask = Ask { min_validity: jiff::SignedDuration::from_secs(min_validity), max_wait: jiff::SignedDuration::from_secs(max_wait) };
    let answer = tokio::select! {
        answer = broker.get_token(ask) => Some(answer),
        () = serve::interrupted() => None,
    };
    if answer.is_none() {
        say(&mut io::stderr(), FINISHING);
    }
    let finished = serve::finish(&broker, answer.is_none()).await;
    let Some(answer) = answer.filter(|_| finished) else { return Ok(ExitCode::from(INTERRUPTED)) };
    match answer {
        Ok(token) => {
            for warning in &token.warnings {
                say(&mut io::stderr(), &format!("warning: {warning}"));
            }
            print(token.access_token.reveal())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(NoToken::ConsentRequired(needed)) => bail!("{needed}"),
        Err(NoToken::ServerError(what)) => bail!(what),
        Err(NoToken::Unavailable { why, retry_after }) => bail!("{why} (try again in {retry_after} s)"),
    }
}

async fn status(current: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let status = match settings(current) {
        Ok(config) => Broker::open(config)?.status().await,
        // As the function Status, in the same form.
        Err(error) => Status::misconfigured(&error.problems),
    };
    let text = if json { serde_json::to_string_pretty(&status).context("the status could not be written")? } else { status.to_string() };
    print(&text)?;
    Ok(if status.state == State::Connected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(current: &Path) -> anyhow::Result<Broker> {
    Ok(Broker::open(usable(current)?)?)
}

fn usable(current: &Path) -> anyhow::Result<Config> {
    settings(current).map_err(|error| anyhow::anyhow!("the settings cannot be used:\n  {}", error.problems.join("\n  ")))
}

fn settings(current: &Path) -> Result<Config, ConfigError> {
    let source = config::command_line(current);
    crate::telemetry::init(Some(config::log_filter(|name| source.get(name)).as_deref().unwrap_or("off")));
    let config = source.config(current)?;
    for remark in &config.remarks {
        say(&mut io::stderr(), &format!("warning: {remark}"));
    }
    Ok(config)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    say(&mut io::stderr(), &format!("error: {error:#}"));
    ExitCode::FAILURE
}

/// What was asked for. A reader that has gone away has what it wanted; any other failure must not look like success.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("standard output could not be written"),
        _ => Ok(()),
    }
}

/// What goes along with it.
fn say(to: &mut impl Write, line: &str) {
    drop(writeln!(to, "{line}"));
}
