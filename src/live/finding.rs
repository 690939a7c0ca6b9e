//! What follows from the answers, and what it means for the settings. Pure.

use jiff::SignedDuration;

use super::plan::Ended;
use super::step::{Answer, Asked, Step};
use crate::token::credential::RENEWAL_WINDOW;

/// Sooner than this after a grant Exact's gate is closed, however long replies were on their way: 570 s, less half a minute.
const CLOSED: SignedDuration = SignedDuration::from_secs(540);

/// Where Exact's 570 s stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Before the look at the token: within 570 s of a grant, a dead token is "too early" as well.
    First,
    /// After it: within 570 s a dead token is refused, and only a good one is "too early".
    AfterTokenCheck,
    /// A pair was granted sooner.
    None,
    /// There is one; what comes first is not known.
    Somewhere,
    /// Nothing was too early so far.
    NotSeen,
    /// One answer says this, another that.
    Contradictory,
}

/// What an answer says of a used token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// It would bring, or brought, a pair.
    Good,
    /// It is refused.
    Dead,
    /// Every token is "too early" then, good or not.
    Hidden,
    /// It was not asked, or the answer says nothing.
    Untold,
}

/// How long a used token still works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// It is dead, at the latest when the gate opens again.
    None,
    /// It works for a while, and no more when the gate opens again.
    EndsBeforeTheGateOpens,
    /// It works when the gate opens again, and not for ever.
    EndsByTime,
    /// It works until its successor is used.
    EndsWithTheUseOfTheNew,
    /// No end of it was seen.
    NoEnd,
    /// It was not told.
    Untold,
}

/// All that was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Where the 570 s stand.
    pub gate: Gate,
    /// Whether the second use of a token, about 1 s after the first, was answered with a pair, and that neither for want of a gate nor by a grace.
    pub twice: bool,
    /// The previous token after 1 s, 60 s and 9.6 min, its successor unused.
    pub unused: [Previous; 3],
    /// The same once more, where it was good until then.
    pub unused_again: Previous,
    /// The previous token 1 s, 60 s and 9.6 min after the first use of its successor.
    pub used: [Previous; 3],
    /// What follows.
    pub grace: Grace,
    /// Whether the newest token was granted after a used one had been sent again. None: not asked.
    pub chain_lives: Option<bool>,
}

/// Where the gate stands, by the answers so far.
#[must_use]
pub fn gate(asked: &[Asked]) -> Gate {
    let closed = |asked: &Asked| asked.since_grant.is_some_and(|since| since < CLOSED);
    // A second use within seconds of the first may be answered whatever the gate says.
    let early_grant = asked.iter().any(|asked| closed(asked) && asked.answer.is_granted() && asked.step != Step::Unused1s);
    let refused_early = asked.iter().any(|asked| closed(asked) && matches!(asked.answer, Answer::Refused(_)));
    let too_early = asked.iter().any(|asked| asked.answer == Answer::TooEarly);
    let dead_and_too_early = asked.iter().any(|asked| asked.step == Step::DeadToken && asked.answer == Answer::TooEarly);
    match (too_early, early_grant, refused_early, dead_and_too_early) {
        (false, true, _, _) => Gate::None,
        (false, false, _, _) => Gate::NotSeen,
        (true, true, _, _) | (true, _, true, true) => Gate::Contradictory,
        (true, false, true, false) => Gate::AfterTokenCheck,
        (true, false, false, true) => Gate::First,
        (true, false, false, false) => Gate::Somewhere,
    }
}

impl Findings {
    /// By all answers.
    #[must_use]
    pub fn of(asked: &[Asked], ended: Option<Ended>) -> Self {
        let gate = gate(asked);
        let at = |step: Step| asked.iter().find(|asked| asked.step == step).map_or(Previous::Untold, |asked| previous(asked.answer, gate));
        let unused = [Step::Unused1s, Step::Unused60s, Step::Unused9m36s].map(at);
        let twice = twice(asked, gate, unused[1]);
        let used = [Step::Used1s, Step::Used60s, Step::Used9m36s].map(at);
        let unused_again = at(Step::UnusedAgain);
        let chain_lives = match ended {
            Some(Ended::ChainDied) => Some(false),
            _ => asked.iter().any(|asked| asked.step == Step::SecondUse && asked.answer.is_granted()).then_some(true),
        };
        // Two answers at once are no grace: that is told by the later ones alone.
        let graces = if twice { [Previous::Untold, unused[1], unused[2]] } else { unused };
        Self { gate, twice, unused, unused_again, used, grace: grace(graces, unused_again, used), chain_lives }
    }
}

/// By the answers: where there is a gate it should have been closed then, and where there is none the token was dead a minute later.
fn twice(asked: &[Asked], gate: Gate, a_minute_later: Previous) -> bool {
    let granted =
        asked.iter().any(|asked| asked.step == Step::Unused1s && asked.since_grant.is_some_and(|since| since < CLOSED) && asked.answer.is_granted());
    granted
        && match gate {
            Gate::First | Gate::AfterTokenCheck | Gate::Somewhere => true,
            Gate::None | Gate::NotSeen => a_minute_later == Previous::Dead,
            Gate::Contradictory => false,
        }
}

