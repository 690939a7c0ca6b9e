//! The main job: import, hand out, refresh, hand out again, in other processes each time.

use simulators::functions_host::{TimerSample, Verdict};

use crate::azure::OnAzure;
use crate::stage::get_token;

#[tokio::test]
async fn a_chain_lives_from_import_to_the_second_pair() {
    let world = OnAzure::connected().await;
    let first = {
        let host = world.stage.host().await;
        get_token(&host, "").await.token()
    };
    world.stage.assert_requests(1);
    let timer = world.stage.host().await;
    let callers = world.stage.host().await;
    assert_eq!(get_token(&callers, "").await.token(), first);

    world.set_clocks(575);
    let tick = timer.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!((tick.verdict, tick.status), (Verdict::Success, Some(200)));
    world.stage.assert_requests(2);
    let second = get_token(&callers, "").await.token();
    assert_ne!(first, second);
    assert!(world.stage.exact.is_alive(&second));
    world.stage.assert_requests(2);
    assert_eq!(world.versions(), 3);

    assert!(world.azurite.requests().iter().any(|request| request.contains("/made-up.vault.azure.net/exact-online-token.json?comp=lease 201")));
    let status = world.stage.status().await;
    assert_eq!(status["state"], "connected", "{status}");
    assert!(status["store"].as_str().unwrap().contains("https://made-up.vault.azure.net/secrets/exact-online-token"), "{status}");
}

#[tokio::test]
async fn a_vault_that_is_away_at_the_start_is_said_and_then_forgotten() {
    let world = OnAzure::connected().await;
    world.vault_is_reachable(false);
    let host = world.stage.host().await;
    let said = get_token(&host, "?max_wait=5").await.error(503, "temporarily_unavailable");
    assert!(said.contains("Key Vault"), "{said}");
    world.stage.assert_requests(0);
    world.vault_is_reachable(true);
    get_token(&host, "").await.token();
    world.stage.assert_requests(1);
}
