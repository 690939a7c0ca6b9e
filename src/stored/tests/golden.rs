//! Documents of format version 1, letter by letter. They must be read for ever: change none, add more.

use expect_test::expect;

use super::super::*;
use super::assert_same;
use crate::token::consent::Consents;
use crate::token::ledger::{BackoffCause, FailureKind, Today};
use crate::token::reply::{Misconfiguration, NotSent, Refusal, Unclear};
use crate::token::{AttemptId, Fingerprint, Issued, VersionId};

pub(super) const ALL: [&str; 3] = [CREDENTIAL, LEDGER, EMBEDDED];

pub(super) const CREDENTIAL: &str = r#"{
  "v": 1,
  "refresh_token": "made-up-refresh-token-1",
  "access": {
    "value": "made-up-access-token-1",
    "expires_at": "2026-11-23T17:25:31.25Z",
    "lifetime_seconds": 600
  },
  "granted_at": "2026-11-23T17:15:32Z",
  "renewable_at": "2026-11-23T17:25:02.000000001Z",
  "attempt": "7b0c4a52-0001",
  "epoch": 3,
  "lock_id": "embedded",
  "chain": {
    "base_url": "https://start.exactonline.nl",
    "client_id": "made-up-client-id",
    "user": "made-up-user"
  }
}"#;

pub(super) const LEDGER: &str = r#"{
  "v": 1,
  "epoch": 3,
  "generation": 42,
  "head": {
    "version": "17-7b0c4a52-0001",
    "fingerprint": "000102030405060708090a0b0c0d0e0f",
    "epoch": 3,
    "user": "made-up-user",
    "granted_at": "2026-11-23T17:15:32Z"
  },
  "candidates": [
    {
      "version": "16-7b0c4a52-0000",
      "fingerprint": "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
      "epoch": 2,
      "user": null,
      "granted_at": "2026-11-22T09:00:00.5Z"
    }
  ],
  "open": [
    {
      "id": "7b0c4a52-0002",
      "fingerprint": "000102030405060708090a0b0c0d0e0f",
      "opened": "2026-11-23T17:25:02Z",
      "quarantine_until": "2026-11-23T17:27:22Z",
      "unclear_since": "2026-11-23T17:26:42Z"
    }
  ],
  "refusals": [
    {
      "fingerprint": "000102030405060708090a0b0c0d0e0f",
      "refusal": "old_token_used",
      "count": 1,
      "last": "2026-11-23T17:27:30Z"
    }
  ],
  "backoff": {
    "cause": {
      "not_sent": "unreachable"
    },
    "first": "2026-11-23T17:28:00Z",
    "count": 2,
    "until": "2026-11-23T17:28:10Z"
  },
  "ungranted": [
    "2026-11-23T17:25:02Z"
  ],
  "today": {
    "day": 20780,
    "requests": 97
  },
  "dead": {
    "since": "2026-11-23T17:29:00Z",
    "refusal": "expired",
    "probes": 1,
    "last_probe": null
  },
  "misconfigured": {
    "what": "invalid_client",
    "settings": "101112131415161718191a1b1c1d1e1f",
    "last": "2026-11-23T17:30:00Z"
  },
  "clock_behind_since": "2026-11-23T17:31:00Z",
  "last_failure": {
    "what": {
      "unclear": {
        "status": 503
      }
    },
    "at": "2026-11-23T17:32:00Z",
    "in_a_row": 5
  },
  "rebuilt_at": "2026-11-23T17:33:00Z",
  "recent_grants": [
    "2026-11-23T17:15:32Z"
  ],
  "consents": {
    "used": [
      {
        "state": "202122232425262728292a2b2c2d2e2f",
        "expires_at": "2026-11-23T17:44:00Z"
      }
    ],
    "begun": "2026-11-23T17:34:00Z",
    "person": {
      "id": "made-up-user",
      "name": "Made Up",
      "login": "made.up@example.invalid",
      "company": "Made-Up Company",
      "division": 123456
    },
    "pending": {
      "pointer": {
        "version": "18-7b0c4a52-0003",
        "fingerprint": "303132333435363738393a3b3c3d3e3f",
        "epoch": 4,
        "user": null,
        "granted_at": "2026-11-23T17:35:00Z"
      },
      "person": null
    }
  },
  "lock_id": "embedded",
  "writer": "embedded"
}"#;

pub(super) const EMBEDDED: &str = r#"{
  "v": 1,
  "ledger": null,
  "written": 17,
  "versions": [
    {
      "id": "17-7b0c4a52-0001",
      "credential": {
        "refresh_token": "made-up-refresh-token-1",
        "access": null,
        "granted_at": "2026-11-23T17:15:32Z",
        "renewable_at": "2026-11-23T17:15:32Z",
        "attempt": "7b0c4a52-0001",
        "epoch": 3,
        "lock_id": "embedded",
        "chain": {
          "base_url": "https://start.exactonline.nl",
          "client_id": "made-up-client-id",
          "user": null
        }
      }
    }
  ]
}"#;