fn previous(answer: Answer, gate: Gate) -> Previous {
    match answer {
        Answer::Granted | Answer::OddGrant(_) => Previous::Good,
        Answer::Refused(_) => Previous::Dead,
        // Where the token is looked at first, only a good one comes as far as the gate.
        Answer::TooEarly if gate == Gate::AfterTokenCheck => Previous::Good,
        Answer::TooEarly => Previous::Hidden,
        Answer::Unclear(_) | Answer::NotSent | Answer::Throttled | Answer::Misconfigured(_) | Answer::None => Previous::Untold,
    }
}

fn grace(unused: [Previous; 3], again: Previous, used: [Previous; 3]) -> Grace {
    use Previous::{Dead, Good, Hidden, Untold};
    match (unused, again, used) {
        ([.., Dead], ..) if unused.contains(&Good) => Grace::EndsBeforeTheGateOpens,
        ([.., Dead], ..) => Grace::None,
        ([.., Good], Dead, _) => Grace::EndsByTime,
        ([.., Good], Good, used) if used.contains(&Dead) => Grace::EndsWithTheUseOfTheNew,
        ([.., Good], Good, [.., Good]) => Grace::NoEnd,
        ([.., Good | Hidden | Untold], ..) => Grace::Untold,
    }
}

/// What a second use that was answered means. How long after the first it was is told before it.
pub const TWICE: [&str; 2] = [
    "after the first was answered, too: two pairs came of one token, and as far as is known Exact keeps only one of the two chains",
    "nothing to set: the lock lets one request at a time, and whoever had it re-reads. Only another program with the same chain, or a copy of the \
     store under another lock, could do that",
];

impl Gate {
    /// What was found, and what it means.
    #[must_use]
    pub fn words(self) -> [&'static str; 2] {
        match self {
            Self::First => [
                "the 570 s come before the look at the token: within them a dead token is \"too early\", too",
                "nothing to set. \"Too early\" after an unclear reply says nothing of the token, and the program takes it so: it asks again 573 s after",
            ],
            Self::AfterTokenCheck => [
                "the look at the token comes before the 570 s: within them a dead token is refused, and \"too early\" means that it is good",
                "nothing to set. After an unclear reply the program's try 30 s later shows already whether the token is dead",
            ],
            Self::None => [
                "there are no 570 s for this app: a pair was granted sooner",
                "nothing to set. The program keeps to 570 s all the same: the app you run it with may have them",
            ],
            Self::Somewhere => ["there are the 570 s; whether they come before the look at the token was not seen", "nothing to set"],
            Self::NotSeen => ["nothing was too early; whether there are the 570 s was not seen", "nothing to set"],
            Self::Contradictory => ["the answers about the 570 s contradict one another", "nothing to set; run it once more"],
        }
    }
}

impl Grace {
    /// What was found, and what it means.
    #[must_use]
    pub fn words(self) -> [&'static str; 2] {
        match self {
            Self::None => [
                "a used refresh token is dead, at the latest when the 570 s are over",
                "a reply of Exact that gets lost costs the chain, so the fewer refreshes, the better: set REFRESH_POLICY=on-demand where loads run a few times \
                 a day. With keep-warm there are some 144 refreshes a day, each with this risk",
            ],
            Self::EndsBeforeTheGateOpens => [
                "a used refresh token works for a while, but no more when the 570 s are over, before which it brings nothing",
                "as without a grace, a lost reply costs the chain: set REFRESH_POLICY=on-demand where loads run a few times a day",
            ],
            Self::EndsByTime => [
                "a used refresh token still works when the 570 s are over and its successor is unused, and no more later: it ends by time",
                "a lost reply is made good if somebody asks in time, and the program does: 573 s after. REFRESH_POLICY may stay keep-warm; \
                 either way leave the timer RefreshToken on, every 9 minutes, because it is the timer that asks",
            ],
            Self::EndsWithTheUseOfTheNew => [
                "a used refresh token works until its successor is used",
                "a lost reply is made good by asking again, without haste. REFRESH_POLICY may stay keep-warm, or be whatever suits the loads",
            ],
            Self::NoEnd => [
                "a used refresh token still works, even after its successor was used; no end of that was seen",
                "a lost reply is made good by asking again. REFRESH_POLICY may stay keep-warm, or be whatever suits the loads",
            ],
            Self::Untold => [
                "how long a used refresh token works was not found out",
                "reckon with the worst, that a lost reply costs the chain: set REFRESH_POLICY=on-demand where loads run a few times a day",
            ],
        }
    }
}

impl Previous {
    /// In a word or two.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Dead => "dead",
            Self::Hidden => "hidden by the 570 s",
            Self::Untold => "not told",
        }
    }
}

/// How the time that Exact gives an access token compares with what the settings are made for.
#[must_use]
pub fn lifetime(expires_in: SignedDuration) -> String {
    match (expires_in - RENEWAL_WINDOW).as_secs() {
        570 => "nothing to set".to_owned(),
        gate => {
            format!("nothing to set: the program refreshes {gate} s after a grant then; but the checks above were timed for 570 s, so doubt them")
        }
    }
}
