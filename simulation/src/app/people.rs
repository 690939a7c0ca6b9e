//! The people: who connects the app at first, who connects it again when it says so or without being asked, and who keeps looking.

use std::sync::Arc;
use std::time::Duration;

use exact_token_broker::consent::{Callback, Finished};
use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::token::Secret;
use exact_token_broker::token::schedule::{Answer, answer};
use jiff::SignedDuration;

use super::App;
use super::callers::call;
use super::imports;
use super::process::Process;
use crate::random::Random;
use crate::world::REDIRECT_URI;

/// The first chain: with a token from elsewhere, or in the browser.
pub async fn connect_first(app: &Arc<App>, process: &Arc<Process>, by_import: bool) {
    if by_import {
        let elsewhere = imports::log_in(app);
        return imports::bring(app, &elsewhere, || Some(Arc::clone(process))).await;
    }
    for _ in 0..20 {
        if consent(app, process).await {
            return;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
}

/// From the button to the new chain. Whether there is one.
pub async fn consent(app: &Arc<App>, process: &Arc<Process>) -> bool {
    app.world.note(process.id, "a person connects");
    let this = Arc::clone(process);
    let Some(Ok(begun)) = in_time(process, async move { this.consent.begin(None).await }).await else { return false };
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (code, state) = {
        let now = app.now();
        let mut state = app.world.state();
        let user = state.exact.config().users[0].id.clone();
        let sent = form_urlencoded::parse(begun.authorize_url.reveal().split_once('?').map_or("", |(_, query)| query).as_bytes())
            .find(|(name, _)| name == "state")
            .map(|(_, value)| Secret::new(value));
        (state.exact.authorize(now, &user, REDIRECT_URI), sent)
    };
    let this = Arc::clone(process);
    let callback = Callback { state, code: Some(Secret::new(code)), error: None, cookie: Some(begun.cookie) };
    let finished = in_time(process, async move { this.consent.finish(callback).await }).await;
    let word = match &finished {
        Some(Ok(Finished::Connected(_))) => "is connected",
        Some(Ok(Finished::Confirm { .. })) => "has to confirm",
        Some(Ok(Finished::LeftAsItWas)) => "leaves it as it was",
        Some(Err(failed)) => {
            app.world.note(process.id, &format!("a person is told: {:?}", std::mem::discriminant(&failed.problem)));
            "is not connected"
        }
        None => "hears nothing",
    };
    app.world.note(process.id, &format!("a person {word}"));
    matches!(finished, Some(Ok(Finished::Connected(_))))
}

/// A browser waits for as long as the front end of Azure does.
pub(super) async fn in_time<T: Send + 'static>(process: &Process, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let ran = process.run(work);
    tokio::select! {
        biased;
        ended = ran => ended.ok(),
        () = tokio::time::sleep(Duration::from_secs(230)) => None,
    }
}

/// Connects again after half an hour of being told that a person is needed; and, in some worlds, without being told. In some they bring a token from
/// elsewhere instead. One after the other: two people who log in at once end each other's chain, and nobody's broker can help that.
pub async fn watch(app: Arc<App>) {
    let mut random = Random::new(app.scenario.seed ^ 7);
    let mut brings = Random::new(app.scenario.seed ^ 0xb);
    let mut told = 0;
    let mut unasked = app.scenario.fates.consents.map(|mean| app.now() + random.until_next(mean));
    let mut import = app.scenario.fates.imports.map(|mean| app.now() + brings.until_next(mean));
    loop {
        tokio::time::sleep(Duration::from_mins(6)).await;
        let serving = app.serving();
        if serving.is_empty() || !app.is_rough() {
            continue;
        }
        let process = Arc::clone(random.pick(&serving));
        let ask = Ask { min_validity: SignedDuration::ZERO, max_wait: SignedDuration::from_secs(5) };
        let answered = call(&app, &process, ask).await;
        told = if matches!(answered, Some(Err(NoToken::ConsentRequired(_) | NoToken::ServerError(_)))) { told + 1 } else { 0 };
        let unasked_now = unasked.is_some_and(|at| at <= app.now());
        let import_now = import.is_some_and(|at| at <= app.now());
        if told < 5 && !unasked_now && !import_now {
            continue;
        }
        if let (Some(mean), true) = (app.scenario.fates.imports, import_now || told >= 5) {
            import = Some(app.now() + brings.until_next(mean));
            if import_now || brings.chance(5_000) {
                app.world.state().facts.count(if told < 5 { "import beside it all" } else { "import because it was asked for" });
                let elsewhere = imports::log_in(&app);
                imports::bring(&app, &elsewhere, || app.serving().first().map(|_| Arc::clone(brings.pick(&app.serving())))).await;
                told = 0;
                continue;
            }
        }
        if let (Some(mean), true) = (app.scenario.fates.consents, unasked_now) {
            unasked = Some(app.now() + random.until_next(mean));
        }
        app.world.state().facts.count(if unasked_now { "consent without being asked" } else { "consent because it was asked for" });
        consent(&app, &process).await;
        told = 0;
    }
}

/// Looks every 15 s whether anywhere a token with a minute to live is at hand.
pub async fn sample(app: Arc<App>) {
    const EVERY: Duration = Duration::from_secs(15);
    let mut gap = Duration::ZERO;
    loop {
        tokio::time::sleep(EVERY).await;
        let warm = app.serving().iter().any(|process| {
            let view = process.refresher.view();
            matches!(answer(view.servable.as_deref(), view.served_at, SignedDuration::from_secs(60)), Answer::Token { .. })
        });
        let now = app.now();
        let mut state = app.world.state();
        state.judge(now);
        let lives = state.oracle.lost.is_none();
        let counted = if warm { &mut state.facts.warm.0 } else { &mut state.facts.warm.1 };
        *counted += u64::from(lives || warm);
        if warm || !lives {
            if gap > Duration::ZERO {
                state.facts.gap(gap);
            }
            gap = Duration::ZERO;
        } else {
            gap += EVERY;
        }
    }
}
