//! `doctor` on the embedded store.

use std::fs;

use simulators::exact_online::{Config, Visited};

use super::stage::{Stage, with_verdict};

const REDIRECT: &str = "https://made-up.example/api/ConsentCallback";

async fn staged(config: Config) -> Stage {
    let mut stage = Stage::with(config).await;
    stage.set("EXACT_REDIRECT_URI", REDIRECT);
    #[cfg(unix)]
    fs::set_permissions(stage.folder(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    stage
}

#[tokio::test]
async fn a_healthy_installation_is_told_so_before_and_after_its_first_token_and_nothing_is_spent() {
    let stage = staged(Config::default()).await;
    for round in ["empty", "imported", "granted"] {
        let (healthy, checks) = stage.doctor().await;
        assert!(healthy, "{round}: {checks:?}");
        assert_eq!(with_verdict(&checks, "ok").len(), checks.len(), "{round}: {checks:?}");
        assert_eq!(checks.len(), 14, "{checks:?}");
        match round {
            "empty" => stage.import().await,
            "imported" => drop(stage.granted().await),
            _ => {}
        }
    }
    stage.assert_requests(1);
    let visits = stage.exact.rules().visits().to_vec();
    assert_eq!(visits.iter().map(|visit| visit.visited).collect::<Vec<_>>(), [Visited::LoginShown; 3]);
    assert_eq!(stage.status().await["state"], "connected");
    let said = stage.run(&["doctor"]).await;
    assert!(said.success && said.stdout.contains("ok      client id: ") && said.stdout.contains("All is well."), "{said:?}");
}

#[tokio::test]
async fn what_exact_online_says_of_the_app_is_told() {
    let mut stage = staged(Config { redirect_uris: vec!["https://other.example/x".to_owned()], ..Config::default() }).await;
    let (healthy, checks) = stage.doctor().await;
    assert!(!healthy && checks["client id"]["finding"].as_str().unwrap().contains("does not accept this redirect URI"), "{checks:?}");
    stage.set("EXACT_CLIENT_ID", "00000000-0000-0000-0000-00000000c0de");
    let (healthy, checks) = stage.doctor().await;
    assert_eq!((healthy, with_verdict(&checks, "failed")), (false, vec!["client id"]), "{checks:?}");
    assert!(checks["client id"]["remedy"].as_str().unwrap().contains("EXACT_REGION"), "{checks:?}");
    stage.assert_requests(0);
}

#[tokio::test]
async fn wrong_settings_are_findings_and_no_value_is_repeated() {
    let mut stage = staged(Config::default()).await;
    stage.set("EXACT_REGION", "made-up-canary");
    stage.set("EXACT_CLIENT_SECRET", "@Microsoft.KeyVault(made-up-canary)");
    let ran = stage.run(&["doctor"]).await;
    assert!(!ran.success && !ran.stdout.contains("canary") && ran.stderr.is_empty(), "{ran:?}");
    assert_eq!(ran.stdout.matches("FAILED  settings: EXACT_").count(), 2, "{}", ran.stdout);
    assert!(ran.stdout.contains("is not the app's folder") && ran.stdout.contains("note    the rest: not looked at"), "{}", ran.stdout);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_others_can_write_to_and_a_clock_that_is_off_are_noticed() {
    use std::os::unix::fs::PermissionsExt;
    let mut stage = staged(Config::default()).await;
    stage.import().await;
    fs::set_permissions(stage.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    // The processes' alone: Exact Online's replies tell the time that it is.
    stage.set_clock_of_processes(-100);
    let (healthy, checks) = stage.doctor().await;
    assert_eq!((healthy, with_verdict(&checks, "failed")), (false, vec!["clock and Exact Online's", "file modes"]), "{checks:?}");
    let found = checks["clock and Exact Online's"]["finding"].as_str().unwrap().to_owned();
    let off: i64 = found.split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert!((90..=110).contains(&off) && found.contains("behind theirs"), "{found}");
    stage.assert_requests(0);
}
