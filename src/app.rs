//! The wiring: which adapters stand behind which port.

use std::sync::Arc;

use crate::get_token::{Ask, HandedOut, NoToken};
use crate::refresh_token::{Refresher, Tick};

/// The use cases, wired.
#[derive(Debug)]
pub struct Broker {
    refresher: Arc<Refresher>,
}

impl Broker {
    /// Around one chain.
    #[must_use]
    pub fn new(refresher: Arc<Refresher>) -> Self {
        Self { refresher }
    }

    /// One timer tick.
    pub async fn tick(&self) -> Tick {
        self.refresher.tick().await
    }

    /// One answer to a caller.
    pub async fn get_token(&self, ask: Ask) -> Result<HandedOut, NoToken> {
        self.refresher.get_token(ask).await
    }
}
