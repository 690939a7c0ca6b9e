//! The simulated host against a real process: the example `echo_handler`.
//!
//! `cargo test -p simulators` builds the example; with `--test functions_host` alone, build it first by `--examples`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

mod calls;
mod console;
mod life;
mod settings;
mod timers;

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};
use simulators::functions_host::{EventKind, FunctionsHost, HostOptions, Invocation, TimerSample};
use tempfile::TempDir;

struct App(TempDir);

impl App {
    fn new(forwarding: bool) -> Self {
        let app = Self(TempDir::new().unwrap());
        app.write(
            "host.json",
            &json!({
                "version": "2.0",
                "customHandler": {
                    "description": {
                        "defaultExecutablePath": "%HANDLER%",
                        "arguments": ["%FUNCTIONS_CUSTOMHANDLER_PORT%", "%EXTRA%"],
                    },
                    "enableForwardingHttpRequest": forwarding,
                },
            }),
        );
        app.write_timer(&json!({ "schedule": "0 */9 * * * *" }), &Value::Null);
        let trigger = json!({"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "function", "methods": ["get"]});
        let output = json!({"type": "http", "direction": "out", "name": "res"});
        app.write("GetToken/function.json", &json!({ "bindings": [trigger, output] }));
        app
    }

    fn write(&self, file: &str, json: &Value) {
        self.write_text(file, &json.to_string());
    }

    fn write_text(&self, file: &str, text: &str) {
        let file = self.0.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn write_timer(&self, more: &Value, retry: &Value) {
        let mut binding = json!({"type": "timerTrigger", "direction": "in", "name": "timer"});
        for (key, value) in more.as_object().unwrap() {
            binding[key] = value.clone();
        }
        let mut function = json!({ "bindings": [binding] });
        if !retry.is_null() {
            function["retry"] = retry.clone();
        }
        self.write("RefreshToken/function.json", &function);
    }

    fn mode(&self, mode: &str) {
        self.write_text("mode", mode);
    }

    fn options(&self) -> HostOptions {
        let handler = handler();
        HostOptions::new(self.0.path()).env("HANDLER", handler.to_str().unwrap())
    }

    async fn start(&self) -> FunctionsHost {
        FunctionsHost::start(self.options()).await.unwrap()
    }
}

/// Beside the folder of the test binaries.
fn handler() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let handler = own.parent().unwrap().parent().unwrap().join("examples/echo_handler");
    assert!(handler.is_file(), "build it first: cargo build -p simulators --examples");
    handler
}

async fn tick(host: &FunctionsHost) -> Invocation {
    host.fire_timer(&TimerSample::normal()).await.unwrap()
}

async fn get(url: String, key: Option<&str>) -> reqwest::Response {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut request = client.get(url).header("user-agent", "curl/8.5.0");
    if let Some(key) = key {
        request = request.header("x-functions-key", key);
    }
    request.send().await.unwrap()
}

/// Waits for an event. No test sleeps for one.
async fn until(host: &FunctionsHost, found: impl Fn(&EventKind) -> bool) {
    let mut events = host.subscribe();
    if host.events().iter().any(|event| found(&event.kind)) {
        return;
    }
    let seen = async { while !found(&events.recv().await.unwrap().kind) {} };
    tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap_or_else(|_| panic!("not seen among {:?}", host.events()));
}

fn alive(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}
