//! What the SDK does by default and must not do here. Each trap that was met, and where it is shown that nobody falls into it; a test holds the table
//! to the tests. (Files of `tests/azure_vault` without a folder.)
//!
//! | trap | test |
//! |---|---|
//! | `Retry-After` is obeyed without a limit: by the vault | `traps.rs::a_retry_after_of_an_hour_holds_no_call` |
//! | … by the blob service | `azure_ledger/silence.rs::an_hour_of_retry_after_is_not_waited_for` |
//! | … by the identity endpoint | `identity.rs::an_identity_endpoint_that_does_not_answer_holds_a_call_for_eight_seconds` |
//! | writes are tried again: to the vault | `trouble.rs::a_write_that_may_have_taken_effect_is_unclear_and_sent_once` |
//! | … to the ledger | `azure_ledger/faults.rs::an_unclear_write_is_read_back` |
//! | an identity endpoint that is away blocks for 81 s: the vault | `identity.rs::an_identity_endpoint_that_does_not_answer_holds_a_call_for_eight_seconds` |
//! | … the ledger | `azure_ledger/silence.rs::an_identity_without_a_token_spares_the_ledger` |
//! | a revoked identity token is kept until shortly before its end | `identity.rs::a_revoked_token_is_replaced_once_and_a_write_is_not_repeated_by_that` |
//! | … by the storage's client | `azure_ledger/identity.rs::a_revoked_token_costs_one_request_more` |
//! | … with the whole program | `on_azure/degraded/vault.rs::an_identity_without_any_token_serves_from_memory_and_recovers` |
//! | a token that lives less than 5 minutes is fetched at every call | `identity.rs::a_token_that_lives_shortly_works` |
//! | 20 cold reads are 20 probes | `traps.rs::twenty_cold_callers_share_one_look` |
//! | `Debug` of an error holds a backtrace, and of a model nothing hides the value | `traps.rs::no_output_holds_a_secret_or_a_backtrace_whatever_fails` |
//! | … with the whole program, storage and all | `on_azure/degraded/secrets.rs::i5_nothing_that_fails_lets_a_secret_or_a_backtrace_out` |
//! | the reason of a refusal is in the body alone | `trouble.rs::a_write_that_was_refused_is_not_writable_and_the_text_says_what_to_do` |
//! | a write that timed out lands late, on top of a newer one | `traps.rs::a_put_that_lands_late_is_the_latest_and_is_not_what_is_read` |
//! | … with the whole program, a restart and a lost ledger | `on_azure/degraded/order.rs::a_write_that_lands_after_a_newer_one_changes_nothing` |
//! | a list is in no order | `promises.rs::a_list_of_many_pages_is_whole_and_in_no_order_that_means_anything` |
//! | … with the whole program | `on_azure/degraded/order.rs::a_list_in_the_vaults_own_order_is_put_into_that_of_grants` |
//! | a list is one request per 25 versions, of which there are more every day | `many_versions.rs::a_list_of_many_slow_pages_is_whole` |
//! | without a version the latest is meant | `promises.rs::a_version_without_a_name_is_never_asked_for` |
//! | a PATCH of tags replaces them all | `promises.rs::a_version_is_put_read_proven_and_listed_and_each_costs_what_is_promised` |
//! | the vault is down at a cold start | `trouble.rs::a_vault_that_is_away_at_a_cold_start_has_been_sent_nothing_and_is_there_when_it_is_back` |
//! | … with the whole program | `on_azure/degraded/vault.rs::a_vault_that_is_down_costs_no_token_and_takes_none_away` |
//! | whoever asks for a token gets it | `traps.rs::somebody_else_who_asks_for_a_token_gets_neither_token_nor_value` |

use std::path::Path;
use std::time::Duration;

use simulators::exact_online::Delivery;
use simulators::key_vault::{Fault, Operation, Rules, Way};
use simulators::managed_identity;
use tokio::time::Instant;

use crate::world::{CANARY, HOST, NAME, Process, world, world_with};

