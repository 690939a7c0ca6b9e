//! What may be handed out.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::arbitrary::{credential, now, outcome, scene};
use crate::token::schedule::{Answer, CLOCK_TOLERANCE, answer};
use crate::token::{AttemptId, Credential};

fn held() -> impl Strategy<Value = (Credential, Timestamp, SignedDuration)> {
    now().prop_flat_map(|now| (credential(now), Just(now), (0..=540_i64).prop_map(SignedDuration::from_secs)))
}

/// The life that a caller can insist on.
fn insisted(credential: &Credential, asked: SignedDuration) -> SignedDuration {
    let lifetime = credential.access.as_ref().map_or(SignedDuration::ZERO, |access| access.lifetime);
    asked.min(lifetime - SignedDuration::from_mins(1)).max(SignedDuration::ZERO)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn i7_never_less_life_than_was_asked_for((credential, now, asked) in held()) {
        if let Answer::Token { remaining } = answer(Some(&credential), now, asked) {
            let access = credential.access.as_ref().expect("there is a token to hand out");
            prop_assert_eq!(remaining, access.expires_at.duration_since(now));
            prop_assert!(remaining > SignedDuration::ZERO, "a dead token");
            prop_assert!(remaining >= insisted(&credential, asked), "{remaining:?} where {asked:?} was asked for");
            prop_assert!(credential.granted_at <= now + CLOCK_TOLERANCE, "a token from the future");
        }
    }

    #[test]
    fn i7_whoever_the_token_at_hand_satisfies_gets_it((credential, now, asked) in held()) {
        let Some(access) = &credential.access else { return Ok(()) };
        let remaining = access.expires_at.duration_since(now);
        if remaining > SignedDuration::ZERO && remaining >= asked && credential.granted_at <= now {
            prop_assert_eq!(answer(Some(&credential), now, asked), Answer::Token { remaining });
        }
    }

    #[test]
    fn asking_for_more_never_gets_more((credential, now, asked) in held(), more in 0..=540_i64) {
        let satisfied = |asked| matches!(answer(Some(&credential), now, asked), Answer::Token { .. });
        prop_assert!(satisfied(asked) || !satisfied(asked + SignedDuration::from_secs(more)));
    }

    #[test]
    fn who_must_wait_is_told_a_time_to_come((credential, now, asked) in held()) {
        if let Answer::WaitUntil(until) = answer(Some(&credential), now, asked) {
            prop_assert!(until > now);
            prop_assert_eq!(until, credential.renewable_at);
        }
    }

    #[test]
    fn i8_no_failure_takes_the_head_or_its_token_away(mut scene in scene(0.5), outcome in outcome(), number in 0..20_u8) {
        let before = scene.ledger.clone();
        scene.ledger.record(&AttemptId(format!("attempt-{number}")), outcome, scene.now);
        let after = &scene.ledger;
        if after.head == before.head {
            prop_assert_eq!(&after.candidates, &before.candidates);
            return Ok(());
        }
        // Only refusals that are believed move it, and only to a candidate of the same user; the two change places.
        let (old, new) = (before.head.as_ref().unwrap(), after.head.as_ref().unwrap());
        let believed = |fingerprint| after.refusals.iter().any(|refused| refused.fingerprint == fingerprint && refused.count >= 2);
        prop_assert!(believed(old.fingerprint) && !believed(new.fingerprint));
        prop_assert!(new.epoch == old.epoch || (new.user.is_some() && new.user == old.user));
        let place = before.candidates.iter().position(|candidate| candidate == new).expect("the new head was a candidate");
        let mut expected = before.candidates.clone();
        expected[place] = old.clone();
        prop_assert_eq!(&after.candidates, &expected);
    }
}

#[test]
fn without_a_chain_there_is_nothing_to_hand_out() {
    assert_eq!(answer(None, super::arbitrary::at(0), SignedDuration::ZERO), Answer::NeedsConsent);
}
