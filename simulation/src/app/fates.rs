//! What befalls processes and services: started, scaled in, restarted, killed, frozen; and the blows of the weather.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::control::Stop;
use crate::random::Random;
use crate::world::SECRET_NAME;
use crate::world::weather::Blow;

/// A pass of no more than this many steps is hit anywhere.
const STEPS: u64 = 160;
/// For so long a process is waited for to send something, and then for another to send the same.
const TO_SEND: Duration = Duration::from_mins(20);
const FROZEN_AT_MOST: Duration = Duration::from_mins(10);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// From the grant to the first durable write there are fewer.
const STEPS_AFTER_GRANT: u64 = 14;

/// Starts and scales in, until faults stop. There is always at least one process soon.
pub async fn scale(app: Arc<App>) {
    let mut random = Random::new(app.scenario.seed ^ 3);
    loop {
        let wait = app.scenario.fates.scaled.map_or(Duration::from_hours(1), |mean| random.until_next(mean));
        tokio::time::sleep(wait).await;
        if !app.is_rough() || app.scenario.fates.scaled.is_none() {
            continue;
        }
        let serving = app.serving();
        let grace = random.seconds(0, 60);
        match random.below(3) {
            0 if serving.len() as u64 <= app.scenario.fates.most => drop(app.start(&mut random, false)),
            1 if serving.len() > 1 => random.pick(&serving).retire(grace),
            // A restart: the new one lives beside the old one for a while.
            2 if !serving.is_empty() => {
                app.start(&mut random, false);
                random.pick(&serving).retire(grace);
            }
            _ => {}
        }
    }
}

/// The host puts another process in the place of the last one.
pub async fn supervise(app: Arc<App>) {
    let mut random = Random::new(app.scenario.seed ^ 4);
    loop {
        if app.serving().is_empty() {
            let wait = random.seconds(0, 40);
            tokio::time::sleep(wait).await;
            if app.serving().is_empty() {
                app.start(&mut random, false);
            }
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// Kills.
pub async fn kill(app: Arc<App>) {
    let Some(mean) = app.scenario.fates.killed else { return };
    let mut random = Random::new(app.scenario.seed ^ 5);
    while app.is_rough() {
        let wait = random.until_next(mean);
        tokio::time::sleep(wait).await;
        let alive = app.alive();
        if alive.is_empty() || !app.is_rough() {
            continue;
        }
        let control = &random.pick(&alive).control;
        if random.chance(1_500) {
            control.stop_after_grant(random.below(STEPS_AFTER_GRANT), Stop::Kill);
        } else {
            control.stop_in(random.below(STEPS), Stop::Kill);
        }
    }
}

/// Freezes, for up to ten minutes.
pub async fn freeze(app: Arc<App>) {
    let Some(mean) = app.scenario.fates.frozen else { return };
    let mut random = Random::new(app.scenario.seed ^ 6);
    while app.is_rough() {
        let wait = random.until_next(mean);
        tokio::time::sleep(wait).await;
        let alive = app.alive();
        if alive.is_empty() || !app.is_rough() {
            continue;
        }
        let control = Arc::clone(&random.pick(&alive).control);
        if random.chance(2_000) {
            control.stop_after_grant(random.below(STEPS_AFTER_GRANT), Stop::Freeze);
        } else {
            control.stop_in(random.below(STEPS), Stop::Freeze);
        }
        let lasts = random.seconds(1, *random.clone().pick(&[5, 70, 200, 600]));
        let calm = app.scenario.calm_from;
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            // Steps come when there is work.
            tokio::select! {
                biased;
                () = control.stop() => {}
                () = app.world.time.reach(calm) => {}
            }
            let until = (app.now() + lasts).min(calm);
            app.world.time.reach(until).await;
            control.disarm();
            control.thaw();
        });
    }
}

/// Freezes a process right before its request to Exact leaves, and lets it go on when another has asked with the same token: then two are on
/// their way at once.
pub async fn at_the_socket(app: Arc<App>) {
    let Some(mean) = app.scenario.fates.at_the_socket else { return };
    let mut random = Random::new(app.scenario.seed ^ 0xc);
    let calm = app.scenario.calm_from;
    while app.is_rough() {
        let wait = random.until_next(mean);
        tokio::time::sleep(wait).await;
        let alive = app.alive();
        if alive.is_empty() || !app.is_rough() {
            continue;
        }
        let control = Arc::clone(&random.pick(&alive).control);
        control.freeze_before_sending();
        tokio::select! {
            biased;
            () = control.stop() => {}
            () = tokio::time::sleep(TO_SEND) => {}
            () = app.world.time.reach(calm) => {}
        }
        if app.world.state().at_the_socket.is_none() {
            control.disarm();
            continue;
        }
        let until = (app.now() + FROZEN_AT_MOST).min(calm);
        while control.is_frozen() && app.now() < until && app.world.state().at_the_socket.as_ref().is_some_and(|waits| !waits.met) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(random.millis(0, 1_500)).await;
        app.world.state().at_the_socket = None;
        control.disarm();
        control.thaw();
    }
}

/// What befalls the services at once.
pub async fn blows(app: Arc<App>) {
    let mut blows = app.scenario.weather.blows.clone();
    blows.sort_by_key(|(at, _)| *at);
    for (at, blow) in blows {
        app.world.time.reach(at).await;
        let now = app.now();
        let mut state = app.world.state();
        state.note(now, 0, &format!("{blow:?}"));
        state.strike(now, 0);
        match blow {
            Blow::Revoked => {
                state.identity += 1;
                state.facts.count("identity revoked");
            }
            Blow::LeaseBroken => {
                state.blob.break_leases();
                state.lease_broken = Some(now);
                state.facts.count("lease broken");
            }
            Blow::RolledBack(returns) => {
                if state.vault.versions(SECRET_NAME).len() < 2 {
                    continue;
                }
                let lost = state.vault.roll_back(SECRET_NAME, 1);
                let tokens = lost.iter().filter_map(|version| exact_token_broker::stored::credential_from_json(&version.value).ok());
                let tokens: Vec<String> = tokens.map(|credential| credential.refresh_token.reveal().to_owned()).collect();
                for token in &tokens {
                    state.oracle.rolled_back(token);
                }
                state.facts.count("vault rolled back");
                if let Some(after) = returns {
                    let world = app.world.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        let now = world.time.now();
                        let mut state = world.state();
                        state.note(now, 0, "the vault has caught up");
                        state.vault.catch_up(SECRET_NAME, lost);
                        for token in &tokens {
                            state.oracle.caught_up(token);
                        }
                    });
                }
                state.judge(now);
            }
        }
    }
}
