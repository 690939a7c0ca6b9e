//! Crashes, enumerated: the pass is killed at every step × every way in which a call of a port can fail × what Exact does about the previous token
//! × how long it takes until the next process starts.
//!
//! Afterwards the next process must *go on*: serve a living token from a living chain, or truthfully say `consent_required`, and that only where
//! the oracle (Exact's own rules, asked at the moment of the loss) says that no stored token could ever be granted again, and the cause is one of
//! those that nobody can close: a process killed between Exact's reply and the first durable write, or a reply that was lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::token::Secret;
use jiff::SignedDuration;
use simulators::exact_online::{Config, Grace};

use super::life::{Fault, HOWS, How, Plan, live};
use super::world::World;

/// The host fires the timer this often.
const TICK_EVERY: i64 = 540;
/// The host kills at this age of a tick.
const FUNCTION_TIMEOUT: u64 = 600;
/// How long the next process is watched: for one whose requests of an hour were spent on aims, until the hour gives the next.
const WATCHED_TICKS: usize = 8;

const GRACES: [(&str, Grace); 3] = [("no grace", Grace::None), ("grace 600 s", Grace::Seconds(600)), ("until new used", Grace::UntilNewUsed)];
const RESTARTS: [(&str, i64); 3] = [("at once", 0), ("61 s", 61), ("11 min", 660)];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Served,
    /// `consent_required`, and rightly so.
    Consent,
    /// Anything else. A defect.
    Defect,
}

struct Cell {
    verdict: Verdict,
    killed: bool,
    told: String,
}

/// A chain in its ordinary state: a pair that was granted 560 s ago, so that the tick holds 10 s and then refreshes.
pub(crate) fn ordinary_world(grace: Grace) -> World {
    let world = World::new(Config { grace, ..Config::default() });
    let first = {
        let mut state = world.state();
        let now = state.now;
        state.exact.issue_chain(now)
    };
    let prepared = live(&world, &Plan::new(None, None), |refresher, _| async move {
        refresher.import(Secret::new(first), false).await.unwrap();
        assert!(!refresher.tick().await.failed);
        tokio::time::sleep(Duration::from_secs(560)).await;
    });
    assert!(prepared.is_some());
    world
}

fn cell(grace: Grace, fault: Option<Fault>, kill_at: Option<usize>, restart: i64) -> Cell {
    let world = ordinary_world(grace);
    let plan = Plan::new(kill_at, fault);
    let stored_before = world.state().versions.len();

    // The first life: one tick, killed at a step, or by the host when it hangs. A tick that ends is followed by the next one.
    let schedule = world.state().now;
    let ended =
        live(
            &world,
            &plan,
            |refresher, _| async move { tokio::time::timeout(Duration::from_secs(FUNCTION_TIMEOUT), refresher.tick()).await.is_ok() },
        );
    let killed = plan.died();
    let restart = if ended == Some(true) { 0 } else { restart };

    // What nobody could do better: all that Exact would still take is lost.
    let (lost, lost_between_reply_and_store) = {
        let state = world.state();
        let now = state.now + SignedDuration::from_secs(restart);
        let newest = state.exact.newest_refresh_token().map(str::to_owned);
        let newest_is_stored = state.versions.values().any(|(_, credential)| Some(credential.refresh_token.reveal()) == newest.as_deref());
        (!state.stored_chain_lives(now), !newest_is_stored)
    };
    world.state().now += SignedDuration::from_secs(restart);

    // The next life, in which all is well again. A tick that did not complete is past due and fired at once.
    let answer = live(&world, &Plan::new(None, None), |refresher, doubles| async move {
        if ended != Some(true) {
            refresher.tick().await;
        }
        for _ in 0..WATCHED_TICKS {
            let since = doubles.true_now().duration_since(schedule).as_secs();
            let rest = TICK_EVERY - since.rem_euclid(TICK_EVERY);
            tokio::time::sleep(Duration::from_secs(rest.unsigned_abs())).await;
            refresher.tick().await;
        }
        let answer = refresher.get_token(Ask::default()).await;
        let now = doubles.true_now();
        (answer, now)
    });
    let (answer, now) = answer.expect("the next life is not killed");
    let state = world.state();
    assert!(state.exact.violations().is_empty(), "{:?}", state.exact.violations());
    assert!(state.exact.max_ungranted_in_an_hour() <= 9);
    assert!(state.versions.len() >= stored_before, "I6");
    let (verdict, told) = match answer {
        Ok(token) if !state.exact.is_alive(token.access_token.reveal(), now) => (Verdict::Defect, "a dead token was handed out".to_owned()),
        Ok(_) if !state.stored_chain_lives(now) => (Verdict::Defect, "served from a chain that is dead".to_owned()),
        Ok(_) => (Verdict::Served, String::new()),
        Err(NoToken::ConsentRequired(_)) if lost && lost_between_reply_and_store => (Verdict::Consent, String::new()),
        Err(problem) => (Verdict::Defect, format!("{problem:?}, chain lost: {lost}, between reply and store: {lost_between_reply_and_store}")),
    };
    Cell { verdict, killed, told }
}

