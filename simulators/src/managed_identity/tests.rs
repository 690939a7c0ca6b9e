//! What the endpoint refuses, gives and forgets.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::*;

const VAULT: &str = "https://vault.azure.net";

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn ask(extra: &[(&str, &str)]) -> Request {
    let query = [("api-version", API_VERSION), ("resource", VAULT)].iter().chain(extra).map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    Request { method: "GET".to_owned(), query: query.collect(), header: Some(Rules::header().to_owned()) }
}

#[test]
fn a_token_is_given_out_with_its_end_as_text_and_kept_until_then() {
    let mut rules = Rules::with(|rules| rules.lifetime = Duration::from_mins(10));
    let reply = rules.token(now(), &ask(&[]));
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["expires_on"], "1800000600");
    let token = body["access_token"].as_str().unwrap();
    assert!(rules.opens(token, VAULT, now()) && !rules.opens(token, "https://storage.azure.com", now()));
    assert!(!rules.opens(token, VAULT, now() + Duration::from_mins(10)));
    assert_eq!(rules.token(now(), &ask(&[])).body, reply.body);
    rules.revoke_all();
    assert!(!rules.opens(token, VAULT, now()));
    assert_ne!(rules.token(now(), &ask(&[])).body, reply.body);
    assert_eq!(rules.violations(), []);
    assert_eq!(rules.log().len(), 3);
}

#[test]
fn what_is_not_the_protocol_is_refused_and_recorded() {
    let mut rules = Rules::with(|rules| rules.user_assigned.push("known".to_owned()));
    assert_eq!(rules.token(now(), &Request { header: None, ..ask(&[]) }).status, 401);
    assert_eq!(rules.token(now(), &Request { method: "POST".to_owned(), ..ask(&[]) }).status, 400);
    assert_eq!(rules.token(now(), &Request { query: Vec::new(), ..ask(&[]) }).status, 400);
    assert_eq!(rules.violations(), [Violation::Header, Violation::NotGet, Violation::ApiVersion, Violation::Resource]);
    assert_eq!(rules.token(now(), &ask(&[("client_id", "KNOWN")])).status, 200);
    assert_eq!(rules.token(now(), &ask(&[("client_id", "other")])).status, 400);
    rules.script(Fault::Status(429, Some(6)));
    assert_eq!(rules.token(now(), &ask(&[])).header("retry-after"), Some("6"));
}

/// What it says was read with an independent decoder (`base64 -d` of coreutils).
#[test]
fn a_token_for_storage_is_a_json_web_token() {
    let mut rules = Rules::default();
    let token = rules.issue(now(), STORAGE);
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts[0], "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9");
    assert!(parts[1].starts_with("eyJhdWQiOiJodHRwczovL3N0b3JhZ2UuYXp1cmUuY29tIiwiZXhwIjoxODAwMDg2NDAw"), "{}", parts[1]);
    assert_eq!(parts[2], "SIMULATED-identity-token-1");
    assert!(rules.opens(&token, STORAGE, now()));
    assert!(!rules.opens(&token, VAULT, now()));
}
