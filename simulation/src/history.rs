//! One history, from its seed to its end.

use std::sync::Arc;
use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::token::ledger::{BUDGET_HOUR, Backoff, BackoffCause, UNGRANTED_AN_HOUR};
use exact_token_broker::token::schedule::Mode;
use exact_token_broker::token::{Fingerprint, Ledger, Secret};
use jiff::{SignedDuration, Timestamp};
use simulators::exact_online::Outcome;
use tracing_subscriber::layer::SubscriberExt;

use crate::app::callers::call;
use crate::app::{App, callers, fates, people, timer};
use crate::ears::Ears;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::world::World;
use crate::world::facts::Facts;

/// From when on it has to serve again, where nothing else allows it later.
const SERVES_WITHIN: SignedDuration = SignedDuration::from_mins(12);
/// After what spent nothing, and after "not expired".
const BACKS_OFF_AT_MOST: SignedDuration = SignedDuration::from_mins(10);

/// How much longer where the head is dead and a candidate lives: two refusals of it, at the pace that the hour's last requests keep.
const PASSED_ON_WITHIN: SignedDuration = SignedDuration::from_mins(20);

/// How much longer it may take to be sure that a chain is dead: two refusals of the head and of each of three candidates are eight requests, all that
/// one hour allows; where some are spent already, the rest waits for the next.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_mins(80);

/// What came of it.
#[derive(Debug)]
pub struct History {
    /// Where it came from.
    pub seed: u64,
    /// What was counted.
    pub facts: Facts,
    /// What was promised and not kept, in order.
    pub broken: Vec<String>,
    /// Line by line.
    pub journal: String,
}

impl History {
    fn with(mut self, what: &str) -> Self {
        self.broken.push(what.to_owned());
        self
    }
}

/// Lives through a seed's history.
///
/// # Panics
///
/// If no runtime can be made.
#[must_use]
pub fn live(seed: u64) -> History {
    live_through(Scenario::of(seed))
}

/// Lives through a scenario.
///
/// # Panics
///
/// If no runtime can be made.
#[must_use]
pub fn live_through(scenario: Scenario) -> History {
    let seed = scenario.seed;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime without sockets");
    let ears = Ears::default();
    let subscriber = tracing_subscriber::registry().with(ears.clone());
    let history = tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let world = World::new(&scenario);
            let app = App::new(world.clone(), scenario);
            story(&app).await;
            let mut state = world.state();
            state.facts.histories = 1;
            state.facts.seconds = world.time.elapsed().as_secs();
            // The processes know the world, and the world them.
            let processes = std::mem::take(&mut state.processes);
            let history = History {
                seed,
                facts: std::mem::take(&mut state.facts),
                broken: std::mem::take(&mut state.broken),
                journal: state.journal.text().to_owned(),
            };
            drop(state);
            drop(processes);
            history
        })
    });
    let history = if ears.heard_a_secret() { history.with("I5 a secret in the log") } else { history };
    runtime.shutdown_background();
    history
}

async fn story(app: &Arc<App>) {
    let mut random = Random::new(app.scenario.seed ^ 8);
    let first = app.start(&mut random, false);
    for _ in 1..random.between(1, app.scenario.fates.most.min(3)) {
        app.start(&mut random, false);
    }
    let misplaced = app.scenario.fates.misplaced.then(|| app.start(&mut random, true));
    let by_import = random.chance(6_000);
    people::connect_first(app, &first, by_import).await;
    tokio::spawn(timer::run(Arc::clone(app)));
    if let Some(misplaced) = misplaced {
        tokio::spawn(timer::run_elsewhere(Arc::clone(app), misplaced));
    }
    tokio::spawn(callers::trickle(Arc::clone(app)));
    tokio::spawn(callers::bursts(Arc::clone(app)));
    tokio::spawn(fates::scale(Arc::clone(app)));
    tokio::spawn(fates::supervise(Arc::clone(app)));
    tokio::spawn(fates::kill(Arc::clone(app)));
    tokio::spawn(fates::freeze(Arc::clone(app)));
    tokio::spawn(fates::at_the_socket(Arc::clone(app)));
    tokio::spawn(fates::blows(Arc::clone(app)));
    // Where nothing is lost nobody has to connect again, and only the calls that are asked about count.
    if !app.scenario.callers.plain {
        tokio::spawn(people::watch(Arc::clone(app)));
    }
    tokio::spawn(people::sample(Arc::clone(app)));
    app.world.time.reach(app.scenario.calm_from).await;
    app.world.note(0, "faults stop");
    for process in app.alive() {
        process.control.disarm();
        process.control.thaw();
    }
    aftermath(app, &mut random).await;
    // What has begun has time to end, and is still watched.
    tokio::time::sleep(Duration::from_mins(2)).await;
    last_look(app);
}