#[test]
fn every_trap_has_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut named = 0;
    for row in include_str!("traps.rs").lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let Some((file, test)) = row.split('`').rev().nth(1).and_then(|name| name.split_once("::")) else { continue };
        let path = folder.join(if file.contains('/') { "" } else { "azure_vault" }).join(file);
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(source.contains(&format!("fn {test}()")), "{test} is not in {}", path.display());
        named += 1;
    }
    assert!(named > 20, "the table was found");
}

/// Once honoured without a limit: an hour of silence.
#[tokio::test]
async fn a_retry_after_of_an_hour_holds_no_call() {
    let w = world().await;
    let mut p = w.process().await;
    let version = p.put("a").await;
    w.vault.rules().always(Some(Fault::throttled(3600)));
    let begun = Instant::now();
    let mut at = 0;
    w.requests(&mut at);
    Process::assert_error(&p.ask(&format!("get {version}")).await, "Unavailable", &["429", "3600 s"]);
    Process::assert_error(&p.ask("list").await, "Unavailable", &["3600 s"]);
    Process::assert_error(&p.ask("put b made-up").await, "NotWritable", &["3600 s"]);
    Process::assert_error(&p.ask(&format!("prove {version}")).await, "NotWritable", &["3600 s"]);
    assert_eq!(w.requests(&mut at).len(), 4, "nobody asks earlier than the server said");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    println!("measured: four calls against Retry-After: 3600 took {} ms", begun.elapsed().as_millis());
}

/// The write that timed out lands later, on top of a newer one; a read that is never answered ends too; and so does a connection that never is.
#[tokio::test]
async fn a_put_that_lands_late_is_the_latest_and_is_not_what_is_read() {
    let w = world().await;
    let (mut p, mut reader, mut stranded) = (w.process().await, w.process().await, w.process().await);
    let first = p.put("first").await;
    reader.ask(&format!("get {first}")).await;
    w.vault.rules().script(Some(Operation::Set), Fault::LandsLater);
    for _ in 0..2 {
        w.vault.rules().script(Some(Operation::Get), Fault::NoEffect(Delivery::Never));
    }
    let slow = format!("put late {CANARY}-late");
    let silent = format!("get {first}");
    let connecting = async {
        // Once the two are on their way, the read for the second time.
        while w.vault.rules().faults_left() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        w.relay.lead(HOST, Way::Silent);
        stranded.ask("put never made-up").await
    };
    let (put, get, connect) = tokio::join!(p.ask(&slow), reader.ask(&silent), connecting);
    Process::assert_error(&put, "Unclear", &[]);
    Process::assert_error(&get, "Unavailable", &["no answer from Key Vault in time"]);
    Process::assert_error(&connect, "NotWritable", &["no connection"]);
    for (answer, least, most) in [(&put, 24_000, 27_000), (&get, 20_000, 24_000), (&connect, 9_000, 12_000)] {
        let took = answer["ms"].as_u64().unwrap();
        assert!((least..most).contains(&took), "{answer}");
    }
    println!("measured: unanswered PUT {} ms, unanswered GET {} ms, unanswered connection {} ms", put["ms"], get["ms"], connect["ms"]);

    w.relay.lead(HOST, Way::To(w.vault.address()));
    let newer = p.put("newer").await;
    assert_eq!(w.vault.rules().versions(NAME).len(), 2, "it was sent once, and is still on its way");
    assert_eq!(w.vault.rules().land(jiff::Timestamp::from_second(1_900_000_000).unwrap()), 1);
    assert_eq!(w.vault.rules().versions(NAME).last().unwrap().tags["attempt"], "late");
    assert_eq!(p.ask(&format!("get {newer}")).await["ok"][0], "newer");
    let listed = p.ask("list").await;
    assert!(listed["ok"].as_array().unwrap().iter().any(|line| line[2] == "late"), "and whoever looks for its attempt finds it");
    w.assert_well_behaved();
}

