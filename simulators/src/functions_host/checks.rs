//! What a test looks at: console, events, secrets, addresses.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::sync::broadcast;

use super::{Event, FunctionsHost, Line, Place, listening};

impl FunctionsHost {
    /// Closes the read end of the handler's standard output, for this handler and later ones.
    pub fn close_stdout(&self) {
        self.core.stdout_closed.send_replace(true);
    }

    /// Every line that handlers have printed.
    #[must_use]
    pub fn console(&self) -> Vec<Line> {
        self.core.console.lines()
    }

    /// Everything that has happened.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.core.events.all()
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.core.events.subscribe()
    }

    /// Where any of the secrets is in what the handler printed or answered, the 200 body of the token function excepted.
    ///
    /// Looks for each secret as it is, percent-encoded, and escaped as in a JSON string.
    #[must_use]
    pub fn search(&self, secrets: &[String]) -> Vec<Place> {
        self.core.witness.search(&self.console(), secrets)
    }

    /// Connections to the handler that are kept alive and at rest.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.core.current().map_or(0, |generation| generation.pool.idle())
    }

    /// Every TCP address on which the handler listens. Linux only.
    ///
    /// # Errors
    /// No handler is ready, or `/proc` cannot be read.
    pub fn listening(&self) -> Result<Vec<SocketAddr>> {
        listening::addresses(self.pid()?)
    }

    /// Asserts that the handler listens on its port of 127.0.0.1 and nowhere else. Linux only.
    ///
    /// # Errors
    /// It listens elsewhere too; or as for [`listening`](Self::listening).
    pub fn assert_loopback_only(&self) -> Result<()> {
        let expected = SocketAddr::from(([127, 0, 0, 1], self.current()?.port));
        let found = self.listening()?;
        ensure!(found == [expected], "the handler listens on {found:?}, not on {expected} alone");
        Ok(())
    }

    /// Asserts that `GET /` is answered within a second.
    ///
    /// # Errors
    /// It is not.
    pub async fn assert_answers_at_once(&self) -> Result<()> {
        let answer = tokio::time::timeout(Duration::from_secs(1), self.ping());
        answer.await.context("no answer to GET / within 1 s")??;
        Ok(())
    }
}
