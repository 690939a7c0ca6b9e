//! What a failure becomes, and that a write is never sent twice.

use simulators::exact_online::{Delivery, Reply};
use simulators::key_vault::{Action, Denial, Fault, Operation, Way};

use crate::world::{HOST, NAME, Process, World, world};

/// A world with one version and a process that is past the challenge.
async fn begun() -> (World, Process, String) {
    let w = world().await;
    let mut p = w.process().await;
    let version = p.put("first").await;
    (w, p, version)
}

#[tokio::test]
async fn a_write_that_may_have_taken_effect_is_unclear_and_sent_once() {
    let (w, mut p, version) = begun().await;
    let faults = [
        Fault::failed(500),
        Fault::failed(503),
        Fault::page(502),
        Fault::failed(408),
        Fault::NoEffect(Delivery::Reset),
        Fault::NoEffect(Delivery::Cut),
        Fault::EffectThen(Delivery::Reset),
        Fault::EffectThen(Delivery::Cut),
        Fault::EffectThenReply(Reply::new(500, &[], "")),
        Fault::EffectThenReply(Reply::new(202, &[], "")),
        Fault::EffectThenReply(Reply::new(200, &[], "{}")),
        Fault::EffectThenReply(Reply::new(200, &[], "not JSON")),
    ];
    let mut at = 0;
    w.requests(&mut at);
    for (n, fault) in faults.into_iter().enumerate() {
        w.vault.rules().script(Some(Operation::Set), fault.clone());
        Process::assert_error(&p.ask(&format!("put lost-{n} made-up")).await, "Unclear", &[]);
        assert_eq!(w.requests(&mut at).len(), 1, "{fault:?}");
    }
    // Whoever looks finds those that took effect, by their attempts.
    let listed = p.ask("list").await;
    let attempts: Vec<&str> = listed["ok"].as_array().unwrap().iter().map(|it| it[2].as_str().unwrap()).collect();
    let found = (0..12).filter(|n| attempts.contains(&format!("lost-{n}").as_str())).collect::<Vec<_>>();
    assert_eq!(found, [6, 7, 8, 9, 10, 11]);

    w.requests(&mut at);
    for fault in [Fault::failed(500), Fault::NoEffect(Delivery::Reset), Fault::EffectThen(Delivery::Cut)] {
        w.vault.rules().script(Some(Operation::Update), fault.clone());
        Process::assert_error(&p.ask(&format!("prove {version}")).await, "Unclear", &[]);
        assert_eq!(w.requests(&mut at).len(), 1, "{fault:?}");
    }
    w.assert_well_behaved();
}

#[tokio::test]
async fn a_write_that_was_refused_is_not_writable_and_the_text_says_what_to_do() {
    let (w, mut p, version) = begun().await;
    let action = |action| format!("Microsoft.KeyVault/vaults/secrets/{action}");
    w.vault.rules().deny(Action::Set, Some(Denial::Rbac));
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["403 Forbidden ForbiddenByRbac", &action("setSecret/action")]);
    assert_eq!(p.ask(&format!("prove {version}")).await["error"], serde_json::Value::Null, "PATCH and PUT are different rights");
    w.vault.rules().deny(Action::Update, Some(Denial::Rbac));
    Process::assert_error(&p.ask(&format!("prove {version}")).await, "NotWritable", &["ForbiddenByRbac", &action("update/action")]);
    w.vault.rules().deny(Action::Set, Some(Denial::Firewall));
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["403", "ForbiddenByFirewall", "network rules"]);
    w.vault.rules().deny(Action::Set, Some(Denial::AccessPolicy));
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["403", "AccessDenied", "permission Set"]);
    w.vault.rules().deny(Action::Set, None);

    w.vault.rules().script(None, Fault::throttled(5));
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["429 Throttled", "5 s"]);
    let odd = r#"{"error":{"code":"SIMULATED-odd","message":"SIMULATED","innererror":{"code":"SIMULATED-inner"}}}"#;
    w.vault.rules().script(None, Fault::Instead(Reply::new(400, &[], odd)));
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["answered 400: "]);
    w.vault.rules().script(None, Fault::Instead(Reply::new(302, &[("Location", "https://login.invalid")], "")));
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["302"]);

    w.vault.rules().delete(NAME);
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["409 Conflict ObjectIsDeletedButRecoverable", "recover"]);
    assert_eq!(w.vault.rules().versions(NAME).len(), 1);
    w.assert_well_behaved();
}

