//! The doubles keep the contract of the port that they stand for: what is proved with them holds for the adapters.

use simulators::exact_online::Config;

use super::ledger_contract::{Store, keeps_the_contract};
use super::life::{Plan, live};
use super::world::World;

#[test]
fn the_doubles_keep_the_contract() {
    let world = World::new(Config::default());
    let done = live(&world, &Plan::new(None, None), |_, doubles| {
        let world = world.clone();
        async move {
            keeps_the_contract(&|| {
                let mut state = world.state();
                (state.ledger, state.lock) = (None, None);
                (doubles.clone() as Store, doubles.clone() as Store)
            })
            .await;
        }
    });
    assert_eq!(done, Some(()));
}
