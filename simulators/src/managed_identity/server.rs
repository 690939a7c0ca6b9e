//! The rules behind a socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::rules::{Request, Rules};
use crate::exact_online::Clock;
use crate::key_vault::wire;

/// A simulated identity endpoint on a port of 127.0.0.1. It stops when it is dropped.
pub struct ManagedIdentity {
    rules: Arc<Mutex<Rules>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ManagedIdentity {
    /// Listens on a free port.
    pub async fn start(rules: Rules, clock: Clock) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let rules = Arc::new(Mutex::new(rules));
        let shared = Arc::clone(&rules);
        let task = tokio::spawn(wire::accept(listener, move |stream| {
            let (shared, clock) = (Arc::clone(&shared), Arc::clone(&clock));
            wire::serve(stream, move |head, _| {
                let header = head.headers.get("x-identity-header").and_then(|value| value.to_str().ok()).map(str::to_owned);
                let query = wire::query(&head.uri);
                let request = Request { method: head.method.to_string(), query, header };
                if head.uri.path() == "/msi/token" {
                    shared.lock().unwrap_or_else(PoisonError::into_inner).token(clock(), &request)
                } else {
                    crate::exact_online::Reply::new(404, &[], "")
                }
            })
        }));
        Ok(Self { rules, address, task })
    }

    /// The value for `IDENTITY_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}/msi/token", self.address)
    }

    /// Everything that a test may do and ask. Requests wait while the guard lives.
    pub fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a vault that accepts these tokens.
    #[must_use]
    pub fn shared(&self) -> Arc<Mutex<Rules>> {
        Arc::clone(&self.rules)
    }
}

impl Drop for ManagedIdentity {
    fn drop(&mut self) {
        self.task.abort();
    }
}