/// A refresh token is spent on the strength of it.
#[tokio::test]
async fn only_the_vaults_own_reply_about_that_version_proves_it_writable() {
    let (w, mut p, version) = begun().await;
    let other = p.put("other").await;
    let reply =
        |version: &str| Reply::new(200, &[], format!(r#"{{"id":"https://{HOST}/secrets/{NAME}/{version}","attributes":{{"enabled":true}}}}"#));
    let replies = [
        Fault::page(200),
        Fault::Instead(Reply::new(200, &[], "{}")),
        Fault::Instead(Reply::new(204, &[], "")),
        Fault::Instead(Reply::new(200, &[], format!(r#"{{"id":"https://{HOST}/secrets/{NAME}"}}"#))),
        Fault::Instead(reply(&other)),
    ];
    let mut at = 0;
    w.requests(&mut at);
    for fault in replies {
        w.vault.rules().script(Some(Operation::Update), fault.clone());
        Process::assert_error(&p.ask(&format!("prove {version}")).await, "Unclear", &[]);
        assert_eq!(w.requests(&mut at).len(), 1, "{fault:?}");
    }
    assert!(p.said().await.contains("the reply is not one of a Key Vault"), "the log says why");
    w.vault.rules().script(Some(Operation::Update), Fault::Instead(reply(&version)));
    let proven = p.ask(&format!("prove {version}")).await;
    assert_eq!(proven["error"], serde_json::Value::Null, "{proven}");
    w.assert_well_behaved();
}

/// Taken for the vault's word, it would be "never connected", "the attempt brought nothing" or "the head is lost".
#[tokio::test]
async fn a_404_that_is_not_the_vaults_says_nothing_of_the_secret() {
    let (w, mut p, version) = begun().await;
    let json = |body: &str| Fault::Instead(Reply::new(404, &[("Content-Type", "application/json")], body));
    let foreign = [
        Fault::page(404),
        Fault::Instead(Reply::new(404, &[], "")),
        json(r#"{"error":{"code":"SIMULATED-odd","message":"SIMULATED"}}"#),
        json(r#"{"error":{"code":"VaultNotFound","innererror":{"code":"SecretNotFound"}}}"#),
    ];
    let says = ["what answered at KEY_VAULT_URL", "404", "does not seem to be that vault"];
    for fault in foreign {
        w.vault.rules().always(Some(fault));
        Process::assert_error(&p.ask("list").await, "Unavailable", &says);
        Process::assert_error(&p.ask(&format!("get {version}")).await, "Unavailable", &says);
        Process::assert_error(&p.ask(&format!("prove {version}")).await, "NotWritable", &says);
        Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &says);
    }
    w.vault.rules().always(None);
    assert_eq!(p.ask("list").await["ok"].as_array().map(Vec::len), Some(1));
    w.assert_well_behaved();
}

#[tokio::test]
async fn a_read_is_tried_three_times_and_then_unavailable() {
    let (w, mut p, version) = begun().await;
    let mut at = 0;
    for fault in [Fault::failed(500), Fault::page(503), Fault::NoEffect(Delivery::Reset), Fault::NoEffect(Delivery::Cut), Fault::throttled(1)] {
        w.vault.rules().script(Some(Operation::Get), fault.clone());
        w.vault.rules().script(Some(Operation::Get), fault.clone());
        w.requests(&mut at);
        assert_eq!(p.ask(&format!("get {version}")).await["ok"][0], "first", "{fault:?}");
        assert_eq!(w.requests(&mut at).len(), 3, "{fault:?}");
    }
    w.vault.rules().always(Some(Fault::failed(500)));
    Process::assert_error(&p.ask(&format!("get {version}")).await, "Unavailable", &["500 InternalServerError"]);
    Process::assert_error(&p.ask("list").await, "Unavailable", &["500"]);
    assert_eq!(w.requests(&mut at).len(), 6);
    w.vault.rules().always(None);
    w.vault.rules().deny(Action::Get, Some(Denial::Rbac));
    w.vault.rules().deny(Action::ReadMetadata, Some(Denial::Rbac));
    Process::assert_error(&p.ask(&format!("get {version}")).await, "Unavailable", &["403", "getSecret/action"]);
    Process::assert_error(&p.ask("list").await, "Unavailable", &["403", "readMetadata/action"]);
    assert_eq!(w.requests(&mut at).len(), 2, "a refusal does not pass");
    w.vault.rules().deny(Action::Get, None);
    w.vault.rules().enable(NAME, &version, false);
    Process::assert_error(&p.ask(&format!("get {version}")).await, "Unavailable", &["SecretDisabled", "enable"]);
    w.vault.rules().script(None, Fault::Instead(Reply::new(200, &[], "<html>")));
    Process::assert_error(&p.ask(&format!("get {version}")).await, "Unavailable", &["not one of a Key Vault"]);
    w.assert_well_behaved();
}

/// In the middle of a list the page is asked for again, not the list.
#[tokio::test]
async fn a_page_that_fails_is_asked_for_again() {
    let (w, mut p, _) = begun().await;
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    (0..60).for_each(|_| drop(w.vault.rules().plant(now, NAME, "{}", &[])));
    w.vault.rules().script(Some(Operation::ListVersions), Fault::Pass);
    w.vault.rules().script(Some(Operation::ListVersions), Fault::failed(503));
    let mut at = 0;
    w.requests(&mut at);
    assert_eq!(p.ask("list").await["ok"].as_array().map(Vec::len), Some(61));
    assert_eq!(w.requests(&mut at).len(), 4);
}

#[tokio::test]
async fn a_vault_that_is_away_at_a_cold_start_has_been_sent_nothing_and_is_there_when_it_is_back() {
    let w = world().await;
    let mut p = w.process().await;
    w.relay.lead(HOST, Way::Refused);
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["no connection"]);
    Process::assert_error(&p.ask("get 0123456789abcdef0123456789abcdef").await, "Unavailable", &["no connection"]);
    Process::assert_error(&p.ask("list").await, "Unavailable", &["no connection"]);
    assert_eq!(w.relay.tunnels().len(), 1 + 3 + 3, "the write was not tried again");
    assert_eq!(w.token_requests(), 0);
    w.relay.lead(HOST, Way::To(w.vault.address()));
    let version = p.put("x").await;
    w.relay.lead(HOST, Way::Refused);
    // The head is known, and a process that has its challenge behind it is no better off.
    Process::assert_error(&p.ask(&format!("prove {version}")).await, "NotWritable", &["no connection"]);
    assert_eq!(w.vault.rules().versions(NAME).len(), 1);
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_trusted_gets_no_request() {
    let w = world().await;
    let endpoint = w.identity.endpoint();
    let other = simulators::key_vault::TestCa::new();
    let pem = w.folder.path().join("other.pem");
    std::fs::write(&pem, other.pem()).unwrap();
    let mut p = w.process_with(&endpoint, "-", |command| command.env("SSL_CERT_FILE", &pem)).await;
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["no connection"]);
    assert_eq!((w.vault.rules().log().len(), w.token_requests()), (0, 0));
}
