//! What of the store fails, one thing at a time: what is served, what is sent to Exact Online, what is said, and what mends it. `docs/operations.md`
//! is the operator's side of it; where a tick would hold for minutes before it says its line, the line is tested in virtual time
//! (`tests/in_process/{lost_head,unread_ledger,stores}.rs`).
//!
//! | what happened | tests |
//! |---|---|
//! | the ledger's blob or container was deleted, the blob was emptied | `ledger::a_ledger_that_is_gone_…` |
//! | the ledger is damaged, or of a later version | `ledger::a_damaged_ledger_…` |
//! | the vault is back at an older state | `rolled_back` |
//! | the vault takes no writes | `vault::a_vault_that_takes_no_writes_…` |
//! | the vault is down: no connection, 503, silence | `vault::a_vault_that_is_down_…` |
//! | the vault forbids: a role is gone, the identity is revoked | `vault::an_identity_without_…` |
//! | the head was disabled, the secret deleted | `vault::a_version_that_…`, `rolled_back::a_secret_that_…` |
//! | the storage is down: no connection, silence | `storage::a_storage_that_…` |
//! | the storage is read-only, or its signature is over | `storage::a_signature_that_…` |
//! | both are down | `storage::with_both_down_…` |
//! | Exact Online is down | `exact` |
//! | a write to the vault lands late, after a newer one | `order` |
//! | any of it, looked at for secrets | `secrets` |

mod exact;
mod gate;
mod ledger;
mod order;
mod rolled_back;
mod secrets;
mod storage;
mod vault;

use serde_json::Value;
use simulators::functions_host::{FunctionsHost, TimerSample};

use crate::azure::OnAzure;
use crate::stage::{Answer, get_token, until};

/// Where the tokens are.
const NAME: &str = "exact-online-token";

/// A chain with a pair, a process that has it in memory, and its access token.
async fn warm(world: &OnAzure) -> (FunctionsHost, String) {
    let host = world.stage.host().await;
    let token = get_token(&host, "").await.token();
    world.stage.assert_requests(1);
    (host, token)
}

/// The token that is handed out now: it lives, and is another than before.
async fn refreshed(world: &OnAzure, host: &FunctionsHost, before: &str) -> String {
    let token = get_token(host, "").await.token();
    assert!(token != before && world.stage.exact.is_alive(&token));
    token
}

/// What a caller is told who does not wait for the back-off after a failure.
async fn refused(host: &FunctionsHost) -> String {
    for _ in 0..10 {
        let said = get_token(host, "?max_wait=4").await.error(503, "temporarily_unavailable");
        // On a slow machine the failure itself can take longer.
        if !said.contains("it goes on") {
            return said;
        }
    }
    panic!("a refresh that fails at once is still going on");
}

/// What a tick says, and whether it counts as failed.
async fn tick(host: &FunctionsHost) -> (bool, String) {
    let tick = host.fire_timer(&TimerSample::normal()).await.unwrap();
    let body: Value = serde_json::from_slice(&tick.body).unwrap();
    (!tick.verdict.is_success(), body["Logs"][0].as_str().unwrap().to_owned())
}

/// State, whether a token could be handed out, and the sentence for a person. Always from a process that knows nothing yet.
async fn status(world: &OnAzure) -> (String, bool, String) {
    let status = world.stage.status().await;
    let text = |name: &str| status[name].as_str().unwrap().to_owned();
    (text("state"), status["servable"].as_bool().unwrap(), text("summary"))
}

/// The warnings of a 200.
fn warnings(answer: &Answer) -> String {
    answer.token();
    answer.json()["warnings"].to_string()
}

/// Waits for a line in the handler's log.
async fn until_logged(host: &FunctionsHost, text: &str) {
    until(text, || host.console().iter().any(|line| line.text.contains(text))).await;
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}
