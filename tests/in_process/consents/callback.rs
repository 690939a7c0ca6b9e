//! What the browser comes back with: good once, in that browser, and for a while.

use std::time::Duration;

use exact_token_broker::consent::{Callback, Problem};
use exact_token_broker::token::Secret;
use simulators::exact_online::Config;

use super::{Exact, back, consent, problem};
use crate::day::undisturbed;
use crate::world::World;

#[test]
fn a_callback_is_good_once_in_one_browser_and_for_ten_minutes() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        let consent = consent(&refresher, &exact);
        let begun = consent.begin(None).await.unwrap();
        let changed = |change: fn(&mut Callback)| {
            let mut callback = back(&begun);
            change(&mut callback);
            callback
        };
        assert_eq!(problem(consent.finish(changed(|it| it.state = None)).await), Problem::Forged);
        assert_eq!(
            problem(consent.finish(changed(|it| it.state = Some(Secret::new(format!("{}0", it.state.as_ref().unwrap().reveal()))))).await),
            Problem::Forged
        );
        assert_eq!(problem(consent.finish(changed(|it| it.cookie = None)).await), Problem::OtherBrowser);
        assert_eq!(problem(consent.finish(changed(|it| it.cookie = Some(Secret::new("made-up")))).await), Problem::OtherBrowser);
        assert_eq!(problem(consent.finish(changed(|it| it.code = None)).await), Problem::NoCode);
        for (error, expected) in
            [("access_denied", Problem::Denied), ("unauthorized_client", Problem::NotThisApp), ("made_up", Problem::EndedByExact)]
        {
            let mut callback = back(&begun);
            (callback.code, callback.error) = (None, Some(Secret::new(error)));
            assert_eq!(problem(consent.finish(callback).await), expected);
        }
        assert!(doubles.world.state().ledger.is_none() && exact.exchanged() == 0, "nothing was changed and nothing sent");

        assert!(consent.finish(back(&begun)).await.is_ok());
        let stored = doubles.world.state().ledger.clone();
        assert_eq!(problem(consent.finish(back(&begun)).await), Problem::Used);
        assert_eq!((exact.exchanged(), doubles.world.state().ledger.clone()), (1, stored));

        let late = consent.begin(None).await.unwrap();
        tokio::time::sleep(Duration::from_secs(601)).await;
        let failed = consent.finish(back(&late)).await.unwrap_err();
        assert_eq!((failed.problem, exact.exchanged()), (Problem::Expired, 1));
        // The same browser goes on from there; another does not.
        let again = failed.again.unwrap();
        assert_eq!(consent.begin_again(&again, None).await.unwrap_err().problem, Problem::OtherBrowser);
        let begun = consent.begin_again(&again, Some(late.cookie.clone())).await.unwrap();
        assert!(consent.finish(back(&begun)).await.is_ok());
    });
}

#[test]
fn however_often_it_is_tried_again_the_hour_ends() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        let consent = consent(&refresher, &exact);
        let mut begun = consent.begin(None).await.unwrap();
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_mins(11)).await;
            let failed = consent.finish(back(&begun)).await.unwrap_err();
            assert_eq!(failed.problem, Problem::Expired);
            begun = consent.begin_again(&failed.again.unwrap(), Some(begun.cookie)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_mins(11)).await;
        let failed = consent.finish(back(&begun)).await.unwrap_err();
        assert!(failed.again.is_none(), "66 minutes after the button");
    });
}
