//! `doctor --live`: what it refuses to run on, what it prints when it is ended early, and that it leaves nothing behind. Each kind of Exact Online is told
//! apart in virtual time (`tests/in_process/live.rs`).

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use simulators::exact_online::{Config, Fault, Gate, Grace, Loss, MARKER, Rules, User, bodies};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::Instant;

use super::stage::shifted_clock::ClockFile;
use super::stage::{PATIENCE, Ran, Stage};
use super::terminal;

const YES: &str = "--yes-this-chain-may-die";
const OTHER_APP: &str = "00000000-0000-0000-0000-00000000c0de";
const REDIRECT_URI: &str = "https://localhost/";

async fn live(stage: &Stage, arguments: &[&str], input: &str) -> Ran {
    let ran = stage.run_with(&[&["doctor", "--live"], arguments].concat(), input).await;
    assert_says_no_secret(stage, &format!("{ran:?}"));
    ran
}

fn assert_says_no_secret(stage: &Stage, text: &str) {
    let secret = stage.exact.rules().config().client_secret.clone();
    assert!(!text.contains(MARKER) && !text.contains(&secret), "{text}");
}

/// All of it, and no secret.
fn assert_says(stage: &Stage, said: &str, expected: &[&str]) {
    for expected in expected {
        assert!(said.contains(expected), "{expected:?} is missing: {said}");
    }
    assert_says_no_secret(stage, said);
}

