//! A simulated Key Vault: the secrets of one vault, by the REST API of Microsoft Learn, "Key Vault REST API reference", section "Secrets".
//!
//! [`Rules`] is a pure state machine; [`KeyVault`] puts it behind TLS, with a leaf for `*.vault.azure.net` under a [`TestCa`]; a [`Relay`] brings
//! clients there that know only the vault's public name (`HTTPS_PROXY`). So a client's challenge verification and certificate checks stay on. It
//! asserts as it goes: what the real service refuses is refused with its error codes, and what a careful client never sends is recorded in
//! [`Rules::violations`]. The official Python SDK is the referee (`tests/azure_vault/referee.py` of the product).
//!
//! Facts that are not in the reference pages: the challenge's form and that a probe carries no body are those of the official SDKs' sources;
//! `innererror.code`s are from Microsoft Learn, "Azure Key Vault REST API Error Codes". Whether the versions of a name that never existed are an
//! empty list or a 404 is not documented: [`Rules::unknown_name_is_404`] switches.

mod certificates;
mod faults;
mod log;
mod outages;
mod relay;
mod request;
mod rules;
mod server;
#[cfg(test)]
mod tests;
mod versions;
pub(crate) mod wire;

pub use certificates::{Leaf, TestCa};
pub use faults::{Denial, Fault};
pub use log::{Action, Logged, Operation, Violation};
pub use relay::{Relay, Way};
pub use request::Request;
pub use rules::{RESOURCE, Rules};
pub use server::KeyVault;
pub use versions::Version;
