//! Which of several log-ins counts, whenever their processes wake up. By the codes that were sent, not by when a grant is dated.

use std::sync::Arc;

use jiff::Timestamp;

use super::arbitrary::at;
use crate::token::consent::{Person, SentCode, UNCONFIRMED};
use crate::token::ledger::Refused;
use crate::token::reply::Refusal;
use crate::token::rotation::Landed;
use crate::token::{AttemptId, ChainIdentity, Credential, Fingerprint, Ledger, LockId, OpenAttempt, Pointer, Secret, VersionId};

const EPOCH: u64 = 5;

fn person(id: &str) -> Person {
    Person { id: id.to_owned(), name: String::new(), login: String::new(), company: String::new(), division: 0 }
}

fn id(number: u8) -> AttemptId {
    AttemptId(format!("log-in-{number}"))
}

fn version(number: u8) -> VersionId {
    VersionId(format!("version-{number}"))
}

fn credential(number: u8, epoch: u64, granted_at: Timestamp, user: Option<&str>) -> Credential {
    let user = user.map(str::to_owned);
    Credential {
        refresh_token: Secret::new(format!("made-up-refresh-{number}")),
        access: None,
        granted_at,
        renewable_at: granted_at,
        attempt: id(number),
        epoch,
        lock_id: LockId("made-up".to_owned()),
        chain: ChainIdentity { base_url: "https://exact.invalid".to_owned(), client_id: "made-up".to_owned(), user },
    }
}

/// What the code of that log-in brought; dated by when its process took note.
fn pair(number: u8, epoch: u64, second: i64) -> Pointer {
    Pointer::to(version(number), &credential(number, epoch, at(second), None))
}

/// A chain of epoch 5, granted long ago.
fn stored(user: Option<&str>) -> Ledger {
    let mut ledger = Ledger::begin(LockId("made-up".to_owned()), "made-up");
    ledger.new_epoch(Pointer::to(version(0), &credential(0, EPOCH, at(-900), user)));
    ledger
}

fn send(ledger: &mut Ledger, number: u8, second: i64) -> SentCode {
    ledger.announce_code(id(number), Fingerprint([number; 16]), None, at(second))
}

fn save(ledger: &mut Ledger, number: u8, epoch: u64, second: i64, user: &str, sent: SentCode) -> Landed {
    ledger.consent_saved(&id(number), pair(number, epoch, second), Some(person(user)), sent)
}

/// As a pass does for every attempt that was open when it began.
fn find(ledger: &mut Ledger, open: &[OpenAttempt], number: u8, epoch: u64, second: i64) -> Landed {
    let attempt = open.iter().find(|open| open.id == id(number)).unwrap();
    ledger.adopt(attempt, version(number), &credential(number, epoch, at(second), None))
}

fn head(ledger: &Ledger) -> &Pointer {
    ledger.head.as_ref().unwrap()
}

fn waits(ledger: &Ledger) -> Option<VersionId> {
    ledger.consents.pending.as_ref().map(|pending| pending.pointer.version.clone())
}

fn candidate(ledger: &Ledger, number: u8) -> Option<&Pointer> {
    ledger.candidates.iter().find(|candidate| candidate.version == version(number))
}

#[test]
fn one_whose_process_slept_before_the_reply_is_overtaken() {
    let mut ledger = stored(Some("x"));
    let (first, second) = (send(&mut ledger, 1, 0), send(&mut ledger, 2, 64));
    assert_eq!(save(&mut ledger, 2, UNCONFIRMED, 65, "x", second), Landed::Head);
    assert_eq!(save(&mut ledger, 1, UNCONFIRMED, 120, "x", first), Landed::Candidate);
    assert_eq!((&head(&ledger).version, ledger.epoch), (&version(2), EPOCH + 1));
}

#[test]
fn an_older_one_does_not_take_the_place_of_one_that_waits() {
    for (user, lands) in [("w", Landed::Candidate), ("x", Landed::Head)] {
        let mut ledger = stored(Some("x"));
        let (first, second) = (send(&mut ledger, 1, 0), send(&mut ledger, 2, 64));
        assert_eq!(save(&mut ledger, 2, UNCONFIRMED, 65, "w", second), Landed::Candidate);
        assert_eq!(save(&mut ledger, 1, UNCONFIRMED, 120, user, first), lands);
        assert_eq!(waits(&ledger), Some(version(2)), "a log-in of {user} does not end that of w");
        assert_eq!(candidate(&ledger, 1).is_some(), user == "w", "it is kept");
        assert_eq!(ledger.consents.person, (user == "x").then(|| person("x")));
    }
}

#[test]
fn of_two_that_are_found_the_later_waits() {
    for order in [[1, 2], [2, 1]] {
        let mut ledger = stored(Some("x"));
        send(&mut ledger, 1, 0);
        send(&mut ledger, 2, 64);
        let open = ledger.open.clone();
        for number in order {
            let granted = if number == 1 { 1 } else { 65 };
            assert_eq!(find(&mut ledger, &open, number, UNCONFIRMED, granted), Landed::Candidate);
        }
        assert_eq!(waits(&ledger), Some(version(2)), "found in the order {order:?}");
        assert!(candidate(&ledger, 1).is_some());
    }
}

