//! The rules, request by request. What the sockets do is shown by the product's own tests and by the referee.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::exact_online::{Delivery, Reply};

const NAME: &str = "made-up";

struct World {
    rules: Rules,
    now: Timestamp,
}

fn world() -> World {
    World { rules: Rules::default(), now: Timestamp::from_second(1_800_000_000).unwrap() }
}

impl World {
    fn ask(&mut self, method: &str, path: &str, query: &[(&str, &str)], body: &str) -> Reply {
        let query = query.iter().chain(&[("api-version", "7.6")]).map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
        let request = Request {
            method: method.to_owned(),
            host: "v.vault.azure.net".to_owned(),
            path: path.to_owned(),
            query,
            bearer: Some("good".to_owned()),
            body: body.into(),
            connection: 0,
        };
        self.rules.request(self.now, &request, &|token| token == "good")
    }

    fn set(&mut self, value: &str) -> Reply {
        self.ask("PUT", "/secrets/made-up", &[], &json!({ "value": value, "tags": { "attempt": value } }).to_string())
    }

    fn code(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        code(&self.ask(method, path, &[], body))
    }
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn code(reply: &Reply) -> (u16, String) {
    let body = body(reply);
    let inner = &body["error"]["innererror"]["code"];
    (reply.status, inner.as_str().or(body["error"]["code"].as_str()).unwrap_or_default().to_owned())
}

#[test]
fn without_a_token_there_is_a_challenge_and_a_body_is_a_violation() {
    let mut w = world();
    let probe = Request { method: "PUT".to_owned(), path: "/secrets/made-up".to_owned(), ..Request::default() };
    let reply = w.rules.request(w.now, &probe, &|_| true);
    assert_eq!(reply.status, 401);
    assert!(reply.header("www-authenticate").unwrap().contains(r#"resource="https://vault.azure.net""#));
    assert_eq!(w.rules.violations(), []);
    w.rules.request(w.now, &Request { body: b"{}".to_vec(), ..probe.clone() }, &|_| true);
    assert_eq!(w.rules.violations(), [Violation::BodyBeforeChallenge]);
    assert_eq!(w.rules.request(w.now, &Request { bearer: Some("bad".to_owned()), ..probe }, &|_| false).status, 401);
}

#[test]
fn versions_are_immutable_and_the_list_is_in_no_order() {
    let mut w = world();
    let mut ids = Vec::new();
    for n in 0..60 {
        let reply = w.set(&format!("value-{n}"));
        let id = body(&reply)["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        ids.push(id);
        w.now += Duration::from_secs(1);
    }
    assert_eq!(body(&w.ask("GET", &format!("/secrets/made-up/{}", ids[0]), &[], ""))["value"], "value-0");
    assert_eq!(body(&w.ask("GET", "/secrets/made-up/", &[], ""))["value"], "value-59");

    let (mut listed, mut token) = (Vec::new(), String::new());
    let mut pages = 0;
    loop {
        let reply = body(&w.ask("GET", "/secrets/made-up/versions", &[("$skiptoken", &token)], ""));
        pages += 1;
        for line in reply["value"].as_array().unwrap() {
            assert_eq!(line["value"], Value::Null);
            listed.push(line["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
        }
        match reply["nextLink"].as_str() {
            Some(next) => token = next.split("$skiptoken=").nth(1).unwrap().split('&').next().unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert_ne!(listed, ids);
    ids.sort();
    assert_eq!(listed, ids);
}

#[test]
fn a_patch_makes_no_version_and_replaces_all_tags() {
    let mut w = world();
    w.set("one");
    let id = w.rules.versions(NAME)[0].id.clone();
    let path = format!("/secrets/made-up/{id}");
    assert_eq!(w.ask("PATCH", &path, &[], r#"{"contentType":"text/plain"}"#).status, 200);
    assert_eq!(w.rules.versions(NAME)[0].tags.len(), 1);
    let reply = w.ask("PATCH", &path, &[], r#"{"tags":{"other":"x"},"attributes":{"enabled":false}}"#);
    assert_eq!(body(&reply)["value"], Value::Null);
    let version = &w.rules.versions(NAME)[0];
    assert_eq!((version.tags.keys().next().unwrap().as_str(), version.content_type.as_deref()), ("other", Some("text/plain")));
    assert_eq!(w.code("GET", &path, ""), (403, "SecretDisabled".to_owned()));
    assert_eq!(w.rules.versions(NAME).len(), 1);
}

#[test]
fn refusals_have_the_codes_of_the_real_one() {
    let mut w = world();
    assert_eq!(w.code("GET", "/secrets/made-up/0", ""), (404, "SecretNotFound".to_owned()));
    assert_eq!(w.code("PUT", "/secrets/made-up", "{}"), (400, "BadParameter".to_owned()));
    assert_eq!(w.set(&"x".repeat(25_601)).status, 400);
    assert_eq!(w.code("GET", "/keys", ""), (404, "BadParameter".to_owned()));
    assert_eq!(w.ask("GET", "/secrets/made-up/versions", &[("maxresults", "26")], "").status, 400);
    assert_eq!(w.rules.violations(), [Violation::Body, Violation::TooLarge, Violation::UnknownPath, Violation::PageSize]);
    for (denial, inner) in [(Denial::Rbac, "ForbiddenByRbac"), (Denial::Firewall, "ForbiddenByFirewall"), (Denial::AccessPolicy, "AccessDenied")] {
        w.rules.deny(Action::Set, Some(denial));
        assert_eq!(code(&w.set("x")), (403, inner.to_owned()));
    }
    w.rules.deny(Action::Set, None);
    assert_eq!(w.set("x").status, 200);
    assert_eq!(w.ask("DELETE", "/secrets/made-up", &[], "").status, 200);
    assert_eq!(code(&w.set("y")), (409, "ObjectIsDeletedButRecoverable".to_owned()));
    assert_eq!(w.ask("GET", "/deletedsecrets/made-up", &[], "").status, 200);
    assert_eq!(w.ask("POST", "/deletedsecrets/made-up/recover", &[], "").status, 200);
    assert_eq!(w.set("y").status, 200);
}

#[test]
fn faults_come_before_or_after_the_effect_or_land_later() {
    let mut w = world();
    w.rules.script(Some(Operation::Set), Fault::NoEffect(Delivery::Reset));
    w.rules.script(Some(Operation::Set), Fault::EffectThen(Delivery::Reset));
    w.rules.script(Some(Operation::Set), Fault::LandsLater);
    w.rules.script(None, Fault::throttled(7));
    assert_eq!(w.ask("GET", "/secrets/made-up/versions", &[], "").header("retry-after"), Some("7"));
    assert_eq!((w.set("lost").delivery, w.rules.versions(NAME).len()), (Delivery::Reset, 0));
    assert_eq!((w.set("late reply").delivery, w.rules.versions(NAME).len()), (Delivery::Reset, 1));
    assert_eq!((w.set("late").delivery, w.rules.versions(NAME).len()), (Delivery::Never, 1));
    assert_eq!(w.set("newer").status, 200);
    assert_eq!(w.rules.land(w.now), 1);
    assert_eq!(w.rules.versions(NAME).last().unwrap().value, "late");
    assert_eq!(w.rules.faults_left(), 0);
    assert_eq!(w.rules.log().iter().filter(|it| it.effect).count(), 2);
}

#[test]
fn a_vault_that_is_rolled_back_has_lost_its_last_versions_and_can_get_them_back() {
    let mut w = world();
    let ids: Vec<String> = ["a", "b", "c"].map(|value| body(&w.set(value))["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).to_vec();
    let path = |id: &str| format!("/secrets/made-up/{id}");
    let lost = w.rules.roll_back(NAME, 2);
    assert_eq!(lost.iter().map(|version| version.id.as_str()).collect::<Vec<_>>(), [&ids[1], &ids[2]]);
    assert_eq!(w.code("GET", &path(&ids[2]), ""), (404, "SecretNotFound".to_owned()));
    assert_eq!(w.code("PATCH", &path(&ids[2]), "{}"), (404, "SecretNotFound".to_owned()));
    let listed = |w: &mut World| body(&w.ask("GET", "/secrets/made-up/versions", &[], ""))["value"].as_array().unwrap().len();
    assert_eq!(listed(&mut w), 1);
    assert_eq!(w.set("d").status, 200);
    w.rules.catch_up(NAME, lost);
    assert_eq!(listed(&mut w), 4);
    assert_eq!(body(&w.ask("GET", &path(&ids[1]), &[], ""))["value"], "b");
}

#[test]
fn a_vault_that_is_read_only_is_read() {
    let mut w = world();
    let id = body(&w.set("a"))["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    w.rules.read_only(Some(Fault::failed(409)));
    assert_eq!(w.set("b").status, 409);
    assert_eq!(w.code("PATCH", &format!("/secrets/made-up/{id}"), "{}").0, 409);
    assert_eq!(w.ask("GET", &format!("/secrets/made-up/{id}"), &[], "").status, 200);
    assert_eq!(w.ask("GET", "/secrets/made-up/versions", &[], "").status, 200);
    w.rules.read_only(None);
    assert_eq!(w.set("c").status, 200);
}