#[test]
fn a_credential_of_version_1() {
    let credential = credential_from_json(CREDENTIAL).unwrap();
    let access = credential.access.as_ref().unwrap();
    assert_eq!(credential.refresh_token.reveal(), "made-up-refresh-token-1");
    assert_eq!(access.value.reveal(), "made-up-access-token-1");
    assert_eq!(access.expires_at.as_millisecond(), 1_795_454_731_250);
    assert_eq!(access.lifetime.as_secs(), 600);
    assert_eq!(credential.attempt, AttemptId("7b0c4a52-0001".into()));
    assert_eq!(credential_to_json(&credential).reveal(), CREDENTIAL);
}

#[test]
fn a_ledger_of_version_1() {
    let ledger = ledger_from_json(LEDGER).unwrap();
    assert_eq!((ledger.epoch, ledger.generation), (3, 42));
    assert_eq!(ledger.head.as_ref().unwrap().fingerprint.0[15], 15);
    assert_eq!(ledger.candidates[0].version, VersionId("16-7b0c4a52-0000".into()));
    assert_eq!(ledger.open[0].unclear_since.unwrap().as_second(), 1_795_454_802);
    assert_eq!(ledger.refusals[0].refusal, Refusal::OldTokenUsed);
    assert_eq!(ledger.backoff.unwrap().cause, BackoffCause::NotSent(NotSent::Unreachable));
    assert_eq!(ledger.today, Today { day: 20_780, requests: 97 });
    assert_eq!(ledger.dead.unwrap().last_probe, None);
    assert_eq!(ledger.misconfigured.unwrap().what, Misconfiguration::InvalidClient);
    assert_eq!(ledger.last_failure.unwrap().what, FailureKind::Unclear(Unclear::Status(503)));
    assert_eq!(ledger_to_json(&ledger), LEDGER);
}

/// Written before there were consents.
#[test]
fn a_ledger_without_consents() {
    let (before, rest) = LEDGER.split_once("  \"recent_grants\"").unwrap();
    let (_, after) = rest.split_once("  \"lock_id\"").unwrap();
    let ledger = ledger_from_json(&format!("{before}  \"lock_id\"{after}")).unwrap();
    assert_eq!((ledger.generation, ledger.recent_grants.len(), ledger.consents), (42, 0, Consents::default()));
}

/// Written since the age of a refresh token is kept that a grant leaves as it was.
pub(super) fn ledger_with_issued() -> String {
    let (before, after) = LEDGER.split_once("  \"consents\"").unwrap();
    let issued = "  \"issued\": {\n    \"fingerprint\": \"000102030405060708090a0b0c0d0e0f\",\n    \"at\": \"2026-11-20T08:00:00Z\"\n  },\n";
    format!("{before}{issued}  \"consents\"{after}")
}

/// Written since it is known of an attempt whether it sent a code.
pub(super) fn ledger_with_a_code_sent() -> String {
    LEDGER.replace("\"unclear_since\": \"2026-11-23T17:26:42Z\"\n", "\"unclear_since\": \"2026-11-23T17:26:42Z\",\n      \"code_in\": 3\n")
}

#[test]
fn a_ledger_that_knows_of_a_code_that_was_sent() {
    let document = ledger_with_a_code_sent();
    let ledger = ledger_from_json(&document).unwrap();
    assert_eq!(ledger.open[0].code_in, Some(3));
    assert_eq!(ledger_to_json(&ledger), document);
    assert_eq!(ledger_from_json(LEDGER).unwrap().open[0].code_in, None);
}

/// Written since it is known to which pair a person said no.
pub(super) fn ledger_with_a_no() -> String {
    let (before, after) = LEDGER.split_once("\n  },\n  \"lock_id\"").unwrap();
    let declined = "\"declined\": [\n      \"404142434445464748494a4b4c4d4e4f\"\n    ]";
    format!("{before},\n    {declined}\n  }},\n  \"lock_id\"{after}")
}

#[test]
fn a_ledger_that_knows_of_a_no() {
    let document = ledger_with_a_no();
    let ledger = ledger_from_json(&document).unwrap();
    assert_eq!(ledger.consents.declined.iter().map(ToString::to_string).collect::<Vec<_>>(), ["404142434445464748494a4b4c4d4e4f"]);
    assert_eq!(ledger_to_json(&ledger), document);
    assert!(ledger_from_json(LEDGER).unwrap().consents.declined.is_empty());
}

