//! What is asked next, and when. Pure: time and answers come in, the next step comes out.
//!
//! | step | token that is sent | what it shows |
//! |---|---|---|
//! | first use | the given one; it is the *previous* token from then on | what a grant looks like |
//! | unused, 1 s, 60 s, 9.6 min | the previous one; its successor was not used yet | a grace, where the gate lets it show |
//! | unused, again | the same, if it was good until then | whether the grace ends by time |
//! | second use | the newest; it is the *previous* token from then on | whether the chain lives after all that |
//! | too early on purpose | the newest, if nothing was too early so far | whether there is a gate |
//! | a dead token | one that was refused, with the gate closed | what comes first, gate or look at the token |
//! | third use | the newest: the first use of the new one | |
//! | used, 1 s, 60 s, 9.6 min | the previous one; its successor was used | whether the use of the new one ends a grace |
//! | fourth use | the newest, to close the gate for the dead token, if that was not asked | |

use jiff::{SignedDuration, Timestamp};

use super::finding::{Gate, gate};
use super::step::{Answer, Asked, Step, Subject};
use crate::token::{Fingerprint, Reply, Secret};

/// After a grant the gate is open: Exact's 570 s and one more.
pub const GATE: SignedDuration = SignedDuration::from_secs(571);
/// 9.6 minutes: past the gate, and before the end of a grace of 10 minutes.
const LATE: SignedDuration = SignedDuration::from_secs(576);
/// Requests in a rolling hour that brought no pair. Exact blocks a key at 10 errors.
pub const UNGRANTED_AN_HOUR: usize = 8;
/// How often that is asked for which has to be granted.
const TRIES: usize = 3;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const MOMENT: SignedDuration = SignedDuration::from_secs(1);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing before then.
    Wait(Timestamp, Step),
    /// Send [`Plan::token`].
    Ask(Step),
    /// No more.
    Done(Ended),
}

/// Why no more is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All was.
    Complete,
    /// The given token, or the code, is not good.
    NotAlive,
    /// The newest token was refused.
    ChainDied,
    /// A reply to the newest token got lost, and the token does not work any more.
    Lost,
    /// What has to be granted was asked for in vain.
    NoClearAnswer,
    /// A grant brought the refresh token back that was sent: there is no previous one.
    NotRotated,
    /// Exact asks for patience.
    Throttled,
    /// Exact does not accept the app.
    Misconfigured,
    /// A person ended it.
    Interrupted,
}

/// The experiment so far.
#[derive(Debug)]
pub struct Plan {
    step: Step,
    not_before: Timestamp,
    newest: Secret,
    previous: Option<(Secret, Timestamp)>,
    dead: Option<Secret>,
    last_grant: Option<Timestamp>,
    new_one_used: Option<Timestamp>,
    asked: Vec<Asked>,
    ended: Option<Ended>,
}

impl Plan {
    /// With a refresh token of unknown age.
    #[must_use]
    pub fn with_token(token: Secret, now: Timestamp) -> Self {
        Self {
            step: Step::FirstUse,
            not_before: now,
            newest: token,
            previous: None,
            dead: None,
            last_grant: None,
            new_one_used: None,
            asked: Vec::new(),
            ended: None,
        }
    }

    /// With the code of a log-in.
    #[must_use]
    pub fn with_code(code: Secret, now: Timestamp) -> Self {
        Self { step: Step::Code, ..Self::with_token(code, now) }
    }

    /// What is to be sent for the step that [`next`](Self::next) named.
    #[must_use]
    pub fn token(&self) -> &Secret {
        match (self.step.subject(), &self.previous, &self.dead) {
            (Subject::Previous, Some((previous, _)), _) => previous,
            (Subject::Dead, _, Some(dead)) => dead,
            _ => &self.newest,
        }
    }

    /// The newest refresh token at hand. None: only a code was there so far.
    #[must_use]
    pub fn newest(&self) -> Option<&Secret> {
        (self.last_grant.is_some() || self.step != Step::Code).then_some(&self.newest)
    }