#[tokio::test]
async fn a_read_that_got_no_answer_is_made_once_more() {
    let w = world().await;
    let mut p = w.process().await;
    let version = p.put("a").await;
    let mut at = 0;
    w.requests(&mut at);
    w.vault.rules().script(Some(Operation::Get), Fault::NoEffect(Delivery::Never));
    let answer = p.ask(&format!("get {version}")).await;
    assert_eq!(answer["ok"][0], "a", "{answer}");
    assert_eq!(w.requests(&mut at).len(), 2);
    assert!((10_000..14_000).contains(&answer["ms"].as_u64().unwrap()), "{answer}");
    w.assert_well_behaved();
}

#[tokio::test]
async fn twenty_cold_callers_share_one_look() {
    let w = world().await;
    let folder = w.folder.path().to_str().unwrap().to_owned();
    let version = w.process().await.put("a").await;
    std::fs::write(w.folder.path().join("version"), &version).unwrap();
    let mut at = 0;
    w.requests(&mut at);
    let mut p = w.process().await;
    assert_eq!(p.ask(&format!("callers 20 {folder}")).await["ok"], 20);
    assert_eq!(w.requests(&mut at), [(Operation::Get, 401), (Operation::Get, 200)]);

    // Without the shared look each of them makes the probe; the token is asked for once all the same.
    let tokens = w.token_requests();
    let mut p = w.process().await;
    assert_eq!(p.ask(&format!("gets 20 {version}")).await["ok"], 20);
    let probes = w.requests(&mut at).iter().filter(|(_, status)| *status == 401).count();
    println!("measured: 20 cold reads below the shared look make {probes} probes and {} token request", w.token_requests() - tokens);
    assert_eq!(w.token_requests(), tokens + 1);
}

#[tokio::test]
async fn somebody_else_who_asks_for_a_token_gets_neither_token_nor_value() {
    let rules = Rules::with(|rules| rules.challenge_resource = Some("https://vault.example.test"));
    let w = world_with(rules, managed_identity::Rules::default()).await;
    let mut p = w.process().await;
    Process::assert_error(&p.ask("put x made-up").await, "NotWritable", &["not that Key Vault"]);
    Process::assert_error(&p.ask("list").await, "Unavailable", &["not that Key Vault"]);
    assert_eq!(w.token_requests(), 0);
    w.assert_well_behaved();
}

/// `RUST_BACKTRACE=1` is set in every process here, and the log is at its finest.
#[tokio::test]
async fn no_output_holds_a_secret_or_a_backtrace_whatever_fails() {
    let w = world().await;
    let mut p = w.process().await;
    let version = p.put("a").await;
    let mut texts = Vec::new();
    for fault in [Fault::failed(500), Fault::throttled(3600), Fault::page(403), Fault::EffectThen(Delivery::Cut), Fault::EffectThen(Delivery::Reset)]
    {
        w.vault.rules().always(Some(fault));
        for command in [format!("put b {CANARY}-b"), format!("get {version}"), format!("prove {version}"), "list".to_owned()] {
            let answer = p.ask(&command).await;
            texts.push(format!("{} {}", answer["text"], answer["debug"]));
        }
    }
    w.vault.rules().always(None);
    w.identity.rules().revoke_all();
    w.identity.rules().always(Some(managed_identity::Fault::Status(400, None)));
    texts.push(p.ask("put c made-up").await["text"].to_string());
    let texts = texts.join("\n");
    let said = p.said().await;
    for heard in ["azure_core", "typespec_client_core", "azure_identity", "reqwest", "hyper_util"] {
        assert!(said.contains(heard), "the log of {heard} was not heard");
    }
    let token = "identity-token";
    for secret in [CANARY, token, managed_identity::Rules::header()] {
        assert!(!said.contains(secret), "{secret} in the log:\n{}", said.lines().filter(|line| line.contains(secret)).collect::<Vec<_>>().join("\n"));
    }
    for word in ["backtrace", "::", "SIMULATED", "Error {"] {
        assert!(!texts.contains(word), "{word} in {texts}");
    }
    assert!(!said.contains("stack backtrace"));
    // The search finds what is there.
    p.ask(&format!("say {CANARY}")).await;
    assert!(p.said().await.contains(CANARY));
}
