//! The wiring: which adapters stand behind which port.

use crate::get_token::{Ask, HandedOut, NoToken};
use crate::refresh_token::Tick;

/// The use cases, wired.
#[derive(Debug)]
pub struct Broker {}

impl Broker {
    /// One timer tick.
    pub async fn tick(&self) -> Tick {
        std::future::ready(Tick { failed: true, line: String::new() }).await
    }

    /// One answer to a caller.
    pub async fn get_token(&self, _ask: Ask) -> Result<HandedOut, NoToken> {
        std::future::ready(Err(NoToken::Unavailable { why: String::new(), retry_after: 1 })).await
    }
}
