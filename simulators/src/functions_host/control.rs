//! Life and death at a test's command.

use anyhow::{Result, bail, ensure};

use super::{
    FunctionsHost, HandlerInfo,
    generation::{AfterKill, Generation, Phase},
};

impl FunctionsHost {
    /// SIGKILL now, also in the middle of a request: the host's own death. Timers end without storing their status, and
    /// there is no new handler until [`respawn`](Self::respawn).
    ///
    /// # Errors
    /// There is no handler.
    pub async fn kill(&self) -> Result<()> {
        self.core.die();
        self.current()?.put_down().await;
        Ok(())
    }

    /// SIGKILL from elsewhere, as when memory runs out: the host counts a crash and starts the handler again.
    ///
    /// # Errors
    /// There is no handler.
    pub fn crash(&self) -> Result<()> {
        self.current()?.kill(AfterKill::Count);
        Ok(())
    }

    /// SIGINT to the handler, as Ctrl+C in a terminal sends it before Core Tools do anything themselves.
    ///
    /// # Errors
    /// There is no handler.
    pub fn interrupt(&self) -> Result<()> {
        self.current()?.interrupt();
        Ok(())
    }

    /// A new handler on a new port, as after a restart of the host; does not wait for it. Timers that ended with
    /// [`kill`](Self::kill) need [`start_timers`](Self::start_timers).
    ///
    /// # Errors
    /// There is no free port.
    pub async fn respawn(&self) -> Result<()> {
        let port = self.free_port().await?;
        self.core.replace(&Generation::start(&self.core, port));
        Ok(())
    }

    /// A second handler on another port; once it is ready it takes over, while the old one drains and is then killed.
    ///
    /// # Errors
    /// The new handler does not become ready; then the old one stays.
    pub async fn restart_overlapping(&self) -> Result<HandlerInfo> {
        ensure!(self.core.app.port.is_none(), "a fixed customHandler.port makes restarts sequential");
        let port = self.free_port().await?;
        let generation = Generation::start(&self.core, port);
        let phase = generation.settled(self.core.options.queue_budget).await;
        let Some(phase @ Phase::Ready { .. }) = phase else {
            generation.put_down().await;
            bail!("the new handler is not ready but {phase:?}");
        };
        if let Some(old) = self.core.replace(&generation) {
            let budget = self.core.options.drain;
            self.core.spawn(async move { old.drain(budget).await });
        }
        Ok(HandlerInfo { port, phase })
    }

    /// Takes nothing new, waits at most `drain` for what is in flight, then SIGKILL. The front end closes.
    ///
    /// # Errors
    /// There is no handler.
    pub async fn stop(&self) -> Result<()> {
        self.core.stopping.send_replace(true);
        self.current()?.drain(self.core.options.drain).await;
        Ok(())
    }
}
