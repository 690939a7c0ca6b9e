//! The report. Every text is made here of what is counted and named; nothing of a reply but what [`Looks`] holds.

use std::fmt;

use jiff::SignedDuration;

use super::finding::{Findings, Previous, TWICE, lifetime};
use super::plan::Ended;
use super::step::{Answer, Asked, Step, Subject};
use super::{Record, Report};
use crate::ports::Looks;
use crate::token::reply::Refusal;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "What was found\n")?;
        let [gate, meaning] = self.findings.gate.words();
        finding(f, "gate", gate, meaning)?;
        self.twice(f)?;
        self.previous_token(f)?;
        let [grace, meaning] = self.findings.grace.words();
        finding(f, "grace", grace, meaning)?;
        self.chain(f)?;
        self.lifetime(f)?;
        for record in self.records.iter().filter(|record| record.asked.is_unexpected()) {
            let what = format!("{} got an answer that was not foreseen: {}", record.asked.step.words(), record.asked.answer);
            finding(f, "unexpected", &what, "compare with what the replies looked like, below; run it once more before you rely on it")?;
        }
        self.replies(f)?;
        writeln!(f, "\nHow it ended\n\n  {}", self.ended)?;
        if !self.left.is_empty() {
            writeln!(f, "  Not asked, if it had gone on as usual:")?;
            self.left.iter().try_for_each(|step| writeln!(f, "    {}", step.words()))?;
        }
        write!(f, "  {} token requests, {} of them without a pair. The store was not touched.", self.records.len(), self.ungranted())
    }
}

fn finding(f: &mut fmt::Formatter<'_>, name: &str, what: &str, meaning: &str) -> fmt::Result {
    writeln!(f, "  {name}: {what}\n    -> {meaning}")
}

impl Report {
    /// How many requests brought nothing.
    #[must_use]
    pub fn ungranted(&self) -> usize {
        self.records.iter().filter(|record| !record.asked.answer.is_granted()).count()
    }

    fn previous_token(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { unused, unused_again, used, .. } = &self.findings;
        writeln!(f, "  a used token, its successor unused")?;
        self.line(f, "1 s after its use", Step::Unused1s, unused[0])?;
        self.line(f, "60 s after its use", Step::Unused60s, unused[1])?;
        self.line(f, "9.6 min after its use", Step::Unused9m36s, unused[2])?;
        if self.age(Step::UnusedAgain).is_some() {
            self.line(f, "once more", Step::UnusedAgain, *unused_again)?;
        }
        writeln!(f, "  a used token, its successor used")?;
        self.line(f, "1 s after that", Step::Used1s, used[0])?;
        self.line(f, "60 s after that", Step::Used60s, used[1])?;
        self.line(f, "9.6 min after that", Step::Used9m36s, used[2])
    }

