//! What the program is measured against: the least that axum needs to give the same replies on the same runtime. It knows no token, asks nobody, logs
//! nothing, and is a program of its own, so that it starts with no more than it uses.
//!
//! Arguments: the port, the body of `GET /`, the body of `GET /api/GetToken`, then the headers of both as `name: value`.

use std::process::ExitCode;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::get;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(alive), Some(token)) = (arguments.next(), arguments.next(), arguments.next()) else { return ExitCode::from(64) };
    let headers: Option<HeaderMap> = arguments.map(|line| header(&line)).collect();
    let (Ok(port), Some(headers)) = (port.parse(), headers) else { return ExitCode::from(64) };
    // As `cli::run` does.
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() else { return ExitCode::FAILURE };
    if runtime.block_on(serve(port, headers, alive.into(), token.into())).is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(": ")?;
    Some((name.parse().ok()?, value.parse().ok()?))
}

/// The cheapest body that axum can be given: a reference-counted one.
async fn serve(port: u16, headers: HeaderMap, alive: Bytes, token: Bytes) -> Option<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.ok()?;
    let same = headers.clone();
    let router =
        Router::new().route("/", get(move || async move { (same, alive) })).route("/api/GetToken", get(move || async move { (headers, token) }));
    axum::serve(listener, router).await.ok()
}
