//! Documents that somebody else wrote, for the fuzzer.

use fuzzing::Target;
use jiff::Timestamp;

use super::super::*;
use super::{assert_same, golden};
use crate::token::Fingerprint;
use crate::token::schedule::{self, Mode, Policy};

/// What a document that cannot be read comes to.
fn refused(problem: &Malformed) -> String {
    format!("{problem} {problem:?} {problem:#?}")
}

#[test]
fn stored_credential() {
    Target::new("stored-credential").words(malformed::NAMES).run(|input| match credential_from_json(&String::from_utf8_lossy(input)) {
        Err(problem) => refused(&problem),
        Ok(credential) => {
            let text = credential_to_json(&credential);
            let again = credential_from_json(text.reveal()).unwrap();
            assert_same(&credential, &again);
            assert_eq!(credential_to_json(&again).reveal(), text.reveal());
            format!("{:?} {:?} {text:?}", credential.refresh_token, credential.access)
        }
    });
}

#[test]
fn stored_ledger() {
    let credential = credential_from_json(golden::CREDENTIAL).unwrap();
    let policy =
        Policy { mode: Mode::KeepWarm, chain: credential.chain.clone(), settings: Fingerprint([7; 16]), lock_id: credential.lock_id.clone() };
    Target::new("stored-ledger").words(malformed::NAMES).longest(8192).run(move |input| match ledger_from_json(&String::from_utf8_lossy(input)) {
        Err(problem) => refused(&problem),
        Ok(ledger) => {
            let text = ledger_to_json(&ledger);
            assert_eq!(ledger_from_json(&text).as_ref(), Ok(&ledger));
            reckoned(&ledger, &credential, &policy);
            String::new()
        }
    });
}

/// Whatever was accepted, the core can reckon with it at any time of these two centuries.
fn reckoned(ledger: &Ledger, credential: &Credential, policy: &Policy) {
    for second in [946_684_800, 1_795_454_731, 7_289_654_399] {
        let now = Timestamp::from_second(second).unwrap();
        let _ = (
            schedule::due(ledger, Some(credential), now, policy),
            schedule::renewable_at(ledger, credential, now),
            schedule::next_probe(ledger, now),
            ledger.code_budget(now),
        );
        let _ = (ledger.ungranted_in_hour(now), ledger.requests_today(now), ledger.in_quarantine(now).count());
        let mut changed = ledger.clone();
        changed.reanchor(now);
        changed.hold_off(now);
        changed.announce(credential.attempt.clone(), credential.fingerprint(), now);
        assert!(ledger_from_json(&ledger_to_json(&changed)).is_ok());
    }
}

#[test]
fn embedded_file() {
    Target::new("embedded-file").words(malformed::NAMES).longest(8192).run(|input| match embedded_from_json(&String::from_utf8_lossy(input)) {
        Err(problem) => refused(&problem),
        Ok(content) => {
            let text = embedded_to_json(&content);
            let again = embedded_from_json(text.reveal()).unwrap();
            assert_eq!(embedded_to_json(&again).reveal(), text.reveal());
            assert_eq!((again.written, again.versions.len(), &again.ledger), (content.written, content.versions.len(), &content.ledger));
            format!("{text:?}")
        }
    });
}
