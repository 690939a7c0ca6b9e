//! `GET /api/Status` of the real binary: what the command says, in the same form, for whoever watches.

use serde_json::Value;
use simulators::exact_online::{Config, Fault, bodies};
use simulators::functions_host::FunctionsHost;

use super::stage::{Answer, Stage, get_token, get_with};

async fn status(host: &FunctionsHost, key: &str) -> Answer {
    get_with(host, "/api/Status", &[("x-functions-key", key)]).await
}

fn key() -> String {
    simulators::functions_host::Keys::default().function
}

/// The members that differ between two looks at the same thing.
fn still(mut status: Value) -> Value {
    let members = status.as_object_mut().unwrap();
    for member in ["at", "store_read_seconds_ago", "access_token_seconds_left", "consent_url", "lock_holder"] {
        assert!(members.remove(member).is_some(), "{member}");
    }
    status
}

#[tokio::test]
async fn it_says_what_the_command_says_and_needs_the_key() {
    let stage = Stage::connected().await;
    let host = stage.host().await;
    assert_eq!(status(&host, "made-up").await.status, 401);
    get_token(&host, "").await.token();
    let answer = status(&host, &key()).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{answer:?}");
    assert_eq!(still(answer.json()), still(stage.status().await));
    let said = answer.json();
    assert_eq!((&said["version"], &said["state"], &said["epoch"], &said["requests_today"]), (&1.into(), &"connected".into(), &1.into(), &1.into()));
    // The host tells by which name it is reached; the command, which nobody reaches, does not know.
    assert_eq!(said["consent_url"], "https://simulated-function-app.azurewebsites.net/api/Consent");
    stage.assert_requests(1);
}

#[tokio::test]
async fn a_chain_that_died_is_503_and_the_page_is_named() {
    let mut stage = Stage::with(Config::default()).await;
    stage.set("EXACT_REDIRECT_URI", "https://made-up.example/api/ConsentCallback");
    let host = stage.host().await;
    let answer = status(&host, &key()).await;
    assert_eq!((answer.status, &answer.json()["state"]), (503, &"never_connected".into()));
    let told = get_token(&host, "").await;
    told.error(409, "consent_required");
    assert_eq!(told.json()["consent_url"], "https://made-up.example/api/Consent");

    stage.import().await;
    stage.exact.always(Some(Fault::instead(bodies::OLD_REFRESH_TOKEN)));
    // It knows of no bad news that it could still believe.
    let host = stage.host().await;
    assert_eq!(get_token(&host, "?max_wait=20").await.status, 503);
    let answer = status(&host, &key()).await;
    assert_eq!((answer.status, &answer.json()["consent_url"]), (503, &"https://made-up.example/api/Consent".into()));
}

#[tokio::test]
async fn wrong_settings_have_the_same_form() {
    let mut stage = Stage::start().await;
    stage.set("EXACT_CLIENT_ID", "");
    stage.set("EXACT_REDIRECT_URI", "http://made-up-canary.example/x");
    let host = stage.host().await;
    let answer = status(&host, &key()).await;
    let said = answer.json();
    assert_eq!((answer.status, &said["state"], &said["servable"]), (503, &"misconfigured".into(), &false.into()));
    let problems: Vec<&str> = said["problems"].as_array().unwrap().iter().map(|problem| problem.as_str().unwrap()).collect();
    assert!(
        matches!(problems[..], [id, uri] if id.starts_with("EXACT_CLIENT_ID: ") && uri.starts_with("EXACT_REDIRECT_URI: is http,")),
        "{problems:?}"
    );
    assert!(!answer.body.contains("canary"));
    let mut by_command = stage.status().await;
    let mut said = said;
    for status in [&mut by_command, &mut said] {
        status.as_object_mut().unwrap().remove("at");
    }
    assert_eq!(said, by_command);
}

#[tokio::test]
async fn an_app_that_exact_refuses_is_a_matter_of_the_settings() {
    let mut stage = Stage::with(Config::default()).await;
    stage.set("EXACT_REDIRECT_URI", "https://made-up.example/api/ConsentCallback");
    stage.import().await;
    stage.exact.always(Some(Fault::instead(bodies::INVALID_CLIENT)));
    let host = stage.host().await;
    get_token(&host, "").await.error(500, "server_error");
    let answer = status(&host, &key()).await;
    let said = answer.json();
    assert_eq!((answer.status, &said["state"], &said["servable"]), (503, &"misconfigured".into(), &false.into()), "{said}");
    assert!(said["summary"].as_str().unwrap().contains("EXACT_CLIENT_ID"), "{said}");
    assert_eq!(still(said), still(stage.status().await));
}
