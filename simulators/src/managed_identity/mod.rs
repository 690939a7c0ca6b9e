//! A simulated managed identity: the endpoint that App Service and Functions give an app in `IDENTITY_ENDPOINT`.
//!
//! [`Rules`] is pure; [`ManagedIdentity`] puts it behind a socket. The protocol is that of Microsoft Learn, "How to use managed identities for App
//! Service and Azure Functions", section "REST endpoint reference": `GET ?resource=…&api-version=2019-08-01[&client_id=…]` with the header
//! `X-IDENTITY-HEADER`. Each token holds [`MARKER`](crate::exact_online::MARKER).

mod rules;
mod server;
#[cfg(test)]
mod tests;

pub use rules::{API_VERSION, Fault, Logged, Request, Rules, STORAGE, Violation};
pub use server::ManagedIdentity;
