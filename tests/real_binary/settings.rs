//! Wrong settings fail each invocation, by name and all at once. They never end the process, and no value is repeated.

use simulators::functions_host::{FunctionsHost, TimerSample, Verdict};

use super::stage::{Answer, Stage, exits, get_token, until};

/// Stands in every wrong value.
const CANARY: &str = "made-up-canary";

/// Starts a handler with these settings; what it answers, once it has shown that it lives.
async fn answered(stage: &Stage) -> (FunctionsHost, Answer) {
    let host = stage.host().await;
    host.assert_answers_at_once().await.unwrap();
    let tick = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert!(matches!(tick.verdict, Verdict::Failure(_)) && tick.status == Some(500), "{tick:?}");
    let answer = get_token(&host, "").await;
    until("the settings are reported", || host.console().iter().any(|line| line.text.contains("settings are missing or wrong"))).await;
    host.assert_answers_at_once().await.unwrap();
    assert!(exits(&host).is_empty());
    assert_eq!(host.search(&[CANARY.to_owned()]), []);
    stage.assert_requests(0);
    (host, answer)
}

#[tokio::test]
async fn every_mistake_is_named_at_once_and_no_value_is_repeated() {
    let mut stage = Stage::start().await;
    stage.settings.remove("EXACT_CLIENT_ID");
    for (name, value) in [
        ("EXACT_CLIENT_SECRET", format!("@Microsoft.KeyVault(SecretUri=https://{CANARY}.vault.azure.net/secrets/x)")),
        ("EXACT_REGION", CANARY.to_owned()),
        ("EXACT_BASE_URL", format!("http://{CANARY}.example")),
        ("REFRESH_POLICY", CANARY.to_owned()),
        ("TOKEN_FILE", format!("{CANARY}/")),
        ("RUST_LOG", CANARY.to_owned()),
    ] {
        stage.set(name, &value);
    }
    let (_host, answer) = answered(&stage).await;
    let description = answer.error(500, "server_error");
    let printed = stage.run(&["token"]).await;
    assert!(!printed.success && printed.stdout.is_empty() && !printed.stderr.contains(CANARY), "{printed:?}");
    for name in ["EXACT_CLIENT_ID", "EXACT_CLIENT_SECRET", "EXACT_REGION", "EXACT_BASE_URL", "REFRESH_POLICY", "TOKEN_FILE"] {
        assert!(description.contains(&format!("{name}: ")), "{name}: {description}");
        assert!(printed.stderr.contains(&format!("{name}: ")), "{name}: {}", printed.stderr);
    }
    assert!(description.contains("Key Vault reference"), "{description}");
}

#[tokio::test]
async fn the_examples_placeholders_are_recognised() {
    let mut stage = Stage::start().await;
    stage.set("EXACT_CLIENT_ID", "put-your-client-id-here");
    stage.set("EXACT_CLIENT_SECRET", "put-your-client-secret-here");
    let description = answered(&stage).await.1.error(500, "server_error");
    assert_eq!(description.matches("still the example's placeholder").count(), 2, "{description}");
}

#[tokio::test]
async fn the_embedded_store_is_refused_in_azure() {
    let mut stage = Stage::start().await;
    stage.settings.remove("FUNCTIONS_CORETOOLS_ENVIRONMENT");
    let description = answered(&stage).await.1.error(500, "server_error");
    for part in ["KEY_VAULT_URL", "embedded store", "refused in Azure"] {
        assert!(description.contains(part), "{description}");
    }
    assert!(!stage.token_file().exists());
}

#[tokio::test]
async fn blank_settings_are_missing_and_white_space_around_good_ones_is_dropped() {
    let mut stage = Stage::connected().await;
    for (name, value) in stage.settings.clone() {
        stage.set(&name, &format!(" {value}\n"));
    }
    stage.set("EXACT_REGION", "  ");
    stage.granted().await;
    stage.assert_requests(1);
    stage.set("EXACT_CLIENT_SECRET", " \t");
    let description = get_token(&stage.host().await, "").await.error(500, "server_error");
    assert!(description.contains("EXACT_CLIENT_SECRET: is missing"), "{description}");
}

#[tokio::test]
async fn without_a_chain_a_person_is_asked_for() {
    let stage = Stage::start().await;
    let host = stage.host().await;
    let description = get_token(&host, "").await.error(409, "consent_required");
    assert!(description.contains("no refresh token is stored yet; connect Exact Online on the page Consent"), "{description}");
    let tick = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!(tick.status, Some(500));
    assert_eq!(stage.status().await["state"], "never_connected");
    // It is noticed at once when that has happened.
    stage.import().await;
    tokio::time::timeout(super::stage::PATIENCE, async {
        while get_token(&host, "").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    stage.assert_requests(1);
}
