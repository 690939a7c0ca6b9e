//! The app's storage is moved: the lock is another one then, and two locks over one chain would lose it.

use simulators::emulators::Azurite;
use simulators::functions_host::{TimerSample, Verdict};

use crate::azure::OnAzure;
use crate::stage::get_token;

#[tokio::test]
async fn what_was_got_under_another_lock_is_served_and_not_refreshed_until_a_person_says_so() {
    let mut world = OnAzure::connected().await;
    let token = world.stage.granted().await;
    let elsewhere = Azurite::start_with(&["--blobPort", "0"], &world.clock_environment());
    world.stage.set("AzureWebJobsStorage", &elsewhere.connection_string());

    let host = world.stage.host().await;
    let served = get_token(&host, "").await;
    assert_eq!(served.token(), token);
    assert!(served.json()["warnings"][0].as_str().unwrap().contains("under another lock"), "{served:?}");
    world.set_clocks(575);
    let refused = get_token(&host, "").await.error(500, "server_error");
    assert!(refused.contains("AzureWebJobsStorage") && refused.contains("exact-token-broker adopt"), "{refused}");
    let tick = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert!(matches!(tick.verdict, Verdict::Failure(_)), "{tick:?}");
    assert!(String::from_utf8_lossy(&tick.body).contains("under another lock"), "{tick:?}");
    assert_eq!(world.stage.status().await["state"], "misconfigured");
    let token_command = world.stage.run(&["token", "--max-wait", "1"]).await;
    assert!(!token_command.success && token_command.stdout.is_empty(), "{token_command:?}");
    world.stage.assert_requests(1);

    let versions = world.versions();
    let unsure = world.stage.run(&["adopt"]).await;
    assert!(!unsure.success && unsure.stderr.contains("repeat with --yes"), "{unsure:?}");
    assert_eq!(world.versions(), versions);
    let sure = world.stage.run(&["adopt", "--yes"]).await;
    assert!(sure.success && sure.stdout.contains("epoch 3"), "{sure:?}");
    assert_eq!(world.versions(), versions + 1);
    let again = world.stage.run(&["adopt", "--yes"]).await;
    assert!(!again.success && again.stderr.contains("this installation's already"), "{again:?}");

    // The old installation's last request may have been on its way for a while.
    world.set_clocks(575 + 150);
    let renewed = get_token(&world.stage.host().await, "").await.token();
    assert_ne!(renewed, token);
    assert!(world.stage.exact.is_alive(&renewed));
    world.stage.assert_requests(2);
}

#[tokio::test]
async fn there_is_nothing_to_adopt_before_there_is_a_chain() {
    let world = OnAzure::start().await;
    let nothing = world.stage.run(&["adopt", "--yes"]).await;
    assert!(!nothing.success && nothing.stderr.contains("nothing to take over"), "{nothing:?}");
}
