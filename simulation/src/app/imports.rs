//! A token from elsewhere: at first, in place of what nobody can use any more, or beside it all. The log-in that it came from has ended the chain
//! before, so until it is taken over it is in nobody's hands but a person's.

use std::sync::Arc;
use std::time::Duration;

use exact_token_broker::consent::ImportError;
use exact_token_broker::token::Secret;

use super::App;
use super::people::in_time;
use super::process::Process;
use crate::world::oracle::Made;

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(20);

/// What a person has who has logged in elsewhere.
#[derive(Debug)]
pub struct Elsewhere {
    token: String,
    /// As the status told it before.
    epoch: u64,
}

/// Logs in and lets another program make a chain: whatever there was is dead from now on.
pub fn log_in(app: &App) -> Elsewhere {
    let now = app.now();
    let mut state = app.world.state();
    let token = state.exact.issue_chain(now);
    let epoch = state.ledger().map_or(0, |ledger| ledger.epoch);
    let ordinal = state.oracle.made.len() + 1;
    state.note(now, 0, &format!("a person has got r{ordinal} elsewhere"));
    state.oracle.lost = None;
    state.oracle.with_a_person = Some(token.clone());
    state.oracle.made(Made {
        token: token.clone(),
        ordinal,
        at: now,
        by: None,
        sent: String::new(),
        odd: true,
        arrives: None,
        received: None,
        stored: false,
        ignored: false,
        overlapping: false,
    });
    Elsewhere { token, epoch }
}

/// Imports it, again and again until it is taken over, each time through the process that is named then.
pub async fn bring(app: &App, elsewhere: &Elsewhere, mut through: impl FnMut() -> Option<Arc<Process>>) {
    let mut unsure = false;
    loop {
        if let Some(process) = through() {
            // One who was told to look at the status first does so, and one who heard nothing: a token that is used already would be put in the place
            // of its successor.
            let taken_over = if unsure { is_taken_over(&process, elsewhere).await } else { Some(false) };
            let imported = if taken_over == Some(false) { import(&process, elsewhere).await } else { None };
            if taken_over == Some(true) || imported == Some(Ok(())) {
                let now = app.now();
                let mut state = app.world.state();
                state.oracle.with_a_person = None;
                let line = format!("a person has imported {}", state.oracle.name(&elsewhere.token));
                return state.note(now, process.id, &line);
            }
            unsure = matches!(imported, None | Some(Err(ImportError::Unclear)));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// None: a person hears nothing.
async fn import(process: &Process, elsewhere: &Elsewhere) -> Option<Result<(), ImportError>> {
    let (refresher, token) = (Arc::clone(&process.refresher), Secret::new(elsewhere.token.clone()));
    in_time(process, async move { refresher.import(token, true).await.map(|_| ()) }).await
}

/// Whether the status shows another epoch than before. None: it shows nothing that was read just now.
async fn is_taken_over(process: &Process, elsewhere: &Elsewhere) -> Option<bool> {
    let refresher = Arc::clone(&process.refresher);
    in_time(process, async move { refresher.look().await }).await?.ok()?;
    let ledger = process.refresher.view().ledger?;
    Some(ledger.epoch > elsewhere.epoch)
}
