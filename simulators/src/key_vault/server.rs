//! The rules behind TLS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::certificates::TestCa;
use super::request::Request;
use super::rules::{RESOURCE, Rules};
use super::wire;
use crate::exact_online::Clock;
use crate::managed_identity;

/// A simulated Key Vault on a port of 127.0.0.1. It stops when it is dropped, and with it every open connection.
pub struct KeyVault {
    rules: Arc<Mutex<Rules>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl KeyVault {
    /// Listens on a free port, with a certificate for `*.vault.azure.net`. It takes the tokens that `identity` gave out for it.
    pub async fn start(rules: Rules, ca: &TestCa, identity: Arc<Mutex<managed_identity::Rules>>, clock: Clock) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = ca.acceptor(&["*.vault.azure.net"]);
        let rules = Arc::new(Mutex::new(rules));
        let connections = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&rules);
        let task = tokio::spawn(wire::accept(listener, move |stream| {
            let (acceptor, shared, clock, identity) = (acceptor.clone(), Arc::clone(&shared), Arc::clone(&clock), Arc::clone(&identity));
            let connections = Arc::clone(&connections);
            async move {
                // Whoever does not trust the certificate ends here.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let connection = connections.fetch_add(1, Ordering::Relaxed);
                wire::serve(stream, move |head, body| {
                    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
                    let request = Request {
                        method: head.method.to_string(),
                        host: text("host").unwrap_or_default().to_owned(),
                        path: head.uri.path().to_owned(),
                        query: wire::query(&head.uri),
                        bearer: text("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned),
                        body,
                        connection,
                    };
                    let now = clock();
                    let opens = |token: &str| identity.lock().unwrap_or_else(PoisonError::into_inner).opens(token, RESOURCE, now);
                    shared.lock().unwrap_or_else(PoisonError::into_inner).request(now, &request, &opens)
                })
                .await;
            }
        }));
        Ok(Self { rules, address, task })
    }

    /// Where it listens. Clients come by way of a [`Relay`](super::Relay).
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that a test may do and ask. Requests wait while the guard lives: do not hold it across an `await`.
    pub fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyVault {
    fn drop(&mut self) {
        self.task.abort();
    }
}