fn assert_no_trace(stage: &Stage) {
    let left: Vec<_> = fs::read_dir(stage.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn assert_refused(stage: &Stage, ran: &Ran, why: &str, requests: usize) {
    assert!(!ran.success && ran.stderr.contains(why) && ran.stderr.to_lowercase().contains("nothing was sent"), "{ran:?}");
    stage.assert_requests(requests);
}

fn stored_token(stage: &Stage) -> String {
    stage.exact.rules().newest_refresh_token().unwrap().to_owned()
}

/// A token that is good, of a chain of its own.
fn throw_away(stage: &Stage) -> String {
    stage.exact.issue_chain() + "\n"
}

#[tokio::test]
async fn the_app_of_the_stored_chain_is_refused_however_it_is_written() {
    let mut stage = Stage::connected().await;
    let id = stage.settings["EXACT_CLIENT_ID"].clone();
    for written in [id.clone(), format!("{{{id}}}"), id.to_uppercase()] {
        stage.set("EXACT_CLIENT_ID", &written);
        let ran = live(&stage, &[YES], &throw_away(&stage)).await;
        assert_refused(&stage, &ran, "Exact keeps one chain per app and user", 0);
    }
    let before = fs::read(stage.token_file()).unwrap();
    let ran = live(&stage, &["--consent", YES], "").await;
    assert_refused(&stage, &ran, "Exact keeps one chain per app and user", 0);
    assert!(ran.stdout.is_empty() && before == fs::read(stage.token_file()).unwrap(), "{ran:?}");
}

#[tokio::test]
async fn the_stored_token_is_refused_under_another_app_too() {
    let mut stage = Stage::connected().await;
    let stored = stored_token(&stage);
    stage.set("EXACT_CLIENT_ID", OTHER_APP);
    let before = fs::read(stage.token_file()).unwrap();
    let ran = live(&stage, &[YES, "--keep-token", "kept"], &stored).await;
    assert_refused(&stage, &ran, "that is a refresh token of the chain that the store of these settings holds", 0);
    assert!(before == fs::read(stage.token_file()).unwrap() && !stage.folder().join("kept").exists());
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_refused() {
    let stage = Stage::start().await;
    fs::write(stage.token_file(), "{ damaged").unwrap();
    let ran = live(&stage, &[YES], &throw_away(&stage)).await;
    assert_refused(&stage, &ran, "could not be read, so nothing is begun", 0);
}

#[tokio::test]
async fn without_a_terminal_and_without_the_flag_it_is_refused_before_anything_else() {
    let stage = Stage::start().await;
    for arguments in [&[][..], &["--consent"], &["--keep-token", "kept"]] {
        let ran = live(&stage, arguments, &format!("this chain may die\n{}", throw_away(&stage))).await;
        assert_refused(&stage, &ran, YES, 0);
        assert!(ran.stdout.is_empty() && !stage.folder().join("kept").exists(), "{ran:?}");
    }
}

#[tokio::test]
async fn at_a_terminal_it_has_to_be_typed() {
    let stage = Stage::start().await;
    for (typed, begins) in [("yes\n", false), ("\n", false), ("This chain may die\n", true)] {
        let (mut own, terminal) = terminal::open();
        let mut command = stage.command(&["doctor", "--live"]);
        let child = command.stdin(Stdio::from(terminal)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // What is no token ends it where it would begin.
        std::io::Write::write_all(&mut own, format!("{typed}no token\n").as_bytes()).unwrap();
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Ran { success: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert_refused(&stage, &ran, if begins { "that is no refresh token" } else { "it was not confirmed" }, 0);
        assert!(ran.stdout.contains("token requests") && ran.stdout.contains("minutes"), "{ran:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_before_anything_is_sent() {
    let stage = Stage::start().await;
    fs::write(stage.folder().join("there"), "").unwrap();
    for (arguments, input, why) in [
        (&[YES][..], "", "nothing was given on standard input"),
        (&[YES], "{\"refresh_token\":\"x\"}\n", "whole JSON reply"),
        (&[YES, "--keep-token", "there"], "", "cannot be created"),
        (&["--consent", YES], "", "EXACT_REDIRECT_URI"),
    ] {
        assert_refused(&stage, &live(&stage, arguments, input).await, why, 0);
    }
    for arguments in [&["doctor", "--live", "--json"][..], &["doctor", YES], &["doctor", "--keep-token", "x"]] {
        let ran = stage.run(arguments).await;
        assert!(!ran.success && ran.stderr.contains("Usage"), "{ran:?}");
    }
}

/// From the first question to the last, with the clocks of both set forward to the next one each time.
#[tokio::test]
async fn a_whole_run_tells_how_exact_online_is_and_leaves_no_trace() {
    let mut stage = Stage::with(Config { grace: Grace::Seconds(600), gate: Gate::AfterTokenCheck, ..Config::default() }).await;
    let clocks = tempfile::tempdir().unwrap();
    let clock = ClockFile::new(clocks.path(), 0);
    stage.settings.extend(clock.environment());
    stage.set("RUST_LOG", "trace");
    let mut running = Running::begin(&stage, &[]).await;
    running.until("0:00:00  the given token").await;
    let (began, mut ahead) = (Instant::now(), 0);
    while let Some(line) = running.next().await {
        let Some((_, at)) = line.split_once("next at ") else { continue };
        let time: Vec<i64> = at.split(": ").next().unwrap().split(':').map(|part| part.parse().unwrap()).collect();
        let left = time[0] * 3600 + time[1] * 60 + time[2] - ahead - i64::try_from(began.elapsed().as_secs()).unwrap();
        // A little is really waited for, so that nothing is asked too early.
        if left > 3 {
            ahead += left - 2;
            stage.set_clock_of_exact(ahead);
            clock.set(ahead);
        }
    }
    let (code, said) = running.end().await;
    assert_eq!(code, Some(0), "{said}");
    let expected = [
        "the look at the token comes before the 570 s",
        "it ends by time",
        "REFRESH_POLICY may stay keep-warm",
        "once more: dead",
        "it went on after a used token had been sent again",
        "600 s, as string \"600\"",
        "Everything was asked.",
    ];
    assert_says(&stage, &said, &expected);
    stage.assert_requests(11);
    assert_no_trace(&stage);
}

/// It runs, until the test ends it.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl Running {
    async fn begin(stage: &Stage, arguments: &[&str]) -> Self {
        let (running, mut stdin) = Self::spawn(stage, arguments);
        stdin.write_all(throw_away(stage).as_bytes()).await.unwrap();
        running
    }

    /// It, and where it reads from.
    fn spawn(stage: &Stage, arguments: &[&str]) -> (Self, ChildStdin) {
        let mut command = stage.command(&[&["doctor", "--live", YES], arguments].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (Self { child, lines, said: String::new() }, stdin)
    }

    async fn next(&mut self) -> Option<String> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap()?;
        self.said.push_str(&line);
        self.said.push('\n');
        Some(line)
    }

    async fn until(&mut self, what: &str) {
        while !self.said.contains(what) {
            assert!(self.next().await.is_some(), "it ended without {what:?}: {}", self.said);
        }
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap(), signal).unwrap();
    }

    /// The exit code and all that was said.
    async fn end(mut self) -> (Option<i32>, String) {
        let rest = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push_str(&line);
                self.said.push('\n');
            }
            let mut err = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
            (self.child.wait().await.unwrap().code(), self.said + &err)
        };
        tokio::time::timeout(PATIENCE, rest).await.unwrap()
    }
}

#[tokio::test]
async fn an_interrupted_run_reports_what_it_has_and_what_is_left_and_leaves_no_trace() {
    let mut stage = Stage::start().await;
    stage.set("RUST_LOG", "trace");
    let mut running = Running::begin(&stage, &[]).await;
    running.until("next at 0:01:00").await;
    running.send(Signal::INT);
    let (code, said) = running.end().await;
    assert_eq!(code, Some(130), "{said}");
    let expected = [
        "0:00:00  the given token, for the first time: granted",
        "0:00:01  the previous token 1 s after its use, its successor unused: too early",
        "It was interrupted.",
        "Not asked, if it had gone on as usual:",
        "the previous token 9.6 min after its successor's use",
        "refresh_token: string of ",
        "2 token requests, 1 of them without a pair. The store was not touched.",
        "forgotten at the end",
    ];
    assert_says(&stage, &said, &expected);
    stage.assert_requests(2);
    assert_no_trace(&stage);
}

#[tokio::test]
async fn a_killed_run_has_said_what_is_left_and_has_kept_the_newest_token_if_that_was_asked() {
    let stage = Stage::start().await;
    let mut running = Running::begin(&stage, &["--keep-token", "kept"]).await;
    running.until("next at 0:00:01").await;
    running.send(Signal::KILL);
    let (code, said) = running.end().await;
    assert!(code.is_none() && said.contains("(at most ") && said.contains("If it is killed"), "{said}");
    assert_says_no_secret(&stage, &said);
    let kept = stage.folder().join("kept");
    assert_eq!(fs::read_to_string(&kept).unwrap(), stored_token(&stage));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(kept).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_interruption_waits_for_the_reply_that_is_on_its_way() {
    let stage = Stage::start().await;
    stage.exact.script(Fault::CommitThen(Loss::Late(std::time::Duration::from_secs(3))));
    let running = Running::begin(&stage, &["--keep-token", "kept"]).await;
    stage.until_requests(1).await;
    running.send(Signal::INT);
    let (code, said) = running.end().await;
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("is waited for, at most 100 s") && said.contains("for the first time: granted"), "{said}");
    assert_eq!(fs::read_to_string(stage.folder().join("kept")).unwrap(), stored_token(&stage));
}

#[tokio::test]
async fn a_token_that_is_not_good_ends_it_with_a_report() {
    let stage = Stage::start().await;
    stage.exact.script(Fault::instead(bodies::OLD_REFRESH_TOKEN));
    let ran = live(&stage, &[YES, "--keep-token", "kept"], &throw_away(&stage)).await;
    assert!(!ran.success && ran.stdout.contains("is not good: take a newer one"), "{ran:?}");
    assert!(ran.stdout.contains("There was no new refresh token to keep.") && !stage.folder().join("kept").exists(), "{ran:?}");
    stage.assert_requests(1);
}

#[tokio::test]
async fn a_log_in_begins_it_and_only_its_own_comes_back() {
    let mut stage = Stage::start().await;
    stage.set("EXACT_REDIRECT_URI", REDIRECT_URI);
    let paste = |state: &str| Rules::redirect_url(REDIRECT_URI, &stage.exact.authorize(&User::first().id, REDIRECT_URI), Some(state)) + "\n";
    let refused = live(&stage, &["--consent", YES], &paste("made-up")).await;
    assert_refused(&stage, &refused, "that is not what this log-in ended with", 0);

    let (mut running, mut stdin) = Running::spawn(&stage, &["--consent"]);
    running.until("/api/oauth2/auth?").await;
    let (_, query) = running.said.rsplit_once('?').unwrap();
    let ours = form_urlencoded::parse(query.trim().as_bytes()).find(|(name, _)| name == "state").unwrap().1.into_owned();
    stdin.write_all(paste(&ours).as_bytes()).await.unwrap();
    running.until("the code of the log-in: granted").await;
    running.until("next at 0:09:31: the given token").await;
    running.send(Signal::INT);
    let (code, said) = running.end().await;
    assert_eq!(code, Some(130), "{said}");
    stage.assert_requests(1);
}
