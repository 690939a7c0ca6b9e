//! A line that a person types or pastes, and how long the code in it still lives.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use super::{MOST_INPUT, say, serve};

/// How long Exact's code lives.
const CODE_LIVES: Duration = Duration::from_mins(3);
/// Seconds that are left when it is said again.
const SAID_AGAIN: [u64; 7] = [150, 120, 90, 60, 30, 10, 0];

/// Where Linux cuts a line off that is pasted into a terminal: the rest until Enter is dropped.
const TERMINAL_TAKES: usize = 4095;

/// What standard input gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Line(String),
    /// Bytes that are no UTF-8.
    NoText,
    /// The terminal took no more of it.
    CutOff,
    /// There is nothing more to read: Ctrl+D, or no input at all.
    End,
    /// Ctrl+C, or a polite request to end.
    Interrupted,
}

/// The 3 minutes of a code, over all tries to paste it. They run from the moment when it may have been shown first.
pub(super) struct Countdown {
    began: Instant,
}

impl Countdown {
    pub(super) fn begin() -> Self {
        Self { began: Instant::now() }
    }

    fn next(&self) -> Option<Instant> {
        let moments = SAID_AGAIN.map(|left| self.began + CODE_LIVES - Duration::from_secs(left));
        moments.into_iter().find(|moment| *moment > Instant::now())
    }

    fn left(&self) -> String {
        let left = CODE_LIVES.saturating_sub(self.began.elapsed()).as_millis().div_ceil(1000);
        if left == 0 {
            "3 minutes have gone by: a code that the browser showed at the beginning is dead; a later one may still be good".to_owned()
        } else {
            format!("{}:{:02} left, if the browser had shown the code when this began", left / 60, left % 60)
        }
    }
}

/// A line of standard input. In a terminal the rest of the code's life is counted down meanwhile.
pub(super) async fn ask(prompt: &str, countdown: Option<&Countdown>) -> anyhow::Result<Answer> {
    let mut err = io::stderr();
    let terminal = io::stdin().is_terminal();
    let countdown = countdown.filter(|_| terminal && err.is_terminal());
    let (send, line) = tokio::sync::oneshot::channel();
    // A thread of its own: nobody can interrupt a read, and the runtime would wait for it.
    std::thread::spawn(move || drop(send.send(read(&mut io::stdin().lock(), terminal))));
    tokio::select! {
        read = counted(&mut err, prompt, countdown, line) => read?.context("standard input could not be read"),
        () = serve::interrupted() => Ok(Answer::Interrupted),
    }
}

fn read(from: &mut impl BufRead, terminal: bool) -> io::Result<Answer> {
    let mut line = Vec::new();
    match from.take(MOST_INPUT).read_until(b'\n', &mut line) {
        Ok(_) if line.is_empty() => Ok(Answer::End),
        Ok(_) if terminal && line.strip_suffix(b"\n").unwrap_or(&line).len() >= TERMINAL_TAKES => Ok(Answer::CutOff),
        Ok(_) => Ok(String::from_utf8(line).map_or(Answer::NoText, Answer::Line)),
        // A console of Windows gives characters in place of bytes, and no half ones.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Answer::NoText),
        Err(error) => Err(error),
    }
}

/// Waits for the answer. What is pasted stands on the screen until Enter is pressed, often over several lines, and only the terminal knows where: to
/// rewrite a line above it would write into it. So the time is told in whole lines, now and then, without any control sequence; a title would be
/// left behind, and not every terminal shows one.
async fn counted<T>(to: &mut impl Write, prompt: &str, countdown: Option<&Countdown>, answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    if let Some(countdown) = countdown {
        say(to, &format!("\n{}", countdown.left()));
    }
    show(to, prompt);
    while let Some((countdown, moment)) = countdown.and_then(|countdown| Some((countdown, countdown.next()?))) {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            () = tokio::time::sleep_until(moment) => {}
        }
        say(to, &format!("\n{} (what is typed or pasted already still counts)", countdown.left()));
        show(to, prompt);
    }
    answer.await
}

fn show(to: &mut impl Write, prompt: &str) {
    drop(write!(to, "{prompt}").and_then(|()| to.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_is_counted_down_in_lines_and_goes_on_over_a_second_try() {
        let countdown = Countdown::begin();
        let mut screen = Vec::new();
        let mut said = async |seconds| {
            screen.clear();
            counted(&mut screen, "code: ", Some(&countdown), tokio::time::sleep(Duration::from_secs(seconds))).await;
            let said = String::from_utf8(screen.clone()).unwrap();
            assert!(!said.contains(['\x1b', '\r']) && said.ends_with("\ncode: "), "{said:?}");
            let times = said.lines().filter(|line| !line.starts_with("code: ") && !line.is_empty());
            times.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(said(45).await, ["3:00", "2:30"]);
        assert_eq!(said(100).await, ["2:15", "2:00", "1:30", "1:00"]);
        assert_eq!(said(600).await, ["0:35", "0:30", "0:10", "3"]);
        assert_eq!(said(1).await, ["3"]);
        assert!(countdown.left().starts_with("3 minutes have gone by"));
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_code_is_waited_for_nothing_is_counted() {
        let mut screen = Vec::new();
        counted(&mut screen, "yes or no: ", None, tokio::time::sleep(Duration::from_mins(10))).await;
        assert_eq!(String::from_utf8(screen).unwrap(), "yes or no: ");
    }

    #[test]
    fn what_standard_input_gives_is_told_apart() {
        let line = |bytes: &[u8]| Answer::Line(String::from_utf8(bytes.to_vec()).unwrap());
        let long = [b'x'; TERMINAL_TAKES];
        for (input, terminal, expected) in [
            (&b""[..], true, Answer::End),
            (b"\n", true, line(b"\n")),
            (b"one\ntwo\n", true, line(b"one\n")),
            (b"the last", false, line(b"the last")),
            (b"caf\xe9\n", true, Answer::NoText),
            (&long, true, Answer::CutOff),
            (&[&long[..], b"\n"].concat(), true, Answer::CutOff),
            (&[&long[1..], b"\n"].concat(), true, line(&[&long[1..], b"\n"].concat())),
            (&long, false, line(&long)),
        ] {
            assert_eq!(read(&mut &*input, terminal).unwrap(), expected);
        }
    }
}
