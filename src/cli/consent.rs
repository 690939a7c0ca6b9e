//! `consent`: the browser's way for machines that no browser can reach.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;

use super::prompt::{Answer, Countdown, ask};
use super::{FINISHING, INTERRUPTED, print, say, serve, usable};
use crate::app::Broker;
use crate::consent::{Begun, Callback, Connected, Decision, Failed, Finished, Problem, Waiting, named};
use crate::token::Secret;

/// How long a pair is tried to be stored before the person who waits is told why it is not.
const SAVE_WITHIN: Duration = Duration::from_secs(20);
/// Between two such rounds.
const SAVE_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// What follows from a paste that is of no use.
const NOT_ASKED: &str = "Nothing was asked of Exact Online, and nothing was changed. Run `exact-token-broker consent` again, open the address that it \
                         prints, and paste the one that this log-in ends at.";

pub(super) async fn consent(current: &Path, open_browser: bool, yes: bool) -> anyhow::Result<ExitCode> {
    let config = usable(current)?;
    let page = config.consent_url();
    let broker = Broker::open(config)?;
    let begun = broker.consent().begin(None).await.map_err(|problem| said(&problem))?;
    print(begun.authorize_url.reveal())?;
    let mut err = io::stderr();
    say(
        &mut err,
        "\nOpen this address in a browser, log in at Exact Online and allow the access. The browser then goes to the app's redirect URI; it does",
    );
    say(&mut err, "not matter if it finds nothing there. Copy the whole address out of its address bar (or the code alone), paste it here within");
    say(&mut err, "3 minutes, and press Enter.");
    if open_browser && ::open::that_detached(begun.authorize_url.reveal()).is_err() {
        say(&mut err, "The browser could not be started; open the address yourself.");
    }
    let Some(callback) = pasted(&begun).await? else { return Ok(ExitCode::from(INTERRUPTED)) };
    let Some(finished) = to_its_end(broker.consent().finish(callback)).await else { return Ok(ExitCode::from(INTERRUPTED)) };
    if let Err(Failed { problem: problem @ Problem::NotSaved(_), .. }) = &finished {
        say(&mut err, &format!("{problem}"));
        return save(&broker).await;
    }
    match finished.map_err(|problem| failed(&problem))? {
        Finished::LeftAsItWas => bail!("nothing was changed"),
        Finished::Connected(connected) => report(&broker, &connected),
        Finished::Confirm { stored, new, confirm } => {
            let (stored, new) = (named(stored.as_deref()), named(new.as_deref()));
            say(
                &mut err,
                &format!("The stored tokens are those of {stored}.\nThe new ones would be those of {new}. They are kept, and not used yet."),
            );
            let decision = if yes { Ok(Decision::Connect) } else { ask_whether_meant().await };
            match decision {
                Ok(decision) => decided(&broker, begun, confirm, decision, &still_waiting(page.as_deref())).await,
                Err(undecided) => {
                    say(&mut err, &format!("\nIt was not answered. {}", still_waiting(page.as_deref())));
                    Ok(undecided)
                }
            }
        }
    }
}

/// What a person pastes, asked for until it can be used: a code is worth a log-in. A file or a pipe has one try. None: interrupted.
async fn pasted(begun: &Begun) -> anyhow::Result<Option<Callback>> {
    let countdown = Countdown::begin();
    let person = io::stdin().is_terminal();
    loop {
        let why = match ask("address or code: ", Some(&countdown)).await? {
            Answer::Line(text) => match Callback::pasted(&text, begun) {
                Ok(callback) => return Ok(Some(callback)),
                Err(why) => why.to_string(),
            },
            Answer::NoText => "that is not text (UTF-8)".to_owned(),
            Answer::CutOff => {
                "the terminal cut that off, because it takes no longer line; paste only what stands between code= and the next &".to_owned()
            }
            Answer::End => bail!("the input ended before an address or a code was pasted\n{NOT_ASKED}"),
            Answer::Interrupted => return Ok(None),
        };
        if !person {
            bail!("{why}\n{NOT_ASKED}");
        }
        say(&mut io::stderr(), &format!("Not taken: {why}. Copy it anew, as long as the 3 minutes last."));
    }
}

