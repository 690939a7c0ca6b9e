//! The way from a process to the world. A request that has left goes its way whatever becomes of the process: it runs in a task of its own, which
//! no watch stops.

pub mod azure;
pub mod exact;
pub mod identity;

use std::time::Duration;

use jiff::Timestamp;
use simulators::exact_online::Delivery;
use tokio::sync::oneshot;

use crate::world::{State, World};

/// Takes effect after `there`, and what comes of it is back after `back`, if that is told. None: nothing ever comes.
///
/// `effect` says what comes back and what becomes of it on its way; `ignored` is called where nobody waits for it any more.
async fn carry<T: Send + 'static>(
    world: &World,
    there: Duration,
    effect: impl FnOnce(&mut State, Timestamp) -> (T, Option<Duration>) + Send + 'static,
    ignored: impl FnOnce(&mut State, Timestamp, T) + Send + 'static,
) -> Option<T> {
    let (tell, told) = oneshot::channel();
    let world = world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(there).await;
        let (came, back) = {
            let now = world.time.now();
            effect(&mut world.state(), now)
        };
        let Some(back) = back else {
            // Kept open, as a connection on which nothing comes.
            let _open = tell;
            return std::future::pending().await;
        };
        tokio::time::sleep(back).await;
        if let Err(came) = tell.send(came) {
            let now = world.time.now();
            ignored(&mut world.state(), now, came);
        }
    });
    told.await.ok()
}

/// How much longer than its journey a reply takes. None: it never comes.
fn delay(delivery: Delivery, back: Duration) -> Option<Duration> {
    match delivery {
        Delivery::Whole | Delivery::Cut | Delivery::Reset => Some(back),
        Delivery::After(late) => Some(back + late),
        Delivery::Never => None,
    }
}
