//! What is asked of Azure and of Exact for one answer: exactly this, in this order.
//!
//! Key Vault's 401 is the challenge that says whom to ask for a token: the SDK's first request of a process, without token and body.

use std::time::Duration;

use simulators::exact_online::Config;
use simulators::functions_host::{TimerSample, Verdict};
use simulators::key_vault::Operation;

use crate::azure::OnAzure;
use crate::stage::get_token;
use crate::storage::Storage;

const CHALLENGE: (Operation, u16) = (Operation::Get, 401);
const VERSION: (Operation, u16) = (Operation::Get, 200);
const PROOF: (Operation, u16) = (Operation::Update, 200);
const NEW_VERSION: (Operation, u16) = (Operation::Set, 200);

const READ: &str = "GET ledger 206";
const TAKE: &str = "PUT lease 201";
const WRITE: &str = "PUT ledger 201";
const RENEW: &str = "PUT lease 200";
const GIVE_BACK: &str = "PUT lease 200";

/// Bad news is believed for a second, as is what was just read; only then is the store looked at again.
async fn let_the_news_age() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

/// Requests so far.
struct Counted<'a> {
    world: &'a OnAzure,
    storage: usize,
    vault: usize,
    identity: usize,
    exact: usize,
}

impl<'a> Counted<'a> {
    async fn from_here(world: &'a OnAzure) -> Self {
        let storage = world.storage_requests().await.len();
        let (vault, identity, exact) = (world.vault.rules().log().len(), world.identity.rules().log().len(), world.stage.exact.log().len());
        Self { world, storage, vault, identity, exact }
    }

    /// Asserts what was asked since. The number of requests to Azure, renewals of the lock left out.
    async fn assert_asked(&self, storage: &[&str], vault: &[(Operation, u16)], identity: usize, exact: usize) -> usize {
        let world = self.world;
        let asked = world.storage_requests().await.split_off(self.storage);
        assert_eq!(asked, storage);
        assert_eq!(world.vault_requests(self.vault), vault);
        assert_eq!(world.identity.rules().log().len() - self.identity, identity, "tokens of the identity");
        assert_eq!(world.stage.exact.log().len() - self.exact, exact, "requests to Exact");
        let renewals = asked.iter().filter(|it| *it == RENEW).count().saturating_sub(1);
        asked.len() - renewals + vault.len()
    }
}

#[tokio::test]
async fn a_get_token_with_cold_memory_reads_ledger_and_version() {
    // An identity needs a token for each of the two services that it opens.
    for (storage, tokens) in [(Storage::ConnectionString, 1), (Storage::Identity, 2)] {
        let world = OnAzure::open(Config::default(), storage).await;
        world.stage.import().await;
        world.stage.granted().await;
        let host = world.stage.host().await;
        let counted = Counted::from_here(&world).await;
        get_token(&host, "").await.token();
        let requests = counted.assert_asked(&[READ], &[CHALLENGE, VERSION], tokens, 0).await;
        println!("measured: GetToken, cold, {storage:?}: {requests} requests to Azure, one of them the challenge; {tokens} of the identity");

        let counted = Counted::from_here(&world).await;
        get_token(&host, "").await.token();
        counted.assert_asked(&[], &[], 0, 0).await;
    }
}

#[tokio::test]
async fn a_warm_refresh_makes_eight_requests_and_one() {
    let world = OnAzure::connected().await;
    let host = world.stage.host().await;
    get_token(&host, "").await.token();
    let_the_news_age().await;
    world.set_clocks(575);
    let counted = Counted::from_here(&world).await;
    get_token(&host, "").await.token();
    let storage = [READ, TAKE, READ, WRITE, RENEW, WRITE, GIVE_BACK];
    let requests = counted.assert_asked(&storage, &[PROOF, NEW_VERSION], 0, 1).await;
    println!("measured: a warm refresh: {requests} requests to Azure and a renewal of the lock, one to Exact");
    assert!(requests <= 8);
}

#[tokio::test]
async fn a_cold_refresh_makes_ten_requests_and_one() {
    let world = OnAzure::connected().await;
    world.stage.granted().await;
    world.set_clocks(575);
    let host = world.stage.host().await;
    let counted = Counted::from_here(&world).await;
    let tick = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!(tick.verdict, Verdict::Success);
    let storage = [READ, TAKE, READ, WRITE, RENEW, WRITE, GIVE_BACK];
    let requests = counted.assert_asked(&storage, &[CHALLENGE, VERSION, PROOF, NEW_VERSION], 1, 1).await;
    println!("measured: a cold refresh: {requests} requests to Azure and a renewal of the lock, one to Exact");
    assert!(requests <= 10);
}

/// What another process has stored is found by one look, without the lock.
#[tokio::test]
async fn a_pair_that_another_process_stored_costs_one_look() {
    let world = OnAzure::connected().await;
    let (one, other) = (world.stage.host().await, world.stage.host().await);
    get_token(&other, "").await.token();
    world.set_clocks(575);
    let second = get_token(&one, "").await.token();
    let_the_news_age().await;
    let counted = Counted::from_here(&world).await;
    assert!(get_token(&other, "").await.token() == second);
    counted.assert_asked(&[READ], &[VERSION], 0, 0).await;
}
