//! What the port promises, and what it costs: requests are counted.

use exact_token_broker::token::{Fingerprint, Secret};
use serde_json::json;
use simulators::exact_online::Delivery;
use simulators::key_vault::{Action, Denial, Fault, Operation, Rules};
use simulators::managed_identity;

use crate::world::{CANARY, NAME, Process, world, world_with};

/// The secret that is written for proof alone.
const PROBE: &str = "exact-online-token-doctor";

#[tokio::test]
async fn a_version_is_put_read_proven_and_listed_and_each_costs_what_is_promised() {
    let w = world().await;
    let mut p = w.process().await;
    let mut at = 0;
    assert_eq!(p.writer, "system-assigned identity");
    assert_eq!((w.token_requests(), w.requests(&mut at)), (0, vec![]), "opening sends nothing");

    let first = p.put("attempt-1").await;
    assert_eq!(w.requests(&mut at), [(Operation::Set, 401), (Operation::Set, 200)], "the first call of a process has the challenge before it");
    let second = p.put("attempt-2").await;
    assert_eq!(w.requests(&mut at), [(Operation::Set, 200)]);
    let got = p.ask(&format!("get {first}")).await;
    assert_eq!(got["ok"][0], "attempt-1", "by its own name, though a newer one is there: {got}");
    assert_eq!(w.requests(&mut at), [(Operation::Get, 200)]);

    let before = w.vault.rules().versions(NAME).to_vec();
    let proven = p.ask(&format!("prove {first}")).await;
    assert_eq!(proven["ok"], json!(null));
    assert_eq!(w.requests(&mut at), [(Operation::Update, 200)]);
    let after = w.vault.rules().versions(NAME).to_vec();
    assert_eq!(after.len(), 2, "no version is made by a proof");
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.value, &before.tags, before.enabled), (&after.value, &after.tags, after.enabled));
        assert_eq!(after.content_type.as_deref(), Some("application/json"));
    }
    assert_eq!(after[0].tags.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>(), [("attempt", "attempt-1")]);

    let listed = p.ask("list").await;
    assert_eq!(w.requests(&mut at), [(Operation::ListVersions, 200)]);
    let mut listed: Vec<_> = listed["ok"].as_array().unwrap().iter().map(|it| (it[0].clone(), it[2].clone())).collect();
    listed.sort_by_key(|(_, attempt)| attempt.to_string());
    assert_eq!(listed, [(json!(first), json!("attempt-1")), (json!(second), json!("attempt-2"))]);
    assert_eq!(w.token_requests(), 1, "one token for all of it");
    let resource = w.identity.rules().log()[0].resource.clone();
    assert_eq!(resource.as_deref(), Some("https://vault.azure.net"));

    // Another process reads what this one wrote.
    let mut other = w.process().await;
    assert_eq!(other.ask(&format!("get {second}")).await["ok"], p.ask(&format!("get {second}")).await["ok"]);
    assert_eq!(w.requests(&mut at), [(Operation::Get, 401), (Operation::Get, 200), (Operation::Get, 200)]);
    w.assert_well_behaved();
}

#[tokio::test]
async fn the_proof_for_a_first_version_is_one_put_under_a_name_of_its_own() {
    let w = world().await;
    let mut p = w.process().await;
    let mut at = 0;
    assert_eq!(p.ask("prove-first").await["ok"], json!(null), "there is no version yet");
    assert_eq!(w.requests(&mut at), [(Operation::Set, 401), (Operation::Set, 200)]);
    p.put("a").await;
    at = w.vault.rules().log().len();
    assert_eq!(p.ask("prove-first").await["ok"], json!(null));
    assert_eq!(w.requests(&mut at), [(Operation::Set, 200)], "one version for each proof and no more");
    {
        let rules = w.vault.rules();
        assert_eq!((rules.versions(NAME).len(), rules.versions(PROBE).len()), (1, 2));
        assert!(rules.versions(PROBE).iter().all(|probe| probe.tags.is_empty() && probe.value.starts_with("no token: ")));
    }
    assert_eq!(p.ask("list").await["ok"].as_array().map(Vec::len), Some(1), "it is in no list");
    w.assert_well_behaved();
}

#[tokio::test]
async fn the_proof_for_a_first_version_fails_as_the_version_would() {
    let w = world().await;
    let mut p = w.process().await;
    p.ask("prove-first").await;
    for (denial, says) in [(Denial::Rbac, "secrets/setSecret/action"), (Denial::AccessPolicy, "permission Set"), (Denial::Firewall, "network rules")]
    {
        w.vault.rules().deny(Action::Set, Some(denial));
        Process::assert_error(&p.ask("prove-first").await, "NotWritable", &[says, PROBE]);
    }
    w.vault.rules().deny(Action::Set, None);
    w.vault.rules().script(None, Fault::page(200));
    Process::assert_error(&p.ask("prove-first").await, "Unclear", &[]);
    w.vault.rules().script(None, Fault::failed(500));
    Process::assert_error(&p.ask("prove-first").await, "Unclear", &[]);
    w.vault.rules().script(None, Fault::EffectThen(Delivery::Cut));
    Process::assert_error(&p.ask("prove-first").await, "Unclear", &[]);
    assert_eq!(w.vault.rules().versions(PROBE).len(), 2, "what was not confirmed is not sent again");
    // As a person does who finds it and does not know what it is for.
    w.vault.rules().delete(PROBE);
    Process::assert_error(&p.ask("prove-first").await, "NotWritable", &[PROBE, "recover it"]);
    w.assert_well_behaved();
}

