//! A custom handler for the tests of the simulated host. It does what the file `mode` beside host.json says.
//!
//! Arguments: the port, and optionally `print-environment`.

use std::{io::Write as _, process::ExitCode, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE},
    response::{AppendHeaders, IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = match arguments.next().map(|port| port.parse()) {
        Some(Ok(port)) => port,
        _ => return ExitCode::from(64),
    };
    if let Some(code) = mode().strip_prefix("exit at start ") {
        say_error(&format!("WARN leaving with {code}"));
        return ExitCode::from(code.parse::<u8>().unwrap_or(1));
    }
    if arguments.next().as_deref() == Some("print-environment") {
        let bytes = std::fs::read("/proc/self/environ").unwrap_or_default();
        for variable in bytes.split(|byte| *byte == 0).filter(|part| !part.is_empty()) {
            say(&format!("env {}", String::from_utf8_lossy(variable)));
        }
    }
    let address = if mode() == "all addresses" { "0.0.0.0" } else { "127.0.0.1" };
    let Ok(listener) = tokio::net::TcpListener::bind((address, port)).await else {
        return ExitCode::from(1);
    };
    let router = Router::new().route("/", get(root)).route("/RefreshToken", post(timer)).route("/GetToken", post(http_default)).fallback(forwarded);
    match axum::serve(listener, router).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(1),
    }
}

fn mode() -> String {
    let text = std::fs::read_to_string("mode").unwrap_or_default();
    text.trim().to_owned()
}

fn say(line: &str) {
    // The pipe may be broken, which must not end the handler.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn say_error(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

async fn root() -> &'static str {
    if mode() == "mute" {
        std::future::pending::<()>().await;
    }
    "here"
}

async fn timer(headers: HeaderMap, body: Bytes) -> Response {
    let mode = mode();
    say(&format!("tick in mode `{mode}`"));
    let json = |text: String| ([(CONTENT_TYPE, "application/json")], text).into_response();
    let text = |name: &str| {
        let value = headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        value.unwrap_or("none").to_owned()
    };
    let retry =
        serde_json::from_slice::<serde_json::Value>(&body).map(|json| json["Metadata"]["RetryContext"]["RetryCount"].to_string()).unwrap_or_default();
    match mode.as_str() {
        "fail" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "fail first" if retry == "0" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "null" => json("null".to_owned()),
        "redirect" => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        "hang" => std::future::pending().await,
        "slow" => {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            json("{}".to_owned())
        }
        "print" => {
            say("plain line");
            say_error("a warning line");
            say_error("an error line");
            json("{}".to_owned())
        }
        _ => {
            let lines = [
                format!("transfer-encoding {}", text("transfer-encoding")),
                format!("content-length {}", text("content-length")),
                format!("traceparent {}", text("traceparent")),
                format!("id {}", text("x-azure-functions-invocationid")),
                format!("retry {retry}"),
                format!("body {}", body.len()),
                String::from_utf8_lossy(&body).into_owned(),
            ];
            json(json!({ "Outputs": {}, "Logs": lines, "ReturnValue": null }).to_string())
        }
    }
}

async fn http_default(body: Bytes) -> Response {
    let envelope: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let seen = envelope["Data"]["req"]["Url"].clone();
    let answer = json!({ "statusCode": "418", "body": { "url": seen }, "headers": { "x-own": "1" } });
    axum::Json(json!({ "Outputs": { "res": answer } })).into_response()
}

async fn forwarded(uri: Uri, request: Request) -> Response {
    if mode() == "slow" {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    let headers: Vec<(String, String)> =
        request.headers().iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())).collect();
    let method = request.method().to_string();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap_or_default();
    let seen = json!({
        "method": method,
        "target": uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    if mode() == "see other" {
        let marks = [
            ("location", "https://elsewhere.example.test/a?b=c%21&d=e+f"),
            ("set-cookie", "x=y; Path=/api; Secure; HttpOnly; SameSite=Lax"),
            ("set-cookie", "z=; Path=/api; Max-Age=0"),
        ];
        return (StatusCode::SEE_OTHER, AppendHeaders(marks), axum::Json(seen)).into_response();
    }
    let marks = [("x-own", "FAKE-HEADER"), ("location", "/not/followed")];
    (StatusCode::FOUND, marks, axum::Json(seen)).into_response()
}
