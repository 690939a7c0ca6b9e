//! Who asks for tokens: singly, in bursts, with more and less patience; and what is asked of the answers.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use exact_token_broker::get_token::{Ask, HandedOut, NoToken};
use exact_token_broker::token::schedule::{Answer, answer};
use jiff::{SignedDuration, Timestamp};
use simulators::exact_online::MARKER;

use super::App;
use super::process::{Process, Served};
use crate::random::Random;
use crate::world::State;

/// A call may take this much longer than it was told: a look at the store.
const LONGER: Duration = Duration::from_secs(4);
/// Storage time is known to the second, and Exact counts from when it granted.
const CLOCKS: SignedDuration = SignedDuration::from_millis(2_500);

/// A token's life is over by then, whoever was frozen when it began.
const MAY_BE_COUNTED_FROM: SignedDuration = SignedDuration::from_mins(20);

/// Single calls.
pub async fn trickle(app: Arc<App>) {
    let Some(mean) = app.scenario.callers.trickle else { return };
    let mut random = Random::new(app.scenario.seed ^ 1);
    loop {
        let wait = random.until_next(mean);
        tokio::time::sleep(wait).await;
        call_one(&app, &mut random);
    }
}

/// Many at once: a pipeline that fans out.
pub async fn bursts(app: Arc<App>) {
    let Some(mean) = app.scenario.callers.burst else { return };
    let mut random = Random::new(app.scenario.seed ^ 2);
    loop {
        let wait = random.until_next(mean);
        tokio::time::sleep(wait).await;
        for _ in 0..random.between(2, 20) {
            call_one(&app, &mut random);
        }
    }
}

fn call_one(app: &Arc<App>, random: &mut Random) {
    let serving = app.serving();
    if serving.is_empty() {
        return;
    }
    let process = Arc::clone(random.pick(&serving));
    let (least, most): (&[i64], &[i64]) =
        if app.scenario.callers.plain { (&[60], &[200]) } else { (&[0, 30, 60, 60, 60, 300, 540], &[0, 5, 30, 200, 200]) };
    let ask = Ask { min_validity: SignedDuration::from_secs(*random.pick(least)), max_wait: SignedDuration::from_secs(*random.pick(most)) };
    let app = Arc::clone(app);
    tokio::spawn(async move { drop(call(&app, &process, ask).await) });
}

/// One call, watched. None: its process stopped.
pub async fn call(app: &App, process: &Arc<Process>, ask: Ask) -> Option<Result<HandedOut, NoToken>> {
    let begun = app.now();
    let run = app.world.state().begin_run(process.id, false, begun);
    let refresher = Arc::clone(&process.refresher);
    let ran = process.run(async move {
        let answer = refresher.get_token(ask).await;
        // What was at hand at the moment of the answer, not a step later.
        (answer, refresher.view())
    });
    let (answered, view) = tokio::select! {
        biased;
        ended = ran => ended.ok()?,
        () = process.control.death() => return None,
        () = tokio::time::sleep(Duration::from_mins(20)) => {
            if !process.control.was_frozen_since(begun) {
                let now = app.now();
                app.world.state().broke(now, process.id, "I9 a call is never answered");
            }
            return None;
        }
    };
    let now = app.now();
    let refused_at_hand = answered.is_err() && matches!(answer(view.servable.as_deref(), view.served_at, ask.min_validity), Answer::Token { .. });
    let what = check(app, process, ask, now, &answered, refused_at_hand);
    let mut state = app.world.state();
    state.end_run(run, now);
    if let Ok(token) = &answered {
        let epoch = view.ledger.as_ref().map_or(0, |ledger| ledger.epoch);
        let ends = now + SignedDuration::from_secs(token.expires_in);
        let served = Served { token: token.access_token.clone(), epoch, ends };
        *process.served.lock().unwrap_or_else(PoisonError::into_inner) = Some(served);
    }
    state.facts.calls += 1;
    state.facts.served += u64::from(answered.is_ok());
    let (least, most) = (ask.min_validity.as_secs(), ask.max_wait.as_secs());
    state.note(now, process.id, &format!("a caller who wants {least} s within {most} s gets {}", told(&answered)));
    if process.control.was_frozen_since(begun) {
        return Some(answered);
    }
    let took = now.duration_since(begun).unsigned_abs();
    if took > Duration::try_from(ask.max_wait).unwrap_or(Duration::ZERO) + LONGER {
        state.broke(now, process.id, "I9 a call takes longer than it may");
    }
    if let Some(what) = what {
        state.broke(now, process.id, what);
    }
    Some(answered)
}

