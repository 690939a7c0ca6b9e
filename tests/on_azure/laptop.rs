//! The command line on a developer's machine, with the settings of the app in Azure and the rights of whoever is logged in.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use simulators::emulators::Azurite;
use simulators::key_vault::RESOURCE;

use crate::azure::OnAzure;

/// No platform, no settings in the environment but what `az` and the way to the vault need; the rest stands in `local.settings.json`.
fn laptop(mut world: OnAzure) -> OnAzure {
    let folder = world.stage.folder().to_owned();
    let token = world.identity.rules().issue(jiff::Timestamp::from_second(4_000_000_000).unwrap(), RESOURCE);
    let json = format!(r#"{{"accessToken":"{token}","expires_on":4000000000,"expiresOn":"2096-10-02 07:06:40.000000","tokenType":"Bearer"}}"#);
    let az = folder.join("az");
    std::fs::write(&az, format!("#!/bin/sh\necho '{json}'\n")).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();

    let in_file = ["EXACT_BASE_URL", "EXACT_CLIENT_ID", "EXACT_CLIENT_SECRET", "KEY_VAULT_URL", "AzureWebJobsStorage"];
    let values: serde_json::Map<_, _> = in_file.iter().map(|name| ((*name).to_owned(), world.stage.settings.remove(*name).unwrap().into())).collect();
    write_settings(&world, &values);
    for name in ["WEBSITE_SITE_NAME", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"] {
        world.stage.settings.remove(name).unwrap();
    }
    world.stage.set("PATH", &format!("{}:/usr/bin:/bin", folder.display()));
    world
}

fn write_settings(world: &OnAzure, values: &serde_json::Map<String, serde_json::Value>) {
    let file = json!({"IsEncrypted": false, "Values": values}).to_string();
    std::fs::write(world.stage.folder().join("local.settings.json"), file).unwrap();
}

#[tokio::test]
async fn the_commands_work_on_the_same_store() {
    let in_azure = OnAzure::connected().await;
    let token = in_azure.stage.granted().await;
    let world = laptop(in_azure);
    let by_platform = world.identity.rules().log().len();

    let printed = world.stage.run(&["token"]).await;
    assert!(printed.success && printed.stdout.trim() == token, "{}", printed.stderr);
    let status = world.stage.status().await;
    assert_eq!((status["state"].as_str(), status["epoch"].as_i64()), (Some("connected"), Some(1)), "{status}");
    world.stage.assert_requests(1);

    // Another writer proves its right to add versions by adding the head again, then renews.
    world.set_clocks(575);
    let versions = world.versions();
    let renewed = world.stage.run(&["token"]).await;
    assert!(renewed.success && world.stage.exact.is_alive(renewed.stdout.trim()), "{}", renewed.stderr);
    assert_eq!(world.versions(), versions + 2);
    world.stage.assert_requests(2);

    let refused = world.stage.run_with(&["import"], &world.stage.exact.issue_chain()).await;
    assert!(!refused.success && refused.stderr.contains("--replace"), "{refused:?}");
    world.stage.import().await;
    assert_eq!(world.stage.status().await["epoch"], 2);
    assert_eq!(world.identity.rules().log().len(), by_platform, "a developer's machine has no platform to ask");
}

#[tokio::test]
async fn with_other_storage_nothing_is_sent() {
    let in_azure = OnAzure::connected().await;
    let token = in_azure.stage.granted().await;
    let elsewhere = Azurite::start_with(&["--blobPort", "0"], &in_azure.clock_environment());
    let world = laptop(in_azure);
    let file = std::fs::read_to_string(world.stage.folder().join("local.settings.json")).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&file).unwrap();
    file["Values"]["AzureWebJobsStorage"] = elsewhere.connection_string().into();
    write_settings(&world, file["Values"].as_object().unwrap());

    let printed = world.stage.run(&["token"]).await;
    assert_eq!((printed.success, printed.stdout.trim()), (true, token.as_str()), "{}", printed.stderr);
    assert!(printed.stderr.contains("under another lock"), "{}", printed.stderr);
    world.set_clocks(575);
    let refused = world.stage.run(&["token", "--max-wait", "1"]).await;
    assert!(!refused.success && refused.stderr.contains("exact-token-broker adopt"), "{}", refused.stderr);
    let refused = world.stage.run_with(&["import", "--replace"], &world.stage.exact.issue_chain()).await;
    assert!(!refused.success && refused.stderr.contains("exact-token-broker adopt"), "{}", refused.stderr);
    assert_eq!(world.versions(), 2, "nothing was put in the place of what another installation may be using");
    world.stage.assert_requests(1);
}
