//! What a consent makes of any ledger.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::arbitrary::{at, credential, scene};
use crate::token::consent::{HOLD_OFF, HOLD_OFF_ONCE_IN, MAX_USED, Pending, SentCode, UNCONFIRMED, UsedState};
use crate::token::ledger::{BUDGET_HOUR, REQUESTS_A_DAY, UNGRANTED_AN_HOUR, utc_day};
use crate::token::rotation::Landed;
use crate::token::schedule::{Due, Wait, due};
use crate::token::{AttemptId, Fingerprint, Ledger, LockId, Person, Pointer, Secret, VersionId};

fn person(id: &str) -> Person {
    Person { id: id.to_owned(), name: String::new(), login: String::new(), company: String::new(), division: 0 }
}

fn attempt() -> AttemptId {
    AttemptId("made-up-consent".to_owned())
}

fn pointer(ledger: &Ledger, now: jiff::Timestamp) -> Pointer {
    let version = VersionId("made-up-consent".to_owned());
    Pointer { version, fingerprint: Fingerprint([77; 16]), epoch: ledger.epoch + 1, user: None, granted_at: now }
}

proptest! {
    #[test]
    fn the_same_user_or_the_first_becomes_the_head_and_another_waits(scene in scene(0.3), same in any::<bool>(), told in any::<bool>()) {
        let mut ledger = scene.ledger;
        let old = ledger.head.clone();
        let sent = ledger.announce_code(attempt(), Fingerprint([9; 16]), None, scene.now);
        let stored = old.as_ref().and_then(|head| head.user.clone());
        let id = stored.clone().filter(|_| same).unwrap_or_else(|| "somebody".to_owned());
        let who = told.then(|| person(&id));
        let pointer = pointer(&ledger, scene.now);
        let landed = ledger.consent_saved(&attempt(), pointer.clone(), who.clone(), sent);
        let meant = stored.is_none_or(|stored| who.as_ref().is_some_and(|who| who.id == stored));
        prop_assert_eq!(landed, if meant { Landed::Head } else { Landed::Candidate });
        if meant {
            prop_assert_eq!(&ledger.head.as_ref().unwrap().version, &pointer.version);
            prop_assert!(old.is_none_or(|old| ledger.candidates.iter().any(|it| it.fingerprint == old.fingerprint)), "the old head is kept");
            prop_assert_eq!(&ledger.consents.person, &who);
        } else {
            prop_assert_eq!(&ledger.head, &old);
            prop_assert_eq!(&ledger.consents.pending, &Some(Pending { pointer: pointer.clone(), person: who }));
            prop_assert!(!ledger.confirm(&VersionId("another".to_owned())));
            prop_assert!(ledger.confirm(&pointer.version));
            prop_assert_eq!(&ledger.head.as_ref().unwrap().version, &pointer.version);
            prop_assert!(!ledger.confirm(&pointer.version), "once");
        }
        prop_assert!(ledger.open.iter().all(|open| open.id != attempt()));
    }

    /// A process died after it had stored what its code brought.
    #[test]
    fn what_a_code_brought_and_nobody_knows_of_is_the_first_or_waits(
        (scene, credential) in scene(0.3).prop_flat_map(|scene| (credential(scene.now), Just(scene)).prop_map(|(credential, scene)| (scene, credential)))
    ) {
        let mut ledger = scene.ledger;
        let old = ledger.head.clone();
        let sent = ledger.announce_code(attempt(), Fingerprint([9; 16]), None, scene.now);
        let open = ledger.open.last().unwrap().clone();
        let mut credential = credential;
        credential.epoch = if old.as_ref().is_some_and(|old| old.user.is_some()) { UNCONFIRMED } else { ledger.epoch + 1 };
        credential.refresh_token = Secret::new("made-up-of-the-code");
        let version = VersionId("made-up-consent".to_owned());
        let landed = ledger.adopt(&open, version.clone(), &credential);
        prop_assert!(ledger.open.iter().all(|open| open.id != attempt()));
        if let Some(user) = old.as_ref().and_then(|old| old.user.clone()) {
            prop_assert_eq!((landed, &ledger.head), (Landed::Candidate, &old));
            prop_assert_eq!(&ledger.consents.pending.as_ref().unwrap().pointer.version, &version);
            // Its process was only asleep, and knows whose it is. The other chain was refreshed meanwhile.
            ledger.head.as_mut().unwrap().granted_at = scene.now + SignedDuration::from_secs(600);
            let pointer = Pointer::to(version.clone(), &credential);
            prop_assert_eq!(ledger.consent_saved(&attempt(), pointer, Some(person(&user)), sent), Landed::Head);
            prop_assert!(ledger.consents.pending.is_none());
        } else {
            prop_assert_eq!(landed, Landed::Head);
        }
        prop_assert_eq!(&ledger.head.as_ref().unwrap().version, &version);
    }

    /// A lock was lost between the reply and the save, and the chain before was refreshed meanwhile: that is no later consent.
    #[test]
    fn a_mere_refresh_overtakes_no_consent(scene in scene(0.3), settled in any::<bool>()) {
        let mut ledger = scene.ledger;
        let sent = ledger.announce_code(attempt(), Fingerprint([9; 16]), None, scene.now);
        let pointer = Pointer { epoch: UNCONFIRMED, ..pointer(&ledger, scene.now) };
        // Past its quarantine the refresh has closed the attempt as well.
        if settled {
            ledger.open.clear();
        }
        let Some(head) = &mut ledger.head else { return Ok(()) };
        head.granted_at = scene.now + SignedDuration::from_secs(480);
        head.user = Some("user".to_owned());
        let landed = ledger.consent_saved(&attempt(), pointer.clone(), Some(person("another")), sent);
        prop_assert_eq!(landed, Landed::Candidate);
        prop_assert_eq!(ledger.consents.pending.map(|pending| pending.pointer), Some(pointer));
    }

    #[test]
    fn a_later_consent_that_was_faster_stays(scene in scene(0.3)) {
        let mut ledger = scene.ledger;
        let late = pointer(&ledger, scene.now);
        let sent = SentCode { epoch: ledger.epoch, opened: scene.now };
        ledger.epoch += 1;
        let head = ledger.head.clone();
        let landed = ledger.consent_saved(&attempt(), late, Some(person("somebody")), sent);
        // Only a chain that looked dead takes whatever may still be good.
        prop_assert!(ledger.head == head || landed == Landed::Head);
    }

    #[test]
    fn a_used_state_is_remembered_as_long_as_it_lives(scene in scene(0.3), count in 1..80_u8) {
        let mut ledger = scene.ledger;
        for n in 0..count {
            let used = UsedState { state: Fingerprint([n; 16]), expires_at: scene.now + SignedDuration::from_mins(10) };
            ledger.announce_code(AttemptId(n.to_string()), Fingerprint([n; 16]), Some(used), scene.now);
            prop_assert!(ledger.is_used(used.state));
        }
        prop_assert!(ledger.consents.used.len() <= MAX_USED);
        let later = scene.now + SignedDuration::from_mins(10);
        ledger.announce_code(attempt(), Fingerprint([99; 16]), None, later);
        prop_assert!(ledger.consents.used.is_empty());
    }

    #[test]
    fn refreshes_keep_away_and_not_for_ever(scene in scene(0.3)) {
        let mut ledger = scene.ledger;
        prop_assert!(ledger.hold_off(scene.now));
        let during = scene.now + HOLD_OFF - SignedDuration::from_secs(1);
        if let Due::NotYet { until, why } = due(&ledger, scene.credential.as_ref(), during, &scene.policy) {
            prop_assert!(why == Wait::Consent || until >= scene.now + HOLD_OFF);
        }
        let asked_for_now = matches!(due(&ledger, scene.credential.as_ref(), during, &scene.policy), Due::Now(_));
        // Not while the outcome of a request with the head's token is unclear: its few moments are not given up for a log-in.
        let unclear = ledger.open.iter().any(|open| ledger.head.as_ref().is_some_and(|head| head.fingerprint == open.fingerprint));
        prop_assert!(unclear || !asked_for_now);
        prop_assert!(!ledger.hold_off(scene.now + HOLD_OFF_ONCE_IN - SignedDuration::from_secs(1)));
        prop_assert!(ledger.hold_off(scene.now + HOLD_OFF_ONCE_IN));
    }

    #[test]
    fn i4_a_code_takes_the_ninth_request_of_the_hour_and_no_more(scene in scene(0.3)) {
        let mut ledger = Ledger { ungranted: Vec::new(), today: crate::token::ledger::Today::default(), ..scene.ledger };
        for n in 0..=UNGRANTED_AN_HOUR {
            prop_assert_eq!(ledger.code_budget(scene.now), None);
            ledger.announce_code(AttemptId(n.to_string()), Fingerprint([9; 16]), None, scene.now);
            ledger.code_failed(&AttemptId(n.to_string()), true);
        }
        let hour = BUDGET_HOUR;
        prop_assert_eq!(ledger.code_budget(scene.now), Some(scene.now + hour));
        prop_assert_eq!(ledger.code_budget(scene.now + hour), None);
        ledger.today = crate::token::ledger::Today { day: utc_day(scene.now), requests: REQUESTS_A_DAY };
        prop_assert!(ledger.code_budget(scene.now).is_some());
    }
}

/// Seed 7410: what counts as a grant is a complete one, and the hour's requests were one too many.
#[test]
fn i4_a_code_that_brought_an_odd_reply_stays_in_the_hour() {
    for odd in [false, true] {
        let mut ledger = Ledger::begin(LockId("made-up".to_owned()), "made-up");
        let sent = ledger.announce_code(attempt(), Fingerprint([9; 16]), None, at(0));
        if odd {
            ledger.open[0].unclear_since = Some(at(1));
        }
        let pointer = pointer(&ledger, at(1));
        ledger.consent_saved(&attempt(), pointer, Some(person("somebody")), sent);
        assert_eq!(ledger.ungranted_in_hour(at(2)), usize::from(odd));
    }
}
