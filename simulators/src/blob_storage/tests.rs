use jiff::{SignedDuration, Timestamp};

use super::{Effect, Request, Rules};

const PATH: &str = "/container/ledger.json";

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn put(query: &[(&str, &str)], headers: &[(&str, &str)], body: &str) -> Request {
    let own = |pairs: &[(&str, &str)]| pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>();
    Request {
        method: "PUT".to_owned(),
        path: PATH.to_owned(),
        query: own(query),
        headers: own(headers).into_iter().collect(),
        body: body.as_bytes().to_vec(),
    }
}

fn lease(action: &str, id: &str) -> Request {
    let headers = [("x-ms-lease-action", action), ("x-ms-lease-id", id), ("x-ms-proposed-lease-id", id), ("x-ms-lease-duration", "60")];
    put(&[("comp", "lease")], &headers, "")
}

/// Status and error code.
fn ask(rules: &mut Rules, second: i64, request: &Request) -> (u16, String) {
    let (reply, _) = rules.request(at(second), request);
    (reply.status, reply.header("x-ms-error-code").unwrap_or_default().to_owned())
}

fn with_a_blob() -> (Rules, String) {
    let mut rules = Rules::default();
    assert_eq!(ask(&mut rules, 0, &lease("acquire", "a")), (404, "ContainerNotFound".to_owned()));
    assert_eq!(ask(&mut rules, 0, &put(&[("restype", "container")], &[], "")).0, 201);
    assert_eq!(ask(&mut rules, 0, &lease("acquire", "a")), (404, "BlobNotFound".to_owned()));
    let (made, effect) = rules.request(at(0), &put(&[], &[("if-none-match", "*")], ""));
    assert_eq!((made.status, effect), (201, Effect::Other));
    let tag = made.header("etag").unwrap().to_owned();
    (rules, tag)
}

#[test]
fn a_lease_is_one_holders_until_it_ends() {
    let (mut rules, _) = with_a_blob();
    assert_eq!(ask(&mut rules, 0, &lease("acquire", "a")).0, 201);
    assert_eq!(ask(&mut rules, 1, &lease("acquire", "a")).0, 201, "a lost reply is harmless");
    assert_eq!(ask(&mut rules, 60, &lease("acquire", "b")), (409, "LeaseAlreadyPresent".to_owned()));
    assert_eq!(ask(&mut rules, 60, &lease("renew", "b")), (409, "LeaseIdMismatchWithLeaseOperation".to_owned()));
    assert_eq!(ask(&mut rules, 62, &lease("renew", "a")).0, 200, "expired, and nobody came");
    assert_eq!(ask(&mut rules, 123, &lease("acquire", "b")).0, 201);
    assert_eq!(ask(&mut rules, 124, &lease("renew", "a")).0, 409);
    assert_eq!(ask(&mut rules, 124, &lease("release", "a")).0, 409);
    assert_eq!(ask(&mut rules, 125, &lease("release", "b")).0, 200);
    assert_eq!(ask(&mut rules, 125, &lease("acquire", "a")).0, 201);
    rules.break_leases();
    assert_eq!(ask(&mut rules, 126, &lease("renew", "a")), (409, "LeaseIsBrokenAndCannotBeRenewed".to_owned()));
}

#[test]
fn a_write_needs_the_lease_and_what_was_read() {
    let (mut rules, tag) = with_a_blob();
    assert_eq!(ask(&mut rules, 0, &lease("acquire", "a")).0, 201);
    let write = |id: &str, tag: &str| put(&[], &[("x-ms-lease-id", id), ("if-match", tag)], "{}");
    assert_eq!(ask(&mut rules, 1, &put(&[], &[("if-match", &tag)], "{}")), (412, "LeaseIdMissing".to_owned()));
    assert_eq!(ask(&mut rules, 1, &write("b", &tag)), (412, "LeaseIdMismatchWithBlobOperation".to_owned()));
    assert_eq!(ask(&mut rules, 1, &write("a", "\"0x0\"")), (412, "ConditionNotMet".to_owned()));
    let (written, effect) = rules.request(at(1), &write("a", &tag));
    assert_eq!((written.status, effect), (201, Effect::Written));
    assert_eq!(ask(&mut rules, 2, &write("a", &tag)), (412, "ConditionNotMet".to_owned()));
    let tag = written.header("etag").unwrap().to_owned();
    assert_eq!(ask(&mut rules, 61, &write("a", &tag)), (412, "LeaseLost".to_owned()), "expired");
    assert_eq!(rules.blobs()[PATH].body, b"{}");
}
