//! I3: a grant that was received is never discarded for another. Head or candidate, and of more than three candidates the least promising goes.

use proptest::prelude::*;

use super::arbitrary::{at, credential, now, pointer, scene};
use crate::token::ledger::{MAX_CANDIDATES, Refused};
use crate::token::rotation::{Landed, SentFrom};
use crate::token::{AttemptId, Fingerprint, Ledger, OpenAttempt, Pointer, VersionId};

/// By its version or, where the same refresh token is known under another one, by that.
fn keeps(ledger: &Ledger, pointer: &Pointer) -> bool {
    ledger.head.iter().chain(&ledger.candidates).any(|known| known.version == pointer.version || known.fingerprint == pointer.fingerprint)
}

fn is_head(ledger: &Ledger, pointer: &Pointer) -> bool {
    ledger.head.as_ref().is_some_and(|head| head.version == pointer.version)
}

fn believed_refused(ledger: &Ledger, pointer: &Pointer) -> bool {
    ledger.refusals.iter().any(|refused| refused.fingerprint == pointer.fingerprint && refused.count >= 2)
}

fn attempt(number: u8) -> AttemptId {
    AttemptId(format!("attempt-{number}"))
}

fn something_to_keep() -> impl Strategy<Value = (super::arbitrary::Scene, Pointer, u8)> {
    (scene(0.6), now().prop_flat_map(pointer), 0..20_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn i3_a_grant_becomes_head_or_candidate((scene, pointer, number) in something_to_keep(), from_head in any::<bool>()) {
        let mut ledger = scene.ledger;
        let head = ledger.head.as_ref().filter(|_| from_head).map_or(VersionId("version-7".to_owned()), |head| head.version.clone());
        let sent_from = SentFrom { epoch: ledger.epoch, head: head.clone() };
        let was_sent_from_head = ledger.head.as_ref().is_some_and(|it| it.version == head);
        let landed = ledger.grant_saved(&attempt(number), pointer.clone(), &sent_from);
        prop_assert!(keeps(&ledger, &pointer));
        prop_assert_eq!(landed == Landed::Head, is_head(&ledger, &pointer));
        prop_assert!(!was_sent_from_head || landed == Landed::Head, "nothing moved the head meanwhile");
        prop_assert!(ledger.candidates.len() <= MAX_CANDIDATES);
        prop_assert!(!ledger.open.iter().any(|open| open.id == attempt(number)));
    }

    #[test]
    fn i3_an_odd_grant_becomes_a_candidate((scene, pointer, _) in something_to_keep()) {
        let mut ledger = scene.ledger;
        let open = ledger.open.clone();
        ledger.odd_grant_saved(pointer.clone());
        prop_assert!(keeps(&ledger, &pointer));
        prop_assert!(ledger.candidates.len() <= MAX_CANDIDATES);
        prop_assert_eq!(ledger.open, open, "its attempt stays open");
    }

    #[test]
    fn i3_a_version_that_was_found_becomes_head_or_candidate(scene in scene(0.6), found in now().prop_flat_map(credential), number in 0..20_u8) {
        let mut ledger = scene.ledger;
        let version = VersionId("version-found".to_owned());
        // What codes bring has its own rules, in `consents.rs`.
        ledger.open.iter_mut().for_each(|open| open.code_in = None);
        let looked_dead = ledger.dead.is_some();
        let opened = at(0);
        let open = OpenAttempt { id: attempt(number), fingerprint: Fingerprint([8; 16]), opened, quarantine_until: opened, unclear_since: None, code_in: None };
        let open = ledger.open.iter().find(|it| it.id == open.id).cloned().unwrap_or(open);
        let landed = ledger.adopt(&open, version.clone(), &found);
        prop_assert!(keeps(&ledger, &Pointer::to(version.clone(), &found)));
        prop_assert!(found.access.is_some() || looked_dead || landed == Landed::Candidate, "without an access token it is nothing to serve from");
        prop_assert!(ledger.candidates.len() <= MAX_CANDIDATES);
    }

    #[test]
    fn i3_a_consent_keeps_the_old_head((scene, pointer, _) in something_to_keep()) {
        let mut ledger = scene.ledger;
        let old = ledger.head.clone();
        ledger.new_epoch(pointer.clone());
        prop_assert!(is_head(&ledger, &pointer));
        prop_assert!(old.is_none_or(|old| keeps(&ledger, &old)));
        prop_assert!(ledger.dead.is_none() && ledger.open.is_empty() && ledger.refusals.is_empty());
    }

    #[test]
    fn of_too_many_candidates_one_that_was_refused_goes_first((scene, pointer, _) in something_to_keep()) {
        let before = scene.ledger.clone();
        let mut ledger = scene.ledger;
        ledger.odd_grant_saved(pointer);
        if let Some(dropped) = before.candidates.iter().find(|candidate| !keeps(&ledger, candidate))
            && !believed_refused(&before, dropped)
        {
            prop_assert!(!before.candidates.iter().any(|candidate| believed_refused(&before, candidate)), "one that may still be good went");
        }
    }

    #[test]
    fn a_grant_that_comes_late_revives_a_dead_chain((scene, mut pointer, number) in something_to_keep(), dead in super::arbitrary::dead(at(0))) {
        let mut ledger = scene.ledger;
        let Some(mut head) = ledger.head.clone() else { return Ok(()) };
        head.epoch = head.epoch.max(1);
        ledger.head = Some(head.clone());
        let refused = |fingerprint| Refused { fingerprint, refusal: dead.refusal, count: 2, last: dead.since };
        ledger.refusals = vec![refused(head.fingerprint)];
        ledger.refusals.extend(ledger.candidates.iter().map(|candidate| refused(candidate.fingerprint)));
        ledger.dead = Some(dead);
        (pointer.epoch, pointer.user) = (head.epoch, head.user.clone());
        pointer.fingerprint = Fingerprint([9; 16]);
        pointer.version = VersionId("version-late".to_owned());
        ledger.grant_saved(&attempt(number), pointer.clone(), &SentFrom { epoch: 99, head: VersionId("gone".to_owned()) });
        prop_assert!(ledger.dead.is_none(), "there is a token to try");
        prop_assert!(is_head(&ledger, &pointer));
        prop_assert!(keeps(&ledger, &head));
    }
}
