//! When Exact may be asked, whatever the ledger says.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::arbitrary::{Scene, scene};
use crate::token::schedule::{CLOCK_TOLERANCE, Due, Wait, Why, due};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Waits that end at different times can follow one another; this is more than there are of them.
const STEPS: usize = 24;

fn ask(scene: &Scene) -> Due {
    due(&scene.ledger, scene.credential.as_ref(), scene.now, &scene.policy)
}

fn is_now(scene: &Scene) -> bool {
    matches!(ask(scene), Due::Now(_))
}

/// With one trouble at a time, the one under test decides: without the others it would be time.
fn due_scene() -> impl Strategy<Value = Scene> {
    scene(0.15).prop_filter("something else is in the way", is_now)
}

/// How long the head has been held by storage time: since its grant, or, where the clock was found to be behind that, since this was found.
fn held_for(scene: &Scene) -> Option<(SignedDuration, SignedDuration)> {
    let credential = scene.credential.as_ref()?;
    let gate = credential.renewable_at.duration_since(credential.granted_at);
    let since = match scene.ledger.clock_behind_since {
        Some(noticed) if noticed < credential.granted_at => noticed,
        _ => credential.granted_at,
    };
    Some((scene.now.duration_since(since), gate))
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 200_000, max_local_rejects: 200_000, ..ProptestConfig::with_cases(600) })]

    /// All that `Due::Now` promises, over scenes of which each is due.
    #[test]
    fn i2_i4_what_is_due_may_be_sent(scene in due_scene()) {
        let Scene { ledger, now, policy, .. } = &scene;
        let credential = scene.credential.as_ref().expect("without a head nothing is due");
        let (held, gate) = held_for(&scene).expect("without a head nothing is due");
        // A gate that closes before it opens is stored by nobody; it only must not do harm.
        prop_assert!(credential.renewable_at <= *now || held >= gate || gate < SignedDuration::ZERO, "I4: held for {held:?} of {gate:?}");
        let in_hour = ledger.ungranted.iter().filter(|at| now.duration_since(**at) < HOUR).count();
        prop_assert!(in_hour < 8, "I4: {in_hour} requests without a grant");
        let today = now.as_second() / 86_400;
        prop_assert!(ledger.today.day < today || ledger.today.requests < 200, "I4: the day is full");
        let on_its_way = ledger.open.iter().any(|attempt| attempt.unclear_since.is_none() && attempt.quarantine_until > *now);
        prop_assert!(!on_its_way, "I2: another request may be on its way");
        prop_assert_eq!(&credential.lock_id, &policy.lock_id);
        prop_assert_eq!(&ledger.lock_id, &policy.lock_id);
        prop_assert_eq!(&credential.chain.client_id, &policy.chain.client_id);
        prop_assert_eq!(&credential.chain.base_url, &policy.chain.base_url);
        prop_assert!(ledger.backoff.is_none_or(|backoff| backoff.until <= *now));
        let same_settings = ledger.misconfigured.filter(|problem| problem.settings == policy.settings);
        prop_assert!(same_settings.is_none_or(|problem| now.duration_since(problem.last) >= HOUR));
        let refused = ledger.refusals.iter().find(|refused| refused.fingerprint == credential.fingerprint());
        let settled = refused.is_none_or(|refused| now.duration_since(refused.last) >= SignedDuration::from_mins(1));
        prop_assert!(settled || ledger.dead.is_some(), "a refusal is confirmed after 60 s");
    }

    #[test]
    fn who_waits_is_told_a_time_to_come_and_gets_on(mut scene in scene(0.5)) {
        let mut waits = Vec::new();
        for _ in 0..STEPS {
            // As the pass does, before it asks.
            if scene.ledger.is_ahead_of(scene.credential.as_ref(), scene.now) {
                scene.ledger.reanchor(scene.now);
                prop_assert!(!scene.ledger.is_ahead_of(scene.credential.as_ref(), scene.now), "once is enough");
            }
            match ask(&scene) {
                Due::Now(_) | Due::NeedsConsent(_) => return Ok(()),
                Due::NotYet { until, why } => {
                    prop_assert!(until > scene.now, "{why} until a time gone by");
                    waits.push(why);
                    scene.now = until;
                }
            }
        }
        prop_assert!(false, "still waiting after {waits:?}");
    }

    #[test]
    fn a_clock_that_is_behind_is_named(scene in scene(0.1)) {
        if let (Due::NotYet { why: Wait::TooYoung, .. }, Some(credential)) = (ask(&scene), &scene.credential) {
            prop_assert!(credential.granted_at <= scene.now + CLOCK_TOLERANCE);
        }
    }

    #[test]
    fn nothing_is_due_where_nothing_is_stored(mut scene in scene(0.5)) {
        scene.ledger.head = None;
        prop_assert_eq!(ask(&scene), Due::NeedsConsent(Why::NeverConnected));
    }
}