/// What is wrong with an answer.
fn check(app: &App, process: &Process, ask: Ask, now: Timestamp, answered: &Result<HandedOut, NoToken>, at_hand: bool) -> Option<&'static str> {
    let state = app.world.state();
    match answered {
        Ok(token) => {
            let insisted = ask.min_validity.min(SignedDuration::from_secs(540)).max(SignedDuration::from_secs(1));
            // A wild clock is put right by the first reply of the blob service; without one nobody can: what is dead for half a minute seems to live.
            let wild = process.clock.is_wild();
            let off = if wild { SignedDuration::from_secs(31) } else { CLOCKS };
            let untold = wild && state.processes.get(&process.id).is_some_and(|seen| !seen.told_the_time);
            let floor = if untold { now - off } else { now };
            let least = (now + insisted - off).max(floor);
            let told = (now + SignedDuration::from_secs(token.expires_in) - off).max(floor);
            let access = token.access_token.reveal();
            if !state.exact.is_alive(access, now - off) {
                Some("I7 a dead token was handed out")
            } else if !state.exact.is_alive(access, least.min(told) - SignedDuration::from_millis(1)) {
                Some("I7 a token was handed out with less life than was asked for")
            } else if token.warnings.iter().any(|warning| warning.contains(MARKER)) {
                Some("I5 a secret in a warning")
            } else {
                None
            }
        }
        Err(_) if at_hand || still_good(&state, process, ask, now) => Some("I7 a caller was refused whom the token at hand would satisfy"),
        Err(NoToken::ServerError(text) | NoToken::Unavailable { why: text, .. }) if text.is_empty() || text.contains(MARKER) => {
            Some("I5 or I9 a refusal says nothing, or a secret")
        }
        Err(NoToken::ConsentRequired(needed)) if needed.to_string().contains(MARKER) => Some("I5 a secret in a refusal"),
        Err(_) => None,
    }
}

/// I8: what this process handed out before lives long enough, and no person has put another chain in its place.
fn still_good(state: &State, process: &Process, ask: Ask, now: Timestamp) -> bool {
    let served = process.served.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Served { token, epoch, ends }) = &*served else { return false };
    let insisted = ask.min_validity.min(SignedDuration::from_secs(540)).max(SignedDuration::from_secs(1));
    let same_epoch = state.ledger().is_some_and(|ledger| ledger.epoch == *epoch);
    // The end is cautious: counted from when the request was sent, by a clock that may be off, and by one who may have been frozen on the way.
    let frozen = state.processes.values().any(|seen| seen.control.was_frozen_between(now - MAY_BE_COUNTED_FROM, now));
    let by_its_word = *ends >= now + insisted + SignedDuration::from_secs(1);
    let by_exact = !frozen && state.exact.is_alive(token.reveal(), now + insisted + SignedDuration::from_secs(10));
    same_epoch && !process.clock.is_wild() && state.exact.is_alive(token.reveal(), now + insisted) && (by_its_word || by_exact)
}

fn told(answered: &Result<HandedOut, NoToken>) -> String {
    match answered {
        Ok(token) => format!("one for {} s", token.expires_in),
        Err(NoToken::ConsentRequired(_)) => "consent_required".to_owned(),
        Err(NoToken::ServerError(_)) => "server_error".to_owned(),
        Err(NoToken::Unavailable { retry_after, .. }) => format!("none, again in {retry_after} s"),
    }
}
