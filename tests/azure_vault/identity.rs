//! Whom the vault sees, and an identity endpoint that fails.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use simulators::exact_online::Delivery;
use simulators::key_vault::{Operation, RESOURCE, Rules};
use simulators::managed_identity::{self, Fault};

use crate::world::{Process, world, world_with};

const CLIENT_ID: &str = "6f0a3c5e-1111-4222-8333-0123456789ab";

#[tokio::test]
async fn a_user_assigned_identity_is_asked_for_by_its_client_id() {
    let identity = managed_identity::Rules::with(|rules| rules.user_assigned.push(CLIENT_ID.to_owned()));
    let w = world_with(Rules::default(), identity).await;
    let mut p = w.process_with(&w.identity.endpoint(), CLIENT_ID, |command| command).await;
    assert_eq!(p.writer, format!("user-assigned identity {CLIENT_ID}"));
    p.put("a").await;
    assert_eq!(w.identity.rules().log()[0].client_id.as_deref(), Some(CLIENT_ID));
    w.assert_well_behaved();
}

#[tokio::test]
async fn an_identity_that_is_not_assigned_is_said_to_be_so() {
    let w = world().await;
    let mut p = w.process_with(&w.identity.endpoint(), CLIENT_ID, |command| command).await;
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["400", "not assigned", "AZURE_CLIENT_ID"]);
    Process::assert_error(&p.ask("list").await, "Unavailable", &["not assigned"]);
}

#[tokio::test]
async fn an_identity_endpoint_that_does_not_answer_holds_a_call_for_eight_seconds() {
    let w = world().await;
    let mut p = w.process().await;
    w.identity.rules().always(Some(Fault::Lost(Delivery::Never)));
    let silent = p.ask("put x made-up").await;
    Process::assert_error(&silent, "NotWritable", &["managed identity", "within 8 s"]);
    w.identity.rules().always(Some(Fault::Status(429, Some(600))));
    let throttled = p.ask("put x made-up").await;
    Process::assert_error(&throttled, "NotWritable", &["managed identity", "within 8 s"]);
    w.identity.rules().always(Some(Fault::Status(500, None)));
    let failing = p.ask("list").await;
    Process::assert_error(&failing, "Unavailable", &["managed identity", "500"]);
    // A port where nobody listens.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut q = w.process_with(&format!("http://{nobody}/msi/token"), "-", |command| command).await;
    let away = q.ask("put x made-up").await;
    Process::assert_error(&away, "NotWritable", &["managed identity", "not reachable"]);
    for answer in [&silent, &throttled, &failing, &away] {
        assert!(answer["ms"].as_u64().unwrap() < 9_500, "{answer}");
    }
    let measured = [&silent, &throttled, &failing, &away].map(|it| it["ms"].to_string()).join(", ");
    println!("measured: identity endpoint silent, Retry-After 600, 500, away: {measured} ms");

    w.identity.rules().always(None);
    p.put("x").await;
    w.assert_well_behaved();
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_and_a_write_is_not_repeated_by_that() {
    let w = world().await;
    let mut p = w.process().await;
    let version = p.put("a").await;
    let mut at = 0;
    w.requests(&mut at);
    w.identity.rules().revoke_all();
    let second = p.put("b").await;
    assert_ne!(version, second);
    let requests = w.requests(&mut at);
    println!("measured: a write with a revoked token makes {} requests and {} token request", requests.len(), w.token_requests() - 1);
    assert_eq!(requests.iter().filter(|(_, status)| *status == 200).count(), 1);
    assert!(requests.len() <= 4, "{requests:?}");
    assert_eq!(w.token_requests(), 2);
    assert_eq!(p.ask(&format!("get {second}")).await["ok"][0], "b");
    assert_eq!(w.requests(&mut at), [(Operation::Get, 200)]);

    // Twenty callers at once make one new credential.
    w.identity.rules().revoke_all();
    assert_eq!(p.ask(&format!("gets 20 {version}")).await["ok"], 20);
    assert_eq!(w.token_requests(), 3);
    w.assert_well_behaved();
}

#[tokio::test]
async fn a_platform_that_hands_the_revoked_token_out_again_is_not_asked_for_ever() {
    let identity = managed_identity::Rules::with(|rules| rules.keeps_revoked = true);
    let w = world_with(Rules::default(), identity).await;
    let mut p = w.process().await;
    p.put("a").await;
    w.identity.rules().revoke_all();
    Process::assert_error(&p.ask("put b made-up").await, "NotWritable", &["401 Unauthorized", "not even a new one"]);
    assert_eq!(w.token_requests(), 2);
    assert_eq!(w.vault.rules().versions(crate::world::NAME).len(), 1);
}

/// Tokens are renewed five minutes before their end. One that lives less than that is asked for at every call, and still works.
#[tokio::test]
async fn a_token_that_lives_shortly_works() {
    let identity = managed_identity::Rules::with(|rules| rules.lifetime = Duration::from_mins(4));
    let w = world_with(Rules::default(), identity).await;
    let mut p = w.process().await;
    let version = p.put("a").await;
    assert_eq!(p.ask(&format!("get {version}")).await["ok"][0], "a");
    assert_eq!(w.token_requests(), 2);
    // While it lives, a failing endpoint takes nothing away.
    w.identity.rules().always(Some(Fault::Status(400, None)));
    assert_eq!(p.ask(&format!("get {version}")).await["ok"][0], "a");
}

/// A made-up `az` in front of the path, with a token that the vault takes.
#[tokio::test]
async fn without_a_platform_the_developer_who_is_logged_in_is_asked() {
    let w = world().await;
    let token = w.identity.rules().issue(jiff::Timestamp::from_second(4_000_000_000).unwrap(), RESOURCE);
    let az = w.folder.path().join("az");
    let said = w.folder.path().join("said");
    let json = format!(r#"{{"accessToken":"{token}","expires_on":4000000000,"expiresOn":"2096-10-02 07:06:40.000000","tokenType":"Bearer"}}"#);
    std::fs::write(&az, format!("#!/bin/sh\necho \"$@\" >> '{}'\necho '{json}'\n", said.display())).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", w.folder.path().display());
    let mut p = w.process_with("-", "-", |command| command.env("PATH", path)).await;
    assert_eq!(p.writer, "developer tools");
    p.put("a").await;
    p.put("b").await;
    let said = std::fs::read_to_string(said).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("get-access-token") && said.contains("https://vault.azure.net/.default"), "{said}");
    assert_eq!(w.token_requests(), 0);

    let empty = tempfile::tempdir().unwrap();
    let path = format!("{}:/usr/bin:/bin", empty.path().display());
    let mut p = w.process_with("-", "-", |command| command.env("PATH", path)).await;
    Process::assert_error(&p.ask("put a made-up").await, "NotWritable", &["az login"]);
    assert!(!p.said().await.contains(&token));
}
