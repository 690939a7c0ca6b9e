//! SIGKILL to the process that holds the lock, before it has sent its request and while it waits for the reply.

use simulators::exact_online::{Config, Delivery, Fault, Grace, Loss, Outcome};
use simulators::key_vault::{self, Operation};

use crate::killed::Pair;

/// Nothing was announced, so there is nothing to wait for but the lock.
#[tokio::test]
async fn before_its_request_was_announced_it_is_taken_over_after_its_lease() {
    let pair = Pair::at_expiry(Config::default()).await;
    pair.world.vault.rules().script(Some(Operation::Update), key_vault::Fault::NoEffect(Delivery::Never));
    let proved = || pair.world.vault.rules().log().iter().filter(|it| it.operation == Operation::Update && it.status == 503).count();
    pair.kill_when(|| proved() == 1).await;
    pair.world.stage.assert_requests(1);

    pair.until_the_lease_ends().await;
    let (world, _) = pair.lives_on().await;
    assert_eq!(world.stage.outcomes(), [Outcome::Granted; 3]);
    assert_eq!(world.versions(), 4, "the import and three grants");
}

#[tokio::test]
async fn a_request_that_exact_never_read_is_made_again_after_the_quarantine() {
    let pair = Pair::at_expiry(Config::default()).await;
    pair.world.stage.exact.script(Fault::NoCommit(Loss::Never));
    pair.kill_when(|| pair.world.stage.exact.log().len() == 2).await;

    pair.until_the_lease_ends().await;
    pair.until_the_quarantine_ends().await;
    let (world, _) = pair.lives_on().await;
    assert_eq!(world.stage.outcomes(), [Outcome::Granted, Outcome::NotJudged, Outcome::Granted, Outcome::Granted]);
}

/// The dead one's grant is lost, and Exact's gate is shut for the 570 s that follow it. The next try is aimed into what is left of the grace.
#[tokio::test]
async fn a_grant_that_died_with_its_process_is_made_up_for_by_the_grace() {
    let pair = Pair::at_expiry(Config { grace: Grace::Seconds(600), ..Config::default() }).await;
    pair.world.stage.exact.script(Fault::CommitThen(Loss::Never));
    pair.kill_when(|| pair.world.stage.exact.log().len() == 2).await;

    pair.until_the_lease_ends().await;
    pair.until_the_quarantine_ends().await;
    pair.until_the_next_aim().await;
    let (world, _) = pair.lives_on().await;
    assert_eq!(world.stage.outcomes(), [Outcome::Granted, Outcome::Granted, Outcome::TooEarly, Outcome::GrantedByGrace, Outcome::Granted]);
    assert_eq!(world.stage.exact.rules().max_ungranted_in_an_hour(), 2, "the grant that never arrived, and the try that came too early");
    assert_eq!(world.versions(), 4, "the import and three grants that arrived");
}
