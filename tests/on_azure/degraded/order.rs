//! "Latest" is whatever landed last. The ledger's head counts; where it cannot be read, the time of the grant.

use simulators::functions_host::FunctionsHost;
use simulators::key_vault::{Fault, Operation};

use super::gate::Gate;
use super::{NAME, warm, warnings};
use crate::azure::OnAzure;
use crate::stage::get_token;

/// A write that was given up lands in the end, on top of the pair after it.
#[tokio::test]
async fn a_write_that_lands_after_a_newer_one_changes_nothing() {
    let mut world = OnAzure::start().await;
    let endpoint = world.azurite.endpoint().to_owned();
    let address = endpoint.trim_start_matches("http://").split('/').next().unwrap();
    let mut gate = Gate::to(address.parse().unwrap());
    let connection = world.azurite.connection_string().replace(address, &gate.address().to_string());
    world.stage.set("AzureWebJobsStorage", &connection);
    world.stage.import().await;
    let (host, _) = warm(&world).await;

    world.set_clocks(575);
    world.vault.rules().script(Some(Operation::Set), Fault::LandsLater);
    let asked = tokio::time::Instant::now();
    let second = get_token(&host, "").await.token();
    println!("measured: a caller whose pair could not be stored for 25 s was served after {:.0} s", asked.elapsed().as_secs_f64());
    // He may have had it from memory. The next one waits for what is going on.
    settled(&world, &host, 3).await;
    world.stage.assert_requests(2);

    world.set_clocks(1_150);
    let third = get_token(&host, "").await.token();
    assert_ne!(second, third);
    settled(&world, &host, 4).await;
    world.stage.assert_requests(3);
    let landed = (world.stage.clock())() + jiff::SignedDuration::from_secs(60);
    assert_eq!(world.vault.rules().land(landed), 1);
    let last_two: Vec<String> = world.vault.rules().versions(NAME).iter().rev().take(2).map(|version| version.value.clone()).collect();
    assert!(last_two[0].contains(&second) && last_two[1].contains(&third), "the older pair is the vault's latest");

    drop(host);
    let before = world.vault.rules().log().len();
    assert_eq!(get_token(&world.stage.host().await, "").await.token(), third, "after a restart the head counts");
    assert_eq!(world.vault_requests(before), [(Operation::Get, 401), (Operation::Get, 200)], "nobody asked for a list");

    gate.shut().await;
    let answer = get_token(&world.stage.host().await, "").await;
    assert_eq!(answer.token(), third, "and without the ledger the latest grant");
    assert!(warnings(&answer).contains("the latest that the vault has"));
    gate.open().await;

    // And the chain goes on from it.
    world.set_clocks(1_725);
    let fourth = get_token(&world.stage.host().await, "").await.token();
    assert!(fourth != third && world.stage.exact.is_alive(&fourth));
    world.stage.assert_requests(4);
}

/// Waits until the pair is stored and the ledger knows it.
async fn settled(world: &OnAzure, host: &FunctionsHost, versions: usize) {
    crate::stage::until("the version", || world.vault.rules().versions(NAME).len() == versions).await;
    let stored = || host.console().iter().filter(|line| line.text.contains("a new pair of tokens is stored")).count();
    crate::stage::until("the ledger", || stored() == versions - 1).await;
}

/// The ids are in no order, and a page of them even less. Of many versions, the eight that landed last are looked at.
#[tokio::test]
async fn a_list_in_the_vaults_own_order_is_put_into_that_of_grants() {
    let mut world = OnAzure::connected().await;
    let (host, first) = warm(&world).await;
    let older = world.vault.rules().versions(NAME)[1].value.clone();
    world.set_clocks(575);
    let second = get_token(&host, "").await.token();
    let now = (world.stage.clock())();
    // Copies of the older pair: sixty that are older than the head, and seven that landed after it.
    for n in -60..=7 {
        if n != 0 {
            world.vault.rules().plant(now + jiff::SignedDuration::from_secs(n * 10), NAME, &older, &[("attempt", "made-up")]);
        }
    }
    world.azurite.stop();
    let answer = get_token(&world.stage.host().await, "").await;
    assert!(answer.token() == second && second != first, "{}", warnings(&answer));
    world.stage.assert_requests(2);
}