    fn twice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [what, meaning] = TWICE;
        match self.age(Step::Unused1s).filter(|_| self.findings.twice) {
            Some(age) => finding(f, "two at once", &format!("a second use {} s {what}", age.as_secs()), meaning),
            None => Ok(()),
        }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, when: &str, step: Step, found: Previous) -> fmt::Result {
        write!(f, "    {when}: {}", found.words())?;
        match self.age(step) {
            Some(age) => writeln!(f, " ({} after its own use)", clock(age)),
            None => writeln!(f),
        }
    }

    fn age(&self, step: Step) -> Option<SignedDuration> {
        self.records.iter().find(|record| record.asked.step == step).and_then(|record| record.asked.age)
    }

    fn chain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.findings.chain_lives {
            Some(true) => finding(f, "chain", "it went on after a used token had been sent again", "nothing to set: the program's tries do no harm"),
            Some(false) => finding(
                f,
                "chain",
                "the newest token was refused, twice, after a used one had been sent again",
                "sending a used token may end the chain. Set REFRESH_POLICY=on-demand, and tell whoever maintains this program",
            ),
            None => writeln!(f, "  chain: whether it goes on after a used token was sent again was not found out"),
        }
    }

    fn lifetime(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(expires_in) = self.expires_in else { return Ok(()) };
        let granted = self.records.iter().rev().find(|record| record.asked.answer == Answer::Granted);
        let members = granted.and_then(|record| record.looks.as_ref()).map(|looks| looks.members.as_slice()).unwrap_or_default();
        let kind = members.iter().find(|(name, _)| name == "expires_in").map_or("", |(_, kind)| kind.as_str());
        finding(
            f,
            "expires_in",
            &format!("{} s, as {kind}", expires_in.as_secs()),
            &format!("{}; strings and numbers are read", lifetime(expires_in)),
        )
    }

    /// Each that was different from those before it.
    fn replies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat the replies looked like (names, types and lengths; values only of numbers and well-known words)")?;
        let mut seen: Vec<(Answer, u16, Vec<&str>)> = Vec::new();
        for Record { asked, looks, .. } in &self.records {
            let Some(looks) = looks else { continue };
            let kind = (asked.answer, looks.status, looks.headers.iter().chain(&looks.members).map(|(name, _)| name.as_str()).collect());
            if !seen.contains(&kind) {
                seen.push(kind);
                write!(f, "\n  {}\n{looks}", asked.answer)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}: {}", clock(self.at), self.asked.step.words(), self.asked.answer)
    }
}

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    status {}, {}", self.status, self.body)?;
        self.members.iter().try_for_each(|(name, told)| writeln!(f, "      {name}: {told}"))?;
        self.headers.iter().try_for_each(|(name, told)| writeln!(f, "    header {name}: {told}"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted => f.write_str("granted"),
            Self::OddGrant(unclear) => write!(f, "a new refresh token in an odd reply ({unclear})"),
            Self::TooEarly => f.write_str("too early"),
            Self::Refused(Refusal::OldTokenUsed) => f.write_str("refused, \"Old refresh token used\""),
            Self::Refused(Refusal::InvalidChain) => f.write_str("refused, \"invalid or empty chainId\""),
            Self::Refused(Refusal::Expired) => f.write_str("refused, \"refresh token expired\""),
            Self::Unclear(unclear) => unclear.fmt(f),
            Self::NotSent => f.write_str("not sent: Exact Online could not be reached"),
            Self::Throttled => f.write_str("Exact Online asks for patience"),
            Self::Misconfigured(what) => what.fmt(f),
            Self::None => f.write_str("no answer before this program was ended"),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "Everything was asked.",
            Self::NotAlive => "The given token (or the code of the log-in) is not good: take a newer one.",
            Self::ChainDied => "The newest token was refused twice: this chain is over.",
            Self::Lost => "A reply got lost, and the token that it answered does not work any more: this chain is over, and that is a finding, too.",
            Self::NoClearAnswer => "Exact Online did not answer so that it could go on. Try again later.",
            Self::NotRotated => "A grant brought the same refresh token back: where tokens do not change, there is no previous one to ask about.",
            Self::Throttled => "Exact Online asks for patience: do not run it again before an hour has gone by.",
            Self::Misconfigured => "Exact Online does not accept the app: check EXACT_CLIENT_ID, EXACT_CLIENT_SECRET and EXACT_REGION.",
            Self::Interrupted => {
                "It was interrupted. The chain itself may live on at Exact Online for 30 days; its last token is forgotten here unless kept."
            }
        })
    }
}

impl Asked {
    /// Neither granted nor one of the refusals that these questions are about, or a surprise for this question.
    fn is_unexpected(&self) -> bool {
        match self.answer {
            Answer::Granted => self.step == Step::DeadToken,
            Answer::TooEarly => matches!(self.step, Step::SecondUse | Step::ThirdUse | Step::FourthUse),
            Answer::Refused(_) => self.step.subject() == Subject::Newest,
            Answer::OddGrant(_) | Answer::Unclear(_) | Answer::NotSent | Answer::Throttled | Answer::Misconfigured(_) | Answer::None => true,
        }
    }
}

/// Hours, minutes, seconds.
#[must_use]
pub fn clock(time: SignedDuration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