/// The calls that an undisturbed tick makes: each of them is made to fail.
fn faults() -> Vec<Option<Fault>> {
    let world = ordinary_world(Grace::None);
    let plan = Plan::new(None, None);
    live(&world, &plan, |refresher, _| async move { refresher.tick().await });
    let mut counted = BTreeMap::new();
    let mut faults = vec![None];
    for op in plan.calls() {
        let nth = counted.entry(op).or_insert(0);
        faults.extend(HOWS.map(|how| Some(Fault { op, nth: *nth, how })));
        *nth += 1;
    }
    faults
}

fn name(fault: Option<Fault>) -> String {
    let Some(Fault { op, nth, how }) = fault else { return "nothing fails".to_owned() };
    let how = match how {
        How::Before => "fails before its effect",
        How::After => "takes effect, confirmation lost",
        How::Slow => "takes 20 s",
        How::Late => "lands after 40 s",
        How::Never => "never answers",
    };
    format!("{op} #{} {how}", nth + 1)
}

#[test]
fn the_next_process_goes_on_wherever_the_last_was_killed() {
    let mut table = String::from(
        "# S: serves again. C: says consent_required, where nobody could do better. One letter per step at which the process is killed; the first is not killed.\n",
    );
    let (mut cells, mut consents) = (0, 0);
    let mut defects = Vec::new();
    for fault in faults() {
        let _ = writeln!(table, "\n{}", name(fault));
        for (grace_name, grace) in GRACES {
            for (restart_name, restart) in RESTARTS {
                let mut row = String::new();
                for kill_at in std::iter::once(None).chain((1..).map(Some)) {
                    let cell = cell(grace, fault, kill_at, restart);
                    if kill_at.is_some() && !cell.killed {
                        break;
                    }
                    cells += 1;
                    row.push(match cell.verdict {
                        Verdict::Served => 'S',
                        Verdict::Consent => 'C',
                        Verdict::Defect => 'X',
                    });
                    consents += usize::from(cell.verdict == Verdict::Consent);
                    if cell.verdict == Verdict::Defect {
                        defects.push(format!("{} | {grace_name} | restart {restart_name} | killed at {kill_at:?}: {}", name(fault), cell.told));
                    }
                }
                let _ = writeln!(table, "  {grace_name:14} | restart {restart_name:7} | {row}");
            }
        }
    }
    println!("crash matrix: {cells} cells, {consents} of them end in consent_required where nobody could do better");
    assert!(defects.is_empty(), "{} of {cells} cells:\n{}", defects.len(), defects.join("\n"));
    expect_test::expect_file!["crash_matrix.txt"].assert_eq(&table);
}
