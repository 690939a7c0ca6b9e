//! The wish of a person, or of the system, that the demo end. All are waited for, so that nothing that was started stays behind.

use anyhow::{Context, Result};

#[cfg(unix)]
pub(super) struct Interrupted([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Interrupted {
    /// From now on, no signal ends the process by itself.
    pub(super) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).context("signals cannot be waited for");
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    pub(super) async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(not(unix))]
pub(super) struct Interrupted;

#[cfg(not(unix))]
impl Interrupted {
    pub(super) fn listen() -> Result<Self> {
        Ok(Self)
    }

    pub(super) async fn wait(&mut self) {
        let waited = tokio::signal::ctrl_c().await.context("Ctrl+C cannot be waited for");
        if waited.is_err() {
            std::future::pending().await
        }
    }
}