    /// Everything that was asked, in order.
    #[must_use]
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// What is asked yet, if no reply is odd: at most this.
    #[must_use]
    pub fn left(&self) -> Vec<Step> {
        if matches!(self.ended, Some(Ended::Complete)) {
            return Vec::new();
        }
        // The dead token comes in between where it can, and last of all where it cannot.
        let from = if self.step == Step::DeadToken && self.new_one_used.is_none() { Step::ThirdUse } else { self.step };
        let mut left: Vec<Step> = Step::ALL.into_iter().filter(|step| *step >= from && !self.was_granted(*step)).collect();
        if gate(&self.asked) != Gate::NotSeen {
            left.retain(|step| *step != Step::TooEarlyOnPurpose);
        }
        if !matches!(gate(&self.asked), Gate::NotSeen | Gate::Somewhere) {
            left.retain(|step| !matches!(step, Step::FourthUse | Step::DeadToken));
        }
        left
    }

    fn was_granted(&self, step: Step) -> bool {
        self.asked.iter().any(|asked| asked.step == step && asked.answer.is_granted())
    }

    /// A person ended it.
    pub fn interrupt(&mut self) {
        self.ended.get_or_insert(Ended::Interrupted);
    }

    /// What to do now.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Next {
        if let Some(ended) = self.ended {
            return Next::Done(ended);
        }
        let mut ungranted = self.asked.iter().rev().filter(|asked| !matches!(asked.answer, Answer::Granted | Answer::NotSent));
        let allowed_at = ungranted.nth(UNGRANTED_AN_HOUR - 1).map_or(now, |asked| asked.at + HOUR + MOMENT);
        let not_before = self.not_before.max(allowed_at);
        if now < not_before { Next::Wait(not_before, self.step) } else { Next::Ask(self.step) }
    }

    /// The step's request leaves now.
    pub fn asking(&mut self, now: Timestamp) {
        let age = self.previous.as_ref().filter(|_| self.step.subject() == Subject::Previous).map(|(_, used)| now.duration_since(*used));
        let since_grant = self.last_grant.map(|grant| now.duration_since(grant));
        self.asked.push(Asked { step: self.step, at: now, since_grant, age, answer: Answer::None });
    }

    /// And this is what came back.
    pub fn answered(&mut self, reply: Reply, now: Timestamp) {
        let Some(asked) = self.asked.last_mut() else { return };
        let (answer, new) = Answer::of(reply);
        asked.answer = answer;
        let asked = *asked;
        match answer {
            Answer::Refused(_) => self.dead = Some(self.token().clone()),
            Answer::Throttled => self.ended = Some(Ended::Throttled),
            Answer::Misconfigured(_) => self.ended = Some(Ended::Misconfigured),
            _ => {}
        }
        if let Some(new) = new {
            if Fingerprint::of(&new) == Fingerprint::of(self.token()) {
                self.ended = Some(Ended::NotRotated);
            }
            let sent = std::mem::replace(&mut self.newest, new);
            // It was used no earlier than it was sent: an age is never told too high by more than the way to Exact.
            match asked.step {
                Step::FirstUse | Step::SecondUse => self.previous = Some((sent, asked.at)),
                Step::ThirdUse | Step::TooEarlyOnPurpose => self.new_one_used = Some(now),
                _ => {}
            }
            self.last_grant = Some(now);
        }
        match self.following(asked, now) {
            Some((step, not_before)) => (self.step, self.not_before) = (step, not_before),
            None => drop(self.ended.get_or_insert(Ended::Complete)),
        }
    }

    fn following(&mut self, asked: Asked, now: Timestamp) -> Option<(Step, Timestamp)> {
        let granted = asked.answer.is_granted();
        let gated = gate(&self.asked) != Gate::None;
        let open = self.last_grant.filter(|_| gated).map_or(now, |grant| grant + GATE).max(now);
        let used = self.previous.as_ref().map_or(now, |(_, used)| *used);
        let new_one_used = self.new_one_used.unwrap_or(now);
        match asked.step {
            Step::Code | Step::FirstUse | Step::SecondUse | Step::ThirdUse | Step::FourthUse if !granted => self.again(asked, now),
            Step::Code => Some((Step::FirstUse, open)),
            Step::FirstUse => Some((Step::Unused1s, used + MOMENT)),
            Step::Unused1s => Some((Step::Unused60s, used + MINUTE)),
            Step::Unused60s => Some((Step::Unused9m36s, open.max(used + LATE))),
            Step::Unused9m36s if granted => Some((Step::UnusedAgain, open.max(used + LATE + GATE))),
            Step::Unused9m36s | Step::UnusedAgain => Some((Step::SecondUse, open)),
            Step::TooEarlyOnPurpose if granted => Some((Step::Used1s, new_one_used + MOMENT)),
            Step::SecondUse | Step::TooEarlyOnPurpose => Some(self.with_the_gate_closed(now).unwrap_or((Step::ThirdUse, open))),
            Step::DeadToken => self.new_one_used.is_none().then_some((Step::ThirdUse, open)),
            Step::ThirdUse => Some((Step::Used1s, new_one_used + MOMENT)),
            Step::Used1s => Some((Step::Used60s, new_one_used + MINUTE)),
            Step::Used60s => Some((Step::Used9m36s, open.max(new_one_used + LATE))),
            Step::Used9m36s => (self.order_is_open() && !self.was_asked(Step::DeadToken)).then_some((Step::FourthUse, open)),
            Step::FourthUse => Some((Step::DeadToken, now + MOMENT)),
        }
    }

    /// What is still unknown of the gate.
    fn with_the_gate_closed(&self, now: Timestamp) -> Option<(Step, Timestamp)> {
        let step = match gate(&self.asked) {
            Gate::NotSeen if !self.was_asked(Step::TooEarlyOnPurpose) => Step::TooEarlyOnPurpose,
            _ if self.order_is_open() && !self.was_asked(Step::DeadToken) => Step::DeadToken,
            _ => return None,
        };
        Some((step, now + MOMENT))
    }

    fn order_is_open(&self) -> bool {
        self.dead.is_some() && gate(&self.asked) == Gate::Somewhere
    }

    fn was_asked(&self, step: Step) -> bool {
        self.asked.iter().any(|asked| asked.step == step)
    }

    /// What has to be granted is asked for again: one odd reply is not the end.
    fn again(&mut self, asked: Asked, now: Timestamp) -> Option<(Step, Timestamp)> {
        let tries: Vec<Answer> = self.asked.iter().filter(|other| other.step == asked.step).map(|asked| asked.answer).collect();
        let refused = tries.iter().filter(|answer| matches!(answer, Answer::Refused(_))).count();
        let lost = tries.iter().any(|answer| matches!(answer, Answer::Unclear(_) | Answer::None));
        let begins = matches!(asked.step, Step::Code | Step::FirstUse);
        let wait = match asked.answer {
            // A code works once, and a token that never worked is the wrong one.
            Answer::Refused(_) | Answer::Unclear(_) if asked.step == Step::Code => None,
            Answer::Refused(_) if begins || refused > 1 => None,
            _ if tries.len() >= TRIES => None,
            Answer::TooEarly => Some(GATE),
            Answer::NotSent => Some(MINUTE / 2),
            _ => Some(MINUTE + MOMENT),
        };
        if wait.is_none() {
            self.ended.get_or_insert(match (refused > 0, lost, begins) {
                (true, true, _) => Ended::Lost,
                (true, false, true) => Ended::NotAlive,
                (true, false, false) => Ended::ChainDied,
                (false, _, _) if asked.step == Step::Code => Ended::NotAlive,
                (false, _, _) => Ended::NoClearAnswer,
            });
        }
        wait.map(|wait| (asked.step, now + wait))
    }
}
