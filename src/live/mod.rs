//! What nobody knows of Exact Online yet, found out on a chain that nobody needs: how long a refresh token works after its use, and whether the 570 s
//! come before the look at the token.
//!
//! Nothing here runs by itself, and nothing here can write to a store: a [`TokenProbe`] and a [`Clock`] are all that an experiment has. Reading order:
//! [`step`] and [`plan`] (what is asked, and when), [`finding`] (what follows from the answers), `report` (the text), [`guard`] (what it must not run on).

pub mod finding;
pub mod guard;
pub mod plan;
mod report;
pub mod step;

pub use report::clock;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::ports::{Clock, Looks, Probed, TokenProbe};
use crate::token::{Reply, Secret};
use finding::Findings;
use plan::{Ended, Next, Plan};
use step::{Asked, Step};

/// Minutes that an experiment takes, if no reply is odd.
pub const MINUTES: [i64; 2] = [19, 60];
/// Token requests that it makes, if no reply is odd.
pub const REQUESTS: [usize; 2] = [9, 13];

/// No single wait is longer.
const PIECE: SignedDuration = SignedDuration::from_secs(1);

/// One run.
pub struct Experiment {
    /// Exact Online.
    pub probe: Arc<dyn TokenProbe>,
    /// This machine's.
    pub clock: Arc<dyn Clock>,
}

/// With what it begins.
pub enum Start {
    /// A refresh token of unknown age.
    Token(Secret),
    /// The code of a log-in, and the redirect URI that it was got with.
    Code(Secret, String),
}

/// What is told while it runs.
pub enum Event<'a> {
    /// The next question has its time.
    Waiting {
        /// Which.
        step: Step,
        /// Since the beginning.
        until: SignedDuration,
        /// How many questions are left, this one among them; at most, if no reply is odd.
        left: usize,
    },
    /// A question has its answer.
    Answered(&'a Record),
    /// There is a newer refresh token.
    NewToken(&'a Secret),
    /// It was interrupted while a request was under way, which is finished first.
    Finishing,
}

/// One question, its answer, and what the reply looked like.
#[derive(Clone, Debug)]
pub struct Record {
    /// Question and answer.
    pub asked: Asked,
    /// Since the beginning.
    pub at: SignedDuration,
    /// None where no reply came.
    pub looks: Option<Looks>,
}

/// Everything that was asked and found out. Its `Display` is the report, without any secret.
#[derive(Debug)]
pub struct Report {
    /// In order.
    pub records: Vec<Record>,
    /// What follows.
    pub findings: Findings,
    /// Why no more was asked.
    pub ended: Ended,
    /// What was not asked.
    pub left: Vec<Step>,
    /// The life that Exact gave the last access token.
    pub expires_in: Option<SignedDuration>,
}

impl Experiment {
    /// Asks until all is asked, or until `interruption`: then a request that is under way is waited for, at most 100 s.
    pub async fn run(&self, start: Start, interruption: impl Future<Output = ()>, tell: &mut (dyn FnMut(Event<'_>) + Send)) -> Report {
        let began = self.clock.now();
        let (mut plan, redirect_uri) = match start {
            Start::Token(token) => (Plan::with_token(token, began), String::new()),
            Start::Code(code, redirect_uri) => (Plan::with_code(code, began), redirect_uri),
        };
        let (mut interruption, mut interrupted) = (pin!(interruption), false);
        let (mut records, mut expires_in) = (Vec::new(), None);
        loop {
            let (until, step) = match plan.next(self.clock.now()) {
                Next::Done(ended) => {
                    let (findings, left) = (Findings::of(plan.asked(), Some(ended)), plan.left());
                    return Report { records, findings, ended, left, expires_in };
                }
                Next::Wait(until, step) => {
                    tell(Event::Waiting { step, until: until.duration_since(began), left: plan.left().len() });
                    (Some(until), step)
                }
                Next::Ask(step) => (None, step),
            };
            tokio::select! {
                biased;
                () = &mut interruption => {
                    plan.interrupt();
                    continue;
                }
                () = self.wait(until) => {}
            }
            if until.is_some() {
                continue;
            }
            plan.asking(self.clock.now());
            let Probed { reply, looks } = {
                let mut asking = pin!(self.ask(step, &plan, &redirect_uri));
                loop {
                    tokio::select! {
                        biased;
                        probed = &mut asking => break probed,
                        () = &mut interruption, if !interrupted => {
                            interrupted = true;
                            tell(Event::Finishing);
                        }
                    }
                }
            };
            if let Reply::Granted(grant) = &reply {
                expires_in = Some(grant.expires_in);
            }
            plan.answered(reply, self.clock.now());
            if let Some(asked) = plan.asked().last() {
                let record = Record { asked: *asked, at: asked.at.duration_since(began), looks };
                tell(Event::Answered(&record));
                if let Some(token) = plan.newest().filter(|_| asked.answer.is_granted()) {
                    tell(Event::NewToken(token));
                }
                records.push(record);
            }
            if interrupted {
                plan.interrupt();
            }
        }
    }

    /// In short pieces: that the machine was asleep, or that its clock was put right, is noticed in time.
    async fn wait(&self, until: Option<Timestamp>) {
        let left = || until.map(|until| until.duration_since(self.clock.now())).filter(SignedDuration::is_positive);
        while let Some(left) = left() {
            self.clock.sleep(left.min(PIECE).unsigned_abs()).await;
        }
    }

    async fn ask(&self, step: Step, plan: &Plan, redirect_uri: &str) -> Probed {
        match step {
            Step::Code => self.probe.probe_code(plan.token(), redirect_uri).await,
            _ => self.probe.probe(plan.token()).await,
        }
    }
}

impl fmt::Debug for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Experiment").finish_non_exhaustive()
    }
}
