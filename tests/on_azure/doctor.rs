//! `doctor` where production is: Azurite, a Key Vault and a managed identity.

use std::collections::BTreeMap;

use serde_json::Value;
use simulators::exact_online::Config;
use simulators::key_vault::{Action, Denial, Fault};

use crate::azure::{OnAzure, SECRET};
use crate::stage::{get_token, with_verdict};

const CHANGE: &str = "token store, change a version";
const ADD: &str = "token store, add a version";

/// With all that Azure sets, and a chain that has brought its first pair.
async fn running() -> OnAzure {
    let mut world = OnAzure::start().await;
    world.stage.set("WEBSITE_HOSTNAME", "made-up.azurewebsites.net");
    world.stage.import().await;
    get_token(&world.stage.host().await, "").await.token();
    world
}

fn says(checks: &BTreeMap<String, Value>, name: &str, parts: &[&str]) {
    let said = format!("{} {}", checks[name]["finding"], checks[name]["remedy"]);
    for part in parts {
        assert!(said.contains(part), "{name}: {part} is not in {said}");
    }
}

#[tokio::test]
async fn where_all_is_well_it_says_so_and_writes_no_more_than_the_proof_needs() {
    let world = running().await;
    let (versions, status) = (world.versions(), world.stage.status().await);
    for round in 1..=2 {
        let (healthy, checks) = world.stage.doctor().await;
        assert!(healthy && with_verdict(&checks, "ok").len() == checks.len(), "{checks:?}");
        assert_eq!(checks.len(), 14, "{checks:?}");
        says(&checks, "versions", &[&versions.to_string()]);
        assert_eq!(world.versions(), versions, "none is added to the tokens");
        assert_eq!(world.vault.rules().versions(&format!("{SECRET}-doctor")).len(), round);
    }
    world.stage.assert_requests(1);
    let after = world.stage.status().await;
    assert_eq!((&after["state"], &after["generation"]), (&"connected".into(), &status["generation"]), "the ledger was not written");
    // The lock was given back: the next refresh has it at once.
    world.set_clocks(575);
    get_token(&world.stage.host().await, "").await.token();
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn before_the_first_token_all_is_well_too() {
    let mut world = OnAzure::start().await;
    world.stage.set("WEBSITE_HOSTNAME", "made-up.azurewebsites.net");
    let (healthy, checks) = world.stage.doctor().await;
    assert!(healthy && with_verdict(&checks, "ok").len() == checks.len(), "{checks:?}");
    assert_eq!(world.stage.status().await["state"], "never_connected");
    world.stage.import().await;
    get_token(&world.stage.host().await, "").await.token();
}

#[tokio::test]
async fn a_vault_that_takes_no_writes_and_one_that_takes_half_of_them() {
    let world = running().await;
    world.vault.rules().read_only(Some(Fault::failed(503)));
    let (healthy, checks) = world.stage.doctor().await;
    assert_eq!((healthy, with_verdict(&checks, "failed")), (false, vec![ADD, CHANGE]), "{checks:?}");
    world.vault.rules().read_only(None);

    for (action, name, right) in [(Action::Update, CHANGE, "secrets/update/action"), (Action::Set, ADD, "secrets/setSecret/action")] {
        world.vault.rules().deny(action, Some(Denial::Rbac));
        let (healthy, checks) = world.stage.doctor().await;
        assert_eq!((healthy, with_verdict(&checks, "failed")), (false, vec![name]), "{checks:?}");
        says(&checks, name, &[right, "docs/operations.md"]);
        world.vault.rules().deny(action, None);
    }
    world.vault.rules().deny(Action::Get, Some(Denial::Firewall));
    let (_, checks) = world.stage.doctor().await;
    assert_eq!(with_verdict(&checks, "failed"), ["token store, read"], "{checks:?}");
    world.vault_is_reachable(false);
    let (_, checks) = world.stage.doctor().await;
    assert_eq!(with_verdict(&checks, "failed"), [ADD, CHANGE, "token store, read", "versions"], "{checks:?}");
    world.stage.assert_requests(1);
}

#[tokio::test]
async fn a_wrong_storage_key_fails_ledger_and_lock_and_not_the_vault() {
    let mut world = running().await;
    let good = world.azurite.connection_string();
    let (before, key) = good.split_once("AccountKey=").unwrap();
    let other = azure_core::base64::encode([7; 64]);
    let after = key.split_once(';').map_or("", |(_, after)| after);
    world.stage.set("AzureWebJobsStorage", &format!("{before}AccountKey={other};{after}"));
    let ran = world.stage.run(&["doctor"]).await;
    assert!(!ran.success && !ran.stdout.contains(&other[..20]), "{ran:?}");
    let (healthy, checks) = world.stage.doctor().await;
    assert_eq!((healthy, with_verdict(&checks, "failed")), (false, vec!["ledger", "lock"]), "{checks:?}");
    says(&checks, "ledger", &["403", "AzureWebJobsStorage"]);
    says(&checks, "token store, read", &["can be read"]);
}

#[tokio::test]
async fn an_unknown_client_id_and_a_clock_that_is_off() {
    let mut world = OnAzure::with(Config::default()).await;
    world.stage.set("WEBSITE_HOSTNAME", "made-up.azurewebsites.net");
    world.stage.set("EXACT_CLIENT_ID", "00000000-0000-0000-0000-00000000c0de");
    let (healthy, checks) = world.stage.doctor().await;
    assert_eq!((healthy, with_verdict(&checks, "failed")), (false, vec!["client id"]), "{checks:?}");
    says(&checks, "client id", &["knows no app with this client id", "EXACT_REGION"]);

    // The processes alone: the storage's clock stays with the machine's, and so do the dates of Exact Online's replies.
    world.stage.set_clock_of_processes(200);
    let (healthy, checks) = world.stage.doctor().await;
    assert!(!healthy);
    for name in ["clock and Exact Online's", "clock and the storage's"] {
        assert_eq!(checks[name]["verdict"], "failed", "{checks:?}");
        says(&checks, name, &["ahead of theirs", "time server"]);
    }
    world.stage.assert_requests(0);
}

#[tokio::test]
async fn whoever_is_silent_is_given_up_and_the_rest_goes_on() {
    let world = running().await;
    world.vault.rules().always(Some(Fault::NoEffect(simulators::exact_online::Delivery::Never)));
    let asked = tokio::time::Instant::now();
    let (healthy, checks) = world.stage.doctor().await;
    println!("measured: doctor gives a silent vault up after {:.0} s", asked.elapsed().as_secs_f64());
    assert_eq!((healthy, with_verdict(&checks, "failed")), (false, vec![ADD, CHANGE, "token store, read"]), "{checks:?}");
    for name in [CHANGE, ADD, "token store, read"] {
        let found = checks[name]["finding"].as_str().unwrap();
        assert!(found.contains("no answer") || found.contains("did not confirm"), "{name}: {found}");
    }
    assert_eq!((&checks["lock"]["verdict"], &checks["client id"]["verdict"]), (&"ok".into(), &"ok".into()), "{checks:?}");
    assert!(asked.elapsed() < std::time::Duration::from_mins(1), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn the_live_checks_keep_off_the_chain_in_the_vault_and_write_nothing() {
    const YES: [&str; 3] = ["doctor", "--live", "--yes-this-chain-may-die"];
    let mut world = running().await;
    let stored = world.stage.exact.rules().newest_refresh_token().unwrap().to_owned();
    let throw_away = world.stage.exact.issue_chain();
    let (generation, asked) = (world.stage.status().await["generation"].clone(), world.vault.rules().log().len());
    let refused = async |world: &OnAzure, token: &str, why: &str| {
        let ran = world.stage.run_with(&YES, token).await;
        assert!(!ran.success && ran.stderr.contains(why), "{ran:?}");
    };
    refused(&world, &throw_away, "Exact keeps one chain per app and user").await;
    world.vault.rules().deny(Action::Get, Some(Denial::Firewall));
    refused(&world, &throw_away, "could not be read, so nothing is begun that could end it").await;
    world.vault.rules().deny(Action::Get, None);
    let app = world.stage.settings["EXACT_CLIENT_ID"].clone();
    world.stage.set("EXACT_CLIENT_ID", "00000000-0000-0000-0000-00000000c0de");
    refused(&world, &stored, "that is a refresh token of the chain that the store of these settings holds").await;
    world.stage.set("EXACT_CLIENT_ID", &app);

    let written =
        world.vault.rules().log()[asked..].iter().filter(|logged| matches!(logged.operation.action(), Action::Set | Action::Update)).count();
    assert_eq!((written, &world.stage.status().await["generation"]), (0, &generation));
    world.stage.assert_requests(1);
}