/// It serves again in time, or the chain is dead and it says so.
async fn aftermath(app: &Arc<App>, random: &mut Random) {
    let from = app.scenario.calm_from;
    let by = app.world.state().serves_by(from);
    loop {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let serving = app.serving();
        if serving.is_empty() {
            continue;
        }
        let process = Arc::clone(random.pick(&serving));
        // On demand nobody holds; a caller who waits is what makes it refresh.
        let patience = if app.scenario.mode == Mode::OnDemand { 200 } else { 30 };
        let answered = call(app, &process, Ask { min_validity: SignedDuration::from_secs(60), max_wait: SignedDuration::from_secs(patience) }).await;
        let now = app.now();
        let mut state = app.world.state();
        let after = now.duration_since(from).unsigned_abs().as_secs();
        let dead = !state.chain_lives(now);
        match answered {
            Some(Ok(_)) => {
                *state.facts.recovered.entry(after).or_default() += 1;
                return;
            }
            Some(Err(NoToken::ConsentRequired(_))) if dead => {
                state.facts.count("consent_required where the chain is dead");
                return;
            }
            Some(Err(NoToken::ConsentRequired(_))) if now > by && state.only_a_consent_lives(now) => {
                state.facts.count("consent_required although an interrupted consent is stored");
                return;
            }
            Some(Err(NoToken::ConsentRequired(_))) if now > by && state.only_an_overlap_lives(now) => {
                state.facts.count("consent_required although an overlapping grant is stored");
                return;
            }
            // Nobody but a person can help where the vault has lost the head for good; the text says so.
            Some(Err(NoToken::ServerError(_) | NoToken::ConsentRequired(_))) if state.head_is_gone() && now > by => {
                state.facts.count("a person is needed where the vault has lost the head");
                return;
            }
            _ => {}
        }
        if now > if dead { by + TOLD_WITHIN } else { by } {
            let what = if dead { "LIVENESS the chain is dead and nobody is told" } else { "LIVENESS the chain lives and nobody is served" };
            return state.broke(now, process.id, what);
        }
    }
}

/// I3 and I6, for all that has happened.
fn last_look(app: &App) {
    let now = app.now();
    let mut state = app.world.state();
    let alive: Vec<_> = app.alive().iter().map(|process| process.id).collect();
    let settled = now - SignedDuration::from_mins(2);
    let dropped = state.oracle.made.iter().any(|pair| {
        let kept = pair.by.is_some_and(|by| alive.contains(&by)) && pair.received.is_some_and(|at| at < settled);
        kept && !pair.stored
    });
    if dropped {
        state.broke(now, 0, "I3 a grant was received and never stored");
    }
    if !state.vault.violations().is_empty() || !state.exact.violations().is_empty() {
        let what = format!("what no correct client sends: {:?} {:?}", state.vault.violations(), state.exact.violations());
        state.broke(now, 0, &what);
    }
    let early = state.exact.log().iter().filter(|it| it.outcome == Outcome::TooEarly).count() as u64;
    *state.facts.events.entry("requests that were too early".to_owned()).or_default() += early;
}

impl crate::world::State {
    /// Whether the vault has lost the version that the ledger names.
    #[must_use]
    pub fn head_is_gone(&self) -> bool {
        let head = self.ledger().and_then(|ledger| ledger.head);
        head.is_some_and(|head| !self.vault.versions(crate::world::SECRET_NAME).iter().any(|version| version.id == head.version.0))
    }

    /// Whether Exact would still take the token of the version that the ledger names.
    fn head_lives(&self, now: Timestamp) -> bool {
        let head = self.ledger().and_then(|ledger| ledger.head);
        let of = |token: &str| Fingerprint::of(&Secret::new(token));
        head.is_some_and(|head| {
            self.oracle.made.iter().any(|pair| of(&pair.token) == head.fingerprint && self.exact.is_chain_alive(&pair.token, now))
        })
    }

    /// When it has to serve at the latest: 12 minutes after faults stopped, or after what the ledger then says must be waited for.
    #[must_use]
    pub fn serves_by(&self, calm: Timestamp) -> Timestamp {
        let hour = SignedDuration::from_hours(1);
        let Some(ledger) = self.ledger() else { return calm + SERVES_WITHIN };
        let mut allowed = vec![calm];
        // Only Exact can ask for more.
        let most = |backoff: &Backoff| if backoff.cause == BackoffCause::Throttled { backoff.until } else { calm + BACKS_OFF_AT_MOST };
        allowed.extend(ledger.backoff.map(|backoff| backoff.until.min(most(&backoff))));
        allowed.extend(ledger.open.iter().map(|attempt| attempt.quarantine_until));
        allowed.extend(ledger.consents.begun.map(|begun| begun + SignedDuration::from_secs(180)));
        allowed.extend(ledger.misconfigured.map(|problem| problem.last + hour));
        // A full hour, and the pace that keeps it from filling: one request for each ten minutes of it.
        let left = i32::try_from(UNGRANTED_AN_HOUR.saturating_sub(ledger.ungranted_in_hour(calm))).unwrap_or(0);
        let oldest = ledger.ungranted.iter().find(|asked| **asked > calm - BUDGET_HOUR);
        allowed.extend(oldest.map(|oldest| *oldest + BUDGET_HOUR - SignedDuration::from_mins(10) * left));
        allowed.extend(ledger.dead.map(|dead| match dead.probes {
            0 => dead.since + hour,
            1 => dead.since + hour * 6,
            _ => dead.since + hour * 24,
        }));
        let latest = allowed.into_iter().max().unwrap_or(calm).max(calm);
        let passed_on = if self.head_lives(calm) { SignedDuration::ZERO } else { PASSED_ON_WITHIN };
        // What was believed to be refused is tried again an hour after everything else was.
        let given_up = if self.is_wrongly_refused(&ledger, calm) { hour } else { SignedDuration::ZERO };
        latest + SERVES_WITHIN + passed_on + given_up
    }

    /// Whether a token that lives was refused twice: Exact was not itself then.
    fn is_wrongly_refused(&self, ledger: &Ledger, now: Timestamp) -> bool {
        let of = |token: &str| Fingerprint::of(&Secret::new(token));
        let refused = |token: &str| ledger.refusals.iter().any(|refused| refused.fingerprint == of(token) && refused.count >= 2);
        ledger.dead.is_none() && self.oracle.made.iter().any(|pair| refused(&pair.token) && self.exact.is_chain_alive(&pair.token, now))
    }
}