/// There is no room among the candidates, and its process comes with what it knows.
#[test]
fn a_no_is_remembered() {
    for another_came in [false, true] {
        let mut ledger = stored(Some("x"));
        for number in 10..13 {
            ledger.odd_grant_saved(pair(number, EPOCH, -800));
        }
        let sent = send(&mut ledger, 1, 0);
        let open = ledger.open.clone();
        assert_eq!(find(&mut ledger, &open, 1, UNCONFIRMED, 1), Landed::Candidate);
        assert!(ledger.discard(&version(1)));
        if another_came {
            ledger.new_epoch(Pointer { user: Some("x".to_owned()), ..pair(20, EPOCH + 1, -1) });
        }
        let before = head(&ledger).clone();
        for user in ["x", "w"] {
            assert_eq!(save(&mut ledger, 1, UNCONFIRMED, 120, user, sent), Landed::Candidate);
            assert_eq!((head(&ledger), waits(&ledger)), (&before, None), "{user}");
        }
    }
}

#[test]
fn the_latest_four_times_that_somebody_said_no_are_remembered() {
    let mut ledger = stored(Some("x"));
    for number in 1..=5 {
        let sent = send(&mut ledger, number, i64::from(number));
        save(&mut ledger, number, UNCONFIRMED, i64::from(number), "w", sent);
        assert!(ledger.discard(&version(number)));
    }
    ledger.candidates.clear();
    for number in 1..=5 {
        let sent = SentCode { epoch: EPOCH, opened: at(i64::from(number)) };
        save(&mut ledger, number, UNCONFIRMED, i64::from(number), "w", sent);
        assert_eq!(waits(&ledger).is_some(), number == 1);
        ledger.consents.pending = None;
    }
}

/// The epoch that it was to begin is another's by now.
#[test]
fn one_that_is_overtaken_is_not_taken_for_the_same_user_s() {
    let mut ledger = stored(None);
    let (first, second) = (send(&mut ledger, 1, 0), send(&mut ledger, 2, 64));
    assert_eq!(ledger.consent_saved(&id(2), pair(2, EPOCH + 1, 65), None, second), Landed::Head);
    assert_eq!(save(&mut ledger, 1, EPOCH + 1, 1, "w", first), Landed::Candidate);
    assert!(!candidate(&ledger, 1).unwrap().same_user(head(&ledger)));
}

#[test]
fn one_that_is_set_aside_is_not_taken_for_the_same_user_s() {
    let mut ledger = stored(None);
    let sent = send(&mut ledger, 1, 0);
    ledger.identified(person("x"));
    assert_eq!(save(&mut ledger, 1, EPOCH + 1, 1, "w", sent), Landed::Candidate);
    assert!(ledger.discard(&version(1)));
    ledger.new_epoch(pair(20, EPOCH + 1, 100));
    assert!(!candidate(&ledger, 1).unwrap().same_user(head(&ledger)));
}

/// The first that is found closes all attempts.
#[test]
fn two_that_are_found_where_nobody_knows_a_user_are_not_one_chain() {
    let mut ledger = stored(None);
    send(&mut ledger, 1, 0);
    send(&mut ledger, 2, 64);
    let open = ledger.open.clone();
    assert_eq!(find(&mut ledger, &open, 2, EPOCH + 1, 65), Landed::Head);
    assert_eq!(find(&mut ledger, &open, 1, EPOCH + 1, 1), Landed::Candidate);
    assert!(!candidate(&ledger, 1).unwrap().same_user(head(&ledger)));
}

/// Its refreshes are stored under the epoch of the ledger, whatever its own version says.
#[test]
fn one_that_was_overtaken_has_the_ledger_s_epoch_as_the_head() {
    for (own, all_refused) in [(UNCONFIRMED, false), (UNCONFIRMED, true), (EPOCH, false), (EPOCH, true)] {
        let mut ledger = stored(Some("x"));
        let (first, second) = (send(&mut ledger, 1, 0), send(&mut ledger, 2, 64));
        assert_eq!(save(&mut ledger, 2, UNCONFIRMED, 65, "x", second), Landed::Head);
        assert_eq!(save(&mut ledger, 1, own, 120, "x", first), Landed::Candidate);
        if all_refused {
            ledger.take_latest_as_head();
        } else {
            let fingerprint = head(&ledger).fingerprint;
            ledger.refusals = vec![Refused { fingerprint, refusal: Refusal::OldTokenUsed, count: 2, last: at(300) }];
            assert!(ledger.promote_candidate());
        }
        assert_eq!((&head(&ledger).version, head(&ledger).epoch), (&version(1), ledger.epoch), "{all_refused}");
        assert_eq!(Arc::new(credential(1, own, at(120), None)).as_head(head(&ledger)).epoch, ledger.epoch);
        assert_eq!(candidate(&ledger, 2).unwrap().epoch, ledger.epoch, "it keeps its own");
    }
}

/// The pair was stored, the ledger was lost before it knew, and the rebuilt one does not know whose it is.
#[test]
fn one_that_a_rebuilt_ledger_keeps_beside_the_head_is_not_refused() {
    for (user, lands) in [("x", Landed::Head), ("w", Landed::Candidate)] {
        let mut ledger = stored(Some("x"));
        let sent = send(&mut ledger, 1, 0);
        let versions = [(version(0), credential(0, EPOCH, at(-900), Some("x"))), (version(1), credential(1, UNCONFIRMED, at(1), None))];
        let mut ledger = Ledger::rebuild(versions.to_vec(), at(10), Ledger::begin(ledger.lock_id, "made-up"));
        assert!(candidate(&ledger, 1).is_some());
        assert_eq!(save(&mut ledger, 1, UNCONFIRMED, 1, user, sent), lands);
        assert_eq!((head(&ledger).version == version(1), waits(&ledger).is_some()), (user == "x", user == "w"));
        assert!(candidate(&ledger, 1).is_none(), "it stands in one place");
    }
}