/// Asks until it is answered, because a no throws a log-in away. The exit code, where it was not answered.
async fn ask_whether_meant() -> Result<Decision, ExitCode> {
    loop {
        match ask("Type yes to use them from now on, or no to discard them: ", None).await {
            Ok(Answer::Line(text)) if text.trim().eq_ignore_ascii_case("yes") => return Ok(Decision::Connect),
            Ok(Answer::Line(text)) if text.trim().eq_ignore_ascii_case("no") => return Ok(Decision::LeaveIt),
            Ok(Answer::Line(_) | Answer::NoText | Answer::CutOff) => say(&mut io::stderr(), "That is neither yes nor no."),
            Ok(Answer::Interrupted) => return Err(ExitCode::from(INTERRUPTED)),
            // What cannot be read any more has come to its end as well.
            Ok(Answer::End) | Err(_) => return Err(ExitCode::FAILURE),
        }
    }
}

/// What becomes of a pair that nobody has decided about.
fn still_waiting(page: Option<&str>) -> String {
    let first = page.map_or_else(|| "Run".to_owned(), |page| format!("Say yes or no on the page Consent ({page}), or run"));
    format!(
        "The new tokens are kept, and wait to be confirmed; until then the stored ones are used.\n{first} `exact-token-broker consent` again and log in \
         as the same user: it asks again, and with --yes it does not."
    )
}

/// This process is the only place that has the tokens: it stays until they are stored.
async fn save(broker: &Broker) -> anyhow::Result<ExitCode> {
    while let Some(saved) = to_its_end(broker.save_unsaved(SAVE_WITHIN)).await {
        let Some(why) = saved else {
            print("The tokens are stored now; `exact-token-broker status` says how things stand.")?;
            return Ok(ExitCode::SUCCESS);
        };
        say(&mut io::stderr(), &format!("not stored yet, and tried again until it is: {why}"));
        tokio::time::sleep(SAVE_AGAIN_AFTER).await;
    }
    Ok(ExitCode::from(INTERRUPTED))
}

async fn decided(broker: &Broker, begun: Begun, confirm: Secret, decision: Decision, otherwise: &str) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::Signed { confirm, cookie: Some(begun.cookie) };
    let Some(finished) = to_its_end(broker.consent().decide(waiting, decision)).await else { return Ok(ExitCode::from(INTERRUPTED)) };
    let finished = finished.map_err(|failed| match failed.problem {
        // The pair is as it was.
        problem @ (Problem::Expired | Problem::Busy | Problem::Store(_)) => anyhow::anyhow!("{problem}\n{otherwise}"),
        problem => said(&problem),
    })?;
    match finished {
        Finished::LeftAsItWas => bail!("nothing was changed: the new tokens are discarded (--yes takes them without a question)"),
        Finished::Connected(connected) => report(broker, &connected),
        Finished::Confirm { .. } => bail!("it was confirmed, and is to be confirmed again; look at the status"),
    }
}

fn report(broker: &Broker, connected: &Connected) -> anyhow::Result<ExitCode> {
    let (whose, place) = (named(connected.person.as_deref()), broker.place());
    let replaced = if connected.meanwhile {
        "; it took the place of one that somebody else began meanwhile"
    } else if connected.replaced {
        "; the chain before it is over"
    } else {
        ""
    };
    print(&format!(
        "Connected to Exact Online as {whose} (epoch {}{replaced}).\nThe tokens are in {place}. They see what this user may see: if answers stay empty, \
         it lacks rights.",
        connected.epoch
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// What must not be cut off. The first interruption is told why, the second ends it; then it is None.
async fn to_its_end<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = serve::interrupted() => {}
        }
        if told {
            return None;
        }
        told = true;
        say(&mut io::stderr(), FINISHING);
    }
}

fn failed(failed: &Failed) -> anyhow::Error {
    said(&failed.problem)
}

fn said(problem: &Problem) -> anyhow::Error {
    // Elsewhere the way on is the page that the browser is at.
    let remedy = match problem {
        Problem::Forged | Problem::OtherBrowser => {
            "Nothing was changed. Run `exact-token-broker consent` again, open the address that it prints, and paste the one that this log-in ends at."
        }
        Problem::Used | Problem::Overtaken | Problem::NothingToConfirm => "`exact-token-broker status` says how things stand.",
        _ => problem.remedy(),
    };
    anyhow::anyhow!("{problem}\n{remedy}")
}
