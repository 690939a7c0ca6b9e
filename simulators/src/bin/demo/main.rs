//! `cargo demo`: the real program between a simulated Exact Online and a simulated Functions host, for whoever has neither.
//!
//! | file | what |
//! |---|---|
//! | `show` | what happens, in order |
//! | `product` | builds the program |
//! | `world` | starts and stops everything else |
//! | `person` | consents, where you do not |
//! | `caller` | asks `GetToken` |
//! | `narrator`, `words` | one line per event |
//! | `interrupted` | Ctrl+C |

mod caller;
mod interrupted;
mod narrator;
mod person;
mod product;
mod show;
mod words;
mod world;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// Shows how exact-token-broker keeps a token chain alive, with nothing installed but Rust.
///
/// The real program runs between a simulated Exact Online and a simulated Azure Functions host, which stands in for `func start`. No account, no
/// network beyond this machine; settings of yours, local.settings.json and .local are not read or touched. Time is scaled: access tokens live
/// 60 s in place of 600, the timer ticks every 27 s in place of every 9 minutes. Since the program makes no more than 200 token requests in a
/// UTC day, renewals end after some 100 minutes.
#[derive(Debug, Parser)]
#[command(name = "cargo-demo", bin_name = "cargo demo", version)]
pub(crate) struct Arguments {
    /// Consent by itself, without your browser; end after the first token was handed out; fail if that takes longer than 60 s.
    #[arg(long)]
    once: bool,
    /// Consent by itself, without your browser.
    #[arg(long)]
    auto: bool,
    /// Where the Functions host listens on 127.0.0.1; 0 for any free port.
    #[arg(long, value_name = "N", default_value_t = 7071)]
    port: u16,
}

/// Bad usage, as in `sysexits.h`.
const USAGE: u8 = 64;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let wanted = !error.use_stderr();
            drop(error.print());
            return if wanted { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    match show::show(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
