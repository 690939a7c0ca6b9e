mod arbitrary;
mod fuzz;
mod golden;

use arbitrary::Reach;
use proptest::prelude::*;
use serde_json::Value;

use super::malformed::NAMES;
use super::*;
use crate::token::Pointer;

const CANARY: &str = "made-up-canary-7f3a";

/// `Credential` has no equality, because secrets have none.
fn assert_same(left: &Credential, right: &Credential) {
    let open = |credential: &Credential| {
        let access = credential.access.as_ref().map(|access| (access.value.reveal().to_owned(), access.expires_at, access.lifetime));
        (credential.refresh_token.reveal().to_owned(), access, credential.granted_at, credential.renewable_at)
    };
    assert_eq!(open(left), open(right));
    assert_eq!((&left.attempt, left.epoch, &left.lock_id, &left.chain), (&right.attempt, right.epoch, &right.lock_id, &right.chain));
}

proptest! {
    #[test]
    fn a_ledger_comes_back_as_it_was(ledger in arbitrary::ledger(Reach::InRange)) {
        prop_assert_eq!(ledger_from_json(&ledger_to_json(&ledger)), Ok(ledger));
    }

    #[test]
    fn a_credential_comes_back_as_it_was(credential in arbitrary::credential(Reach::InRange)) {
        let read = credential_from_json(credential_to_json(&credential).reveal()).unwrap();
        assert_same(&credential, &read);
    }

    /// A document that the next process cannot read would end the chain.
    #[test]
    fn whatever_is_written_can_be_read(ledger in arbitrary::ledger(Reach::Anything), credential in arbitrary::credential(Reach::Anything)) {
        ledger_from_json(&ledger_to_json(&ledger)).unwrap();
        let read = credential_from_json(credential_to_json(&credential).reveal()).unwrap();
        prop_assert_eq!(read.refresh_token.reveal(), credential.refresh_token.reveal());
    }

    #[test]
    fn arbitrary_text_is_an_error_and_no_panic(bytes in any::<Vec<u8>>()) {
        let text = String::from_utf8_lossy(&bytes);
        ledger_from_json(&text).unwrap_err();
        credential_from_json(&text).unwrap_err();
        embedded_from_json(&text).unwrap_err();
    }

    #[test]
    fn a_document_that_was_tampered_with_is_never_quoted(at in any::<prop::sample::Index>(), cut in 0..40_usize, raw in any::<bool>()) {
        for document in golden::ALL {
            let mut bytes = document.as_bytes().to_vec();
            let at = at.index(bytes.len());
            let planted = if raw { CANARY.to_owned() } else { format!("\"{CANARY}\"") };
            bytes.splice(at..(at + cut).min(document.len()), planted.bytes());
            never_quoted(&String::from_utf8_lossy(&bytes));
        }
    }
}

fn never_quoted(document: &str) {
    for problem in [ledger_from_json(document).err(), credential_from_json(document).err(), embedded_from_json(document).err()].into_iter().flatten()
    {
        assert!(!format!("{problem} {problem:?}").contains("canary"), "{problem:?}");
    }
}

/// Every value and every name of the golden documents in turn becomes a secret.
#[test]
fn a_secret_in_the_place_of_any_value_or_name_is_never_quoted() {
    fn each(value: &Value, put: &mut dyn FnMut(Value)) {
        put(Value::from(CANARY));
        put(serde_json::json!({ CANARY: CANARY }));
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let mut without = fields.clone();
                    without.remove(name);
                    put(Value::Object(without.clone()));
                    without.insert(CANARY.to_owned(), inner.clone());
                    put(Value::Object(without));
                    each(inner, &mut |changed| {
                        let mut fields = fields.clone();
                        fields.insert(name.clone(), changed);
                        put(Value::Object(fields));
                    });
                }
            }
            Value::Array(items) => {
                for (at, inner) in items.iter().enumerate() {
                    each(inner, &mut |changed| {
                        let mut items = items.clone();
                        items[at] = changed;
                        put(Value::Array(items));
                    });
                }
            }
            _ => {}
        }
    }
    for document in golden::ALL {
        let mut tried = 0;
        each(&serde_json::from_str(document).unwrap(), &mut |changed| {
            tried += 1;
            never_quoted(&changed.to_string());
        });
        assert!(tried > 30, "{tried}");
    }
}

#[test]
fn a_ledger_holds_no_secret() {
    let mut credential = credential_from_json(golden::CREDENTIAL).unwrap();
    credential.refresh_token = Secret::new(format!("{CANARY}-refresh"));
    credential.access.as_mut().unwrap().value = Secret::new(format!("{CANARY}-access"));
    assert!(credential_to_json(&credential).reveal().matches(CANARY).count() == 2, "the canaries are where they should be");

    let mut ledger = ledger_from_json(golden::LEDGER).unwrap();
    ledger.announce(credential.attempt.clone(), credential.fingerprint(), credential.granted_at);
    ledger.new_epoch(Pointer::to(crate::token::VersionId("v2".into()), &credential));
    let text = ledger_to_json(&ledger);
    assert!(text.contains(&credential.fingerprint().to_string()));
    assert!(!text.contains(CANARY));
}

/// The list is what keeps a document's own names out of errors.
#[test]
fn every_name_that_is_written_is_in_the_list_and_the_reverse() {
    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, inner)| {
                into.push(name.clone());
                collect(inner, into);
            }),
            Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    for document in golden::ALL.into_iter().chain([&*golden::ledger_with_issued(), &*golden::ledger_with_a_code_sent(), &*golden::ledger_with_a_no()])
    {
        collect(&serde_json::from_str(document).unwrap(), &mut names);
    }
    // These three are words for what went wrong, not fields.
    names.retain(|name| !["not_sent", "unclear", "status"].contains(&name.as_str()));
    names.sort_unstable();
    names.dedup();
    let mut listed: Vec<_> = NAMES.iter().map(ToString::to_string).collect();
    listed.sort_unstable();
    assert_eq!(names, listed);
}
