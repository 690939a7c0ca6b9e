//! The Key Vault adapter against a simulated vault and a simulated managed identity: over TLS, by the vault's public name through a relay, in a
//! process of its own whose environment is that of a function app; and the official Python SDK as the referee of the simulated vault.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report; the lint's own exception covers only #[test] functions")]

mod driver;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod many_versions;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod referee;
#[cfg(test)]
mod traps;
#[cfg(test)]
mod trouble;
mod world;
