//! Nothing is ever deleted: a list of the versions takes longer every day.

use std::time::Duration;

use exact_token_broker::azure::key_vault::{CALL_WITHIN, LIST_WITHIN};
use exact_token_broker::refresh_token::bounded::{LIST_CALL, STORE_CALL};
use simulators::exact_online::Delivery;
use simulators::key_vault::{Fault, Operation};

use crate::world::{NAME, Process, World, world};

// The error that a person reads is the adapter's, not that of whoever gave it up.
const _: () = assert!(CALL_WITHIN.as_secs() < STORE_CALL.as_secs() && LIST_WITHIN.as_secs() < LIST_CALL.as_secs());

fn plant(w: &World, count: usize) {
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    for n in 0..count {
        w.vault.rules().plant(now, NAME, "{}", &[("attempt", &format!("attempt-{n}"))]);
    }
}

/// 160 pages of which each takes a while: more than any other call may take.
#[tokio::test]
async fn a_list_of_many_slow_pages_is_whole() {
    let w = world().await;
    let mut p = w.process().await;
    plant(&w, 4_000);
    w.vault.rules().always(Some(Fault::EffectThen(Delivery::After(Duration::from_millis(170)))));
    let answer = p.ask("list").await;
    assert_eq!(answer["ok"].as_array().map(Vec::len), Some(4_000), "{}", answer["text"]);
    let took = answer["ms"].as_u64().unwrap();
    assert!(u128::from(took) > CALL_WITHIN.as_millis(), "{took} ms");
    println!("measured: a list of 4,000 versions with pages of 170 ms took {took} ms");
    w.assert_well_behaved();
}

/// Of a vault that says nothing more, a list is given up as soon as any other call.
#[tokio::test]
async fn a_list_that_stops_in_the_middle_is_given_up() {
    let w = world().await;
    let mut p = w.process().await;
    plant(&w, 100);
    w.vault.rules().script(Some(Operation::ListVersions), Fault::Pass);
    w.vault.rules().script(Some(Operation::ListVersions), Fault::Pass);
    w.vault.rules().always(Some(Fault::NoEffect(Delivery::Never)));
    let answer = p.ask("list").await;
    Process::assert_error(&answer, "Unavailable", &["no answer from Key Vault in time"]);
    let took = u128::from(answer["ms"].as_u64().unwrap());
    assert!(took < CALL_WITHIN.as_millis() + 5_000, "{took} ms");
}