#[test]
fn a_ledger_that_knows_the_age_of_its_refresh_token() {
    let document = ledger_with_issued();
    let ledger = ledger_from_json(&document).unwrap();
    let fingerprint = Fingerprint([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(ledger.issued, Some(Issued { fingerprint, at: "2026-11-20T08:00:00Z".parse().unwrap() }));
    assert_eq!(ledger_to_json(&ledger), document);
    assert_eq!(ledger_from_json(LEDGER).unwrap().issued, None);
}

#[test]
fn a_file_of_version_1() {
    let file = embedded_from_json(EMBEDDED).unwrap();
    assert_eq!((file.ledger.as_ref(), file.written, file.versions.len()), (None, 17, 1));
    let mut single = credential_from_json(CREDENTIAL).unwrap();
    single.access = None;
    single.renewable_at = single.granted_at;
    single.chain.user = None;
    assert_same(&file.versions[0].credential, &single);
    assert_eq!(embedded_to_json(&file).reveal(), EMBEDDED);
}

#[test]
fn a_field_of_a_later_release_is_passed_over() {
    let ledger = LEDGER.replace("\"count\": 2", "\"count\": 2, \"added_later\": {\"deep\": [1, null]}");
    assert_eq!(ledger_from_json(&ledger), ledger_from_json(LEDGER));
}

#[test]
#[expect(clippy::needless_raw_string_hashes, reason = "expect_test writes them when it updates the text")]
fn errors_say_what_and_where() {
    let change = |document: &str, from: &str, to: &str| {
        assert!(document.contains(from), "{from}");
        document.replacen(from, to, 1)
    };
    let ledger = |from, to| ledger_from_json(&change(LEDGER, from, to)).unwrap_err();
    let credential = |from, to| credential_from_json(&change(CREDENTIAL, from, to)).unwrap_err();
    let embedded = |from, to| embedded_from_json(&change(EMBEDDED, from, to)).unwrap_err();
    let mut doubled = embedded_from_json(EMBEDDED).unwrap();
    doubled.versions.push(doubled.versions[0].clone());
    let twice = embedded_from_json(embedded_to_json(&doubled).reveal()).unwrap_err();
    let said = [
        ledger_from_json(" \n").unwrap_err(),
        ledger_from_json("[]").unwrap_err(),
        ledger_from_json(&format!("{LEDGER}{{}}")).unwrap_err(),
        ledger("\"v\": 1", "\"v\": 2"),
        ledger("\"v\": 1", "\"v\": 271828"),
        ledger("\"v\": 1,", ""),
        ledger("\"opened\"", "\"closed\""),
        ledger("\"2026-11-22T09", "\"1999-11-22T09"),
        ledger("f0f1f2", "f0f1f"),
        ledger("\"probes\": 1", "\"probes\": \"1\""),
        ledger("\"probes\": 1", "\"probes\": 4000000000"),
        ledger("\"refusal\": \"expired\"", "\"refusal\": \"tired\""),
        ledger("\"2026-11-23T17:25:02Z\"\n", &["\"2026-11-23T17:25:02Z\""; 65].join(",")),
        ledger("\"embedded\"", "\"\""),
        ledger("\"writer\": \"embedded\"\n}", "\"wri"),
        ledger("\"epoch\": 3", "\"epoch\" = 3"),
        credential("made-up-refresh-token-1", ""),
        credential("600", "86401"),
        embedded("[", "[{\"id\": \"17-7b0c4a52-0001\", \"credential\": {}},"),
        twice,
    ];
    let said = said.map(|problem| problem.to_string()).join("\n");
    expect![[r#"
        it is empty
        the document: it is not of the expected kind (before or at line 1, column 2)
        it is not valid JSON from line 106, column 2 on
        its format version is 2; this program knows version 1, so it was written by a later release
        its format version is unknown; this program knows version 1, so it was written by a later release
        v: it is missing (before or at line 106, column 1)
        open[0].opened: it is missing (before or at line 28, column 5)
        candidates[0].granted_at: a time such as 2026-11-23T17:25:31.5Z, of the years 2000 to 2200, is expected (before or at line 19, column 5)
        candidates[0].fingerprint: 32 hexadecimal digits are expected (before or at line 15, column 54)
        dead.probes: it is not of the expected kind (before or at line 56, column 17)
        dead.probes: a smaller number is expected (before or at line 56, column 24)
        dead.refusal: it is not of the expected kind (before or at line 55, column 22)
        ungranted: the list is too long (before or at line 47, column 1501)
        lock_id: it is empty (before or at line 104, column 15)
        it ends in the middle, at line 105, column 6
        it is not valid JSON from line 3, column 11 on
        refresh_token: it is empty (before or at line 3, column 21)
        access.lifetime_seconds: whole seconds, 1 to 86400, are expected (before or at line 8, column 3)
        versions[0].credential.refresh_token: it is missing (before or at line 5, column 58)
        versions: two of them have the same id (before or at line 41, column 1)"#]]
    .assert_eq(&said);
}
