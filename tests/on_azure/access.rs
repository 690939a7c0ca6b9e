//! One life of a chain for each way to open the app's storage. (`main_job` has the connection string.)

use simulators::exact_online::Config;
use simulators::functions_host::{TimerSample, Verdict};
use simulators::key_vault::RESOURCE;
use simulators::managed_identity::STORAGE;

use crate::azure::OnAzure;
use crate::stage::get_token;
use crate::storage::Storage;

const ONE: &str = "6f0a3c5e-1111-4222-8333-0123456789ab";
const OTHER: &str = "6f0a3c5e-2222-4222-8333-0123456789ab";

/// Import, hand out, refresh, hand out.
async fn lives(world: &OnAzure) {
    world.stage.import().await;
    let (timer, callers) = (world.stage.host().await, world.stage.host().await);
    let first = get_token(&callers, "").await.token();
    world.set_clocks(575);
    let tick = timer.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!((tick.verdict, tick.status), (Verdict::Success, Some(200)), "{:?}", tick.logs);
    let second = get_token(&callers, "").await.token();
    assert!(first != second && world.stage.exact.is_alive(&second));
    world.stage.assert_requests(2);
    assert_eq!(world.versions(), 3);
    let status = world.stage.status().await;
    assert_eq!((&status["state"], &status["open_attempts"]), (&"connected".into(), &0.into()), "{status}");
}

/// For whom the identity endpoint was asked, and by which identity's name.
fn asked(world: &OnAzure) -> Vec<(String, Option<String>)> {
    let rules = world.identity.rules();
    let mut asked: Vec<_> = rules.log().iter().map(|it| (it.resource.clone().unwrap(), it.client_id.clone())).collect();
    assert!(rules.log().iter().all(|it| it.status == 200), "{:?}", rules.log());
    asked.sort();
    asked.dedup();
    asked
}

#[tokio::test]
async fn development_storage() {
    let world = OnAzure::open(Config::default(), Storage::Development).await;
    lives(&world).await;
    assert!(world.azurite.endpoint().ends_with(":10000/devstoreaccount1"));
    assert!(world.storage_requests().await.contains(&"PUT lease 201".to_owned()));
    assert_eq!(asked(&world), [(RESOURCE.to_owned(), None)], "the key opens the storage");
}

#[tokio::test]
async fn the_apps_own_identity_over_https() {
    let world = OnAzure::open(Config::default(), Storage::Identity).await;
    assert!(!world.stage.settings.contains_key("AzureWebJobsStorage"));
    lives(&world).await;
    assert!(world.azurite.endpoint().starts_with("https://"));
    assert!(world.storage_requests().await.contains(&"PUT lease 201".to_owned()));
    assert_eq!(asked(&world), [(STORAGE.to_owned(), None), (RESOURCE.to_owned(), None)]);
}

#[tokio::test]
async fn an_identity_for_the_vault_and_another_for_the_storage() {
    let mut world = OnAzure::open(Config::default(), Storage::Identity).await;
    world.identity.rules().user_assigned = vec![ONE.to_owned(), OTHER.to_owned()];
    world.stage.set("AZURE_CLIENT_ID", ONE);
    world.stage.set("AzureWebJobsStorage__clientId", OTHER);
    lives(&world).await;
    assert_eq!(asked(&world), [(STORAGE.to_owned(), Some(OTHER.to_owned())), (RESOURCE.to_owned(), Some(ONE.to_owned()))]);
}

/// Nothing stands in for the one that is named.
#[tokio::test]
async fn an_identity_that_is_not_assigned_is_said() {
    let mut world = OnAzure::open(Config::default(), Storage::Identity).await;
    world.stage.set("AzureWebJobsStorage__clientId", OTHER);
    let ran = world.stage.run_with(&["import"], &world.stage.exact.issue_chain()).await;
    assert!(!ran.success && ran.stderr.contains("the identity is not assigned to this app"), "{}", ran.stderr);
    assert_eq!(world.versions(), 0);
    assert!(world.storage_requests().await.is_empty());
}
