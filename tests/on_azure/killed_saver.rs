//! SIGKILL to the process that has a grant in its hands and is just storing it: its version is in the vault, or lands there later, or too late.

use simulators::exact_online::{Config, Delivery, Grace, Outcome};
use simulators::key_vault::{Fault, Operation};

use crate::azure::SECRET;
use crate::killed::Pair;

/// The victim is killed when its version was sent; `fault` becomes of that.
async fn killed_while_storing(grace: Grace, fault: Fault) -> Pair {
    let pair = Pair::at_expiry(Config { grace, ..Config::default() }).await;
    let sent = || pair.world.vault.rules().log().iter().filter(|it| it.operation == Operation::Set && it.authorized).count();
    let before = sent();
    pair.world.vault.rules().script(Some(Operation::Set), fault);
    pair.kill_when(|| sent() == before + 1).await;
    pair.world.stage.assert_requests(2);
    pair
}

#[tokio::test]
async fn a_version_that_is_there_is_taken_over_after_the_lease() {
    let pair = killed_while_storing(Grace::None, Fault::EffectThen(Delivery::Never)).await;
    assert_eq!(pair.world.versions(), 3);
    let stored = pair.world.stage.exact.newest_refresh_token();

    pair.until_the_lease_ends().await;
    pair.world.stage.assert_requests(2);
    let (world, _) = pair.lives_on().await;
    assert_eq!(world.stage.outcomes(), [Outcome::Granted; 3], "what was stored was not asked for again");
    assert!(stored != world.stage.exact.newest_refresh_token());
    assert_eq!(world.versions(), 4);
}

#[tokio::test]
async fn a_version_that_lands_meanwhile_is_found() {
    let pair = killed_while_storing(Grace::None, Fault::LandsLater).await;
    assert_eq!(pair.world.versions(), 2);

    pair.until_the_lease_ends().await;
    pair.quarantined().await;
    let now = pair.world.stage.exact.now();
    assert_eq!(pair.world.vault.rules().land(now), 1);
    let (world, _) = pair.lives_on().await;
    assert_eq!(world.stage.outcomes(), [Outcome::Granted; 3], "what had landed was not asked for again");
    assert_eq!(world.versions(), 4);
}

/// By then the chain has gone on without it, and it is the vault's latest.
#[tokio::test]
async fn a_version_that_lands_too_late_is_not_taken_for_the_newest() {
    let pair = killed_while_storing(Grace::Seconds(600), Fault::LandsLater).await;
    pair.until_the_lease_ends().await;
    pair.until_the_quarantine_ends().await;
    pair.until_the_next_aim().await;
    let granted_again = pair.granted_again().await;
    let now = pair.world.stage.exact.now();
    assert_eq!(pair.world.vault.rules().land(now), 1);
    let late = pair.world.vault.rules().versions(SECRET).last().unwrap().id.clone();

    let (world, token) = pair.lives_on().await;
    assert!(token == granted_again);
    assert_eq!(world.stage.outcomes(), [Outcome::Granted, Outcome::Granted, Outcome::TooEarly, Outcome::GrantedByGrace, Outcome::Granted]);
    assert_eq!(world.versions(), 5);
    assert!(world.vault.rules().log().iter().all(|it| it.version.as_ref() != Some(&late)), "nobody has read it");
}