#[tokio::test]
async fn every_write_has_a_connection_of_its_own_and_reads_share_one() {
    let w = world().await;
    let mut p = w.process().await;
    let version = p.put("a").await;
    p.put("b").await;
    p.ask(&format!("prove {version}")).await;
    let writes: Vec<u64> = w.vault.rules().log().iter().map(|it| it.connection).collect();
    assert_eq!(writes, [0, 1, 2, 3]);
    for _ in 0..3 {
        p.ask(&format!("get {version}")).await;
    }
    let reads: Vec<u64> = w.vault.rules().log()[4..].iter().map(|it| it.connection).collect();
    assert_eq!(reads, [4, 4, 4]);
    assert_eq!(w.relay.tunnels(), vec![format!("{}:443", crate::world::HOST); 5], "all by the vault's public name");
}

#[tokio::test]
async fn a_list_of_many_pages_is_whole_and_in_no_order_that_means_anything() {
    let w = world().await;
    let mut p = w.process().await;
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let planted: Vec<String> = {
        let mut rules = w.vault.rules();
        let planted = (0..60).map(|n| rules.plant(now, NAME, "{}", &[("attempt", &format!("attempt-{n}")), ("other", "x")])).collect();
        rules.plant(now, NAME, "{}", &[]);
        planted
    };
    w.vault.rules().enable(NAME, &planted[7], false);
    let answer = p.ask("list").await;
    let listed = answer["ok"].as_array().unwrap();
    assert_eq!(listed.len(), 60, "61 less the one that is disabled");
    let names: Vec<&str> = listed.iter().map(|it| it[0].as_str().unwrap()).collect();
    assert!(!names.contains(&planted[7].as_str()));
    assert_ne!(names[..20], planted.iter().map(String::as_str).collect::<Vec<_>>()[..20], "the order is the vault's, not that of time");
    for line in listed {
        let n = planted.iter().position(|id| line[0] == **id);
        assert_eq!(line[2], n.map_or(json!(null), |n| json!(format!("attempt-{n}"))));
        assert_eq!(line[1], 1_800_000_000);
    }
    assert!(p.said().await.contains("left_out=1"), "the disabled one is noted in the log");
    let mut at = 0;
    assert_eq!(w.requests(&mut at).len(), 4, "challenge and three pages");
    w.assert_well_behaved();
}

/// A keep-warm installation writes 144 versions a day, and none is ever deleted.
#[tokio::test]
async fn a_list_of_twenty_thousand_versions_ends_in_time() {
    let w = world().await;
    let mut p = w.process().await;
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    for n in 0..20_000 {
        w.vault.rules().plant(now, NAME, "{}", &[("attempt", &format!("attempt-{n}"))]);
    }
    let answer = p.ask("list").await;
    assert_eq!(answer["ok"].as_array().map(Vec::len), Some(20_000), "{}", answer["text"]);
    let mut at = 0;
    assert_eq!(w.requests(&mut at).len(), 801);
    println!("measured: a list of 20,000 versions is 800 requests over one connection, {} ms against a local server", answer["ms"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_before_the_first_version_the_list_is_empty() {
    for unknown_name_is_404 in [false, true] {
        let w = world_with(Rules::with(|rules| rules.unknown_name_is_404 = unknown_name_is_404), managed_identity::Rules::default()).await;
        let mut p = w.process().await;
        assert_eq!(p.ask("list").await["ok"], json!([]));
        for command in ["get", "prove"] {
            Process::assert_error(&p.ask(&format!("{command} 0123456789abcdef0123456789abcdef")).await, "NotFound", &["0123456789abcdef"]);
        }
        w.assert_well_behaved();
    }
}

#[tokio::test]
async fn a_version_without_a_name_is_never_asked_for() {
    let w = world().await;
    let mut p = w.process().await;
    p.put("a").await;
    let before = w.vault.rules().log().len();
    Process::assert_error(&p.ask("get ").await, "NotFound", &[]);
    Process::assert_error(&p.ask("prove ").await, "NotFound", &[]);
    assert_eq!(w.vault.rules().log().len(), before, "it would mean the latest");
}

#[tokio::test]
async fn what_is_damaged_is_named_by_its_version_and_not_quoted() {
    let w = world().await;
    let mut p = w.process().await;
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    for value in [CANARY.to_owned(), String::new(), format!("{{\"v\":1,\"refresh_token\":\"{CANARY}\"}}"), "{\"v\":2}".to_owned()] {
        let version = w.vault.rules().plant(now, NAME, &value, &[]);
        Process::assert_error(&p.ask(&format!("get {version}")).await, "Damaged", &[&version]);
    }
    assert!(!p.said().await.contains(CANARY));
}

#[tokio::test]
async fn a_value_that_the_vault_would_refuse_is_not_sent() {
    let w = world().await;
    let mut p = w.process().await;
    Process::assert_error(&p.ask("put-bytes 25000").await, "NotWritable", &["bytes", "25000"]);
    let mut at = 0;
    assert_eq!(w.requests(&mut at), []);
    assert!(p.ask("put-bytes 24000").await["ok"].is_string());
    w.assert_well_behaved();
}

#[tokio::test]
async fn a_token_of_odd_characters_comes_back_as_it_was() {
    let w = world().await;
    let mut p = w.process().await;
    for token in ["stampNL001.AbCd!IAAAA-made_up", "a\"b\\c/d\\u0041", "%21+%2B&=;<>{}[]", "\u{e9}\u{20ac}\u{1f600}\u{200b}\u{feff}", "\u{1}\u{7f}\t"]
    {
        let version = p.ask(&format!("put odd {token}")).await["ok"].as_str().unwrap().to_owned();
        let expected = Fingerprint::of(&Secret::new(token)).to_string();
        assert_eq!(p.ask(&format!("get {version}")).await["ok"], json!(["odd", expected]), "{token:?}");
    }
    w.assert_well_behaved();
}
