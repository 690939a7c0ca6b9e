//! Keeps an Exact Online token chain alive, for those who load Exact Online with Azure Data Factory.
//!
//! Exact gives access tokens that live 10 minutes and a refresh token that changes at every use; whoever loses one needs a person with MFA. This
//! program is run by the Azure Functions host as a custom handler: a timer refreshes, `GetToken` hands out a living token.
//!
//! # Reading order
//!
//! | module | what is in it |
//! |---|---|
//! | [`token`] | the core: what is known of a chain, what follows from it. Pure: time comes in, decisions go out with their reason |
//! | [`ports`] | what the use cases need from the world: the contracts |
//! | [`refresh_token`] | the pass (one refresh, step by step) and the tick that holds for Exact's gate |
//! | [`get_token`] | one answer to a caller |
//! | [`consent`] | how a chain begins: the browser's way to Exact and back, and `import` |
//! | [`adopt`] | how a chain that was kept under another lock is taken over |
//! | [`status`] | what is known, for a person and for a monitor |
//! | [`doctor`] | what is wrong with an installation, and what to do about it |
//! | [`live`] | the live checks: how Exact treats a used refresh token, found out on a chain that nobody needs |
//! | [`exact_online`], [`http`] | the token service: request and response are pure, what stands between sends once |
//! | [`local`], [`stored`] | the embedded store: one file, one lock file; and the only JSON of credential and ledger |
//! | [`azure`] | the store for production: credentials in Key Vault, the ledger as a blob whose lease is the lock, the app's identity |
//! | [`functions`] | the host's protocol, the routes, the pages for a person; the only status table |
//! | [`cli`] | the commands; the only place that prints |
//! | [`config`], [`telemetry`], [`clock`], [`app`] | settings, log lines, the machine's clocks, and the only wiring |
//! | [`task`], `patience` | work that nobody waits for; how long a reply is waited for |
//!
//! Arrows: `cli`, `functions` → use cases (`refresh_token`, `get_token`, `consent`, `adopt`, `status`, `doctor`, `live`) → `ports`, `token`; adapters
//! (`exact_online`, `azure`, `local`, `stored`, `clock`) → `ports`, `token`; `token` → nothing; `app` alone knows them all. A test holds the code to
//! this.
//!
//! # Invariants
//!
//! 1. Every refresh token that was received from Exact is in the store, or in the memory of a living process that is still saving it; else the
//!    ledger says that an attempt is open.
//! 2. A request is sent only under the lock, after the ledger was seen, and never while another attempt is in quarantine.
//! 3. The head moves only by a conditional write under the lock; a grant, once received, is never discarded for another.
//! 4. No refresh before `expires_in` − 30 s after the last grant; at most 8 refreshes without a grant in any hour (9 with a
//!    code's exchange) and 200 requests in a UTC day, over all
//!    processes, reserved in the ledger *before* sending.
//! 5. No secret in any log line, error, panic, page, tag, ledger or metric.
//! 6. No version of a Key Vault secret is ever deleted or disabled.
//! 7. `GetToken` never hands out a token with less life than was asked for, and never refuses a caller whom the token at hand would satisfy.
//! 8. A failed refresh never takes away a token that is still valid.
//! 9. Timer, `GetToken` and `Status` always answer with a non-empty JSON object; a bad setting fails invocations, it never ends the process.
//!
//! # What nobody can close
//!
//! A process killed between Exact's reply and the first durable write, and a reply that is lost: where Exact grants no grace for the previous
//! token, the chain is gone. A process frozen between its last check and the socket. Two installations that share one Exact app and user.

pub mod adopt;
pub mod app;
pub mod azure;
pub mod cli;
pub mod clock;
pub mod config;
pub mod consent;
pub mod doctor;
pub mod exact_online;
pub mod functions;
pub mod get_token;
pub mod http;
pub mod live;
pub mod local;
mod patience;
pub mod ports;
pub mod refresh_token;
pub mod status;
pub mod stored;
pub mod task;
pub mod telemetry;
pub mod token;

#[cfg(all(test, feature = "fuzz"))]
mod tests;
