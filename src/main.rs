//! The program: what the Azure Functions host starts, and what a person types.

use std::process::ExitCode;

fn main() -> ExitCode {
    exact_token_broker::cli::run()
}
