//! The host's timer: `0 */9 * * * *` to one process at a time. A listener that fails over says nothing for two minutes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::App;
use super::control::Stop;
use super::process::Process;

/// `functionTimeout`: the host kills a process whose invocation takes longer.
const FUNCTION_TIMEOUT: Duration = Duration::from_mins(10);
/// How long nobody listens when the listener is gone.
const FAIL_OVER: Duration = Duration::from_mins(2);
/// A tick ends by itself within this.
const TICK_ENDS: Duration = Duration::from_secs(572);

/// Fires until the history ends.
pub async fn run(app: Arc<App>) {
    let mut random = app.scenario.random.clone().fork();
    let mut listener: Option<Arc<Process>> = None;
    let mut silent_until = app.now();
    let mut fails_over = app.scenario.fates.failed_over.map(|mean| app.now() + random.until_next(mean));
    loop {
        let at = next(app.now(), app.scenario.tick_minutes);
        app.world.time.reach(at).await;
        if let Some(mean) = app.scenario.fates.failed_over
            && fails_over.is_some_and(|at| at <= app.now())
            && app.is_rough()
        {
            fails_over = Some(app.now() + random.until_next(mean));
            listener = None;
        }
        if listener.as_ref().is_none_or(|process| !process.takes_calls()) {
            let serving = app.serving();
            if serving.is_empty() {
                continue;
            }
            // The first listener of all begins at once; another takes over after a while, and what was due meanwhile is not made up for.
            if app.is_rough() && app.world.state().facts.ticks > 0 {
                silent_until = app.now() + random.millis(0, u64::try_from(FAIL_OVER.as_millis()).unwrap_or(0));
                app.world.note(0, "the timer's listener fails over");
                app.world.time.reach(silent_until).await;
            }
            listener = Some(Arc::clone(random.pick(&serving)));
            if silent_until > at {
                continue;
            }
        }
        if let Some(process) = &listener {
            tick(&app, process).await;
        }
    }
}

/// The timer of the installation that should not be there: it looks after the same secret, under a lock of its own.
pub async fn run_elsewhere(app: Arc<App>, process: Arc<Process>) {
    while !process.control.is_dead() {
        let at = next(app.now(), app.scenario.tick_minutes);
        app.world.time.reach(at).await;
        tick(&app, &process).await;
    }
}

/// One tick, for as long as the host lets it run. The next one comes when this one is over.
async fn tick(app: &App, process: &Arc<Process>) {
    let begun = app.now();
    let run = {
        let mut state = app.world.state();
        state.facts.ticks += 1;
        state.begin_run(process.id, true, begun)
    };
    let refresher = Arc::clone(&process.refresher);
    let ran = process.run(async move { refresher.tick().await });
    let ended = tokio::select! {
        biased;
        ended = ran => ended.ok(),
        () = tokio::time::sleep(FUNCTION_TIMEOUT) => None,
        () = process.control.death() => return,
    };
    let now = app.now();
    let mut state = app.world.state();
    state.end_run(run, now);
    if let Some(tick) = ended {
        state.note(now, process.id, &format!("tick {}: {}", if tick.failed { "failed" } else { "went well" }, shown(&tick.line)));
        if tick.line.is_empty() || tick.line.contains(simulators::exact_online::MARKER) {
            state.broke(now, process.id, "I5 or I9 a tick says nothing, or a secret");
        }
        let slow = now.duration_since(begun).unsigned_abs() > TICK_ENDS;
        if slow && !process.control.was_frozen_since(begun) {
            state.broke(now, process.id, "I9 a tick takes longer than 570 s");
        }
        return;
    }
    if !process.control.was_frozen_since(begun) {
        state.broke(now, process.id, "I9 a tick hangs until the host kills it");
    }
    state.note(now, process.id, "the host kills it: functionTimeout");
    drop(state);
    process.control.stop_in(0, Stop::Kill);
}

/// Without what is random in it: the ids of versions.
fn shown(line: &str) -> String {
    line.split("; ").next().unwrap_or_default().chars().take(120).collect()
}

/// The next minute of the hour that is divisible.
#[must_use]
pub fn next(now: Timestamp, minutes: i64) -> Timestamp {
    let minute = now.as_second().div_euclid(60) + 1;
    let next = (minute..minute + minutes).find(|minute| minute.rem_euclid(60) % minutes == 0).unwrap_or(minute);
    Timestamp::from_second(next * 60).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_minutes_and_a_gap_of_six_at_the_full_hour() {
        let mut now: Timestamp = "2026-11-24T04:00:00Z".parse().unwrap();
        let mut minutes = Vec::new();
        for _ in 0..8 {
            now = next(now, 9);
            minutes.push(now.as_second() / 60 % 60);
        }
        assert_eq!(minutes, [9, 18, 27, 36, 45, 54, 0, 9]);
    }
}
