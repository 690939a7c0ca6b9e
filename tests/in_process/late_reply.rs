//! A reply that comes when the pass has just stopped to wait for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use exact_token_broker::ports::{Clock, LedgerStore, TokenEndpoint, Vault};
use exact_token_broker::refresh_token::Refresher;
use exact_token_broker::token::ledger::ANSWER_WITHIN;
use exact_token_broker::token::{Reply, Secret};
use simulators::exact_online::{Config, Grace};

use super::day::{connected, undisturbed};
use super::life::Doubles;

/// What lies in the socket of a process that wakes up is read a moment after its clock went on. The pass gives an adapter 5 s more than the reply has.
const JUST_AFTER: Duration = Duration::from_millis(5_100);

/// Exact, whose replies come just after the end.
struct Late(Arc<Doubles>);

#[async_trait]
impl TokenEndpoint for Late {
    async fn refresh(&self, refresh_token: &Secret) -> Reply {
        let reply = self.0.refresh(refresh_token).await;
        tokio::time::sleep(ANSWER_WITHIN.unsigned_abs() + JUST_AFTER).await;
        reply
    }
}

#[test]
fn i1_a_grant_that_comes_in_the_moment_of_the_deadline_is_kept() {
    let world = connected(Config { grace: Grace::None, ..Config::default() });
    undisturbed(&world, |_, doubles| async move {
        tokio::time::sleep(Duration::from_secs(571)).await;
        let refresher = Arc::new(Refresher::new(
            Arc::new(Late(Arc::clone(&doubles))),
            Arc::clone(&doubles) as Arc<dyn Vault>,
            Arc::clone(&doubles) as Arc<dyn LedgerStore>,
            Arc::clone(&doubles) as Arc<dyn Clock>,
            doubles.world.policy(),
        ));
        let tick = refresher.tick().await;
        assert!(!tick.failed, "{}", tick.line);
        let state = doubles.world.state();
        assert!(state.stored_chain_lives(doubles.true_now()));
        assert!(state.ledger.as_ref().unwrap().0.open.is_empty());
    });
}
