//! What the handler is started with.

use serde_json::json;
use simulators::functions_host::{EventKind, FunctionsHost, HostOptions, Platform};

use crate::{App, get, handler, tick, until};

#[tokio::test]
async fn the_handler_sees_its_settings_and_nothing_else() {
    let app = App::new(true);
    let options = app.options().env("EXTRA", "print-environment").env("OWN", "1");
    let host = FunctionsHost::start(options).await.unwrap();
    let port = host.handlers()[0].port;
    // The variables come in order, and this is the last one.
    until(&host, |kind| matches!(kind, EventKind::Console(line) if line.text.starts_with("env WEBSITE_SKU="))).await;
    let lines = host.console();
    let names: Vec<&str> = lines.iter().filter_map(|line| line.text.strip_prefix("env ")?.split('=').next()).collect();
    for name in ["OWN", "PATH", "FUNCTIONS_APP_ROOT_PATH", "FUNCTIONS_HTTPWORKER_ID", "WEBSITE_INSTANCE_ID"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert!(!names.contains(&"HOME") && !names.contains(&"CARGO_MANIFEST_DIR"));
    let expected = format!("env FUNCTIONS_CUSTOMHANDLER_PORT={port}");
    assert!(lines.iter().any(|line| line.text == expected));
}

#[tokio::test]
async fn core_tools_read_local_settings_and_demand_storage() {
    let app = App::new(true);
    let mut options = app.options();
    options.platform = Platform::CoreTools;
    options.local_settings = true;
    let refused = FunctionsHost::start(options.clone()).await.err().unwrap();
    assert!(refused.to_string().contains("AzureWebJobsStorage"));
    let values = json!({"AzureWebJobsStorage": "UseDevelopmentStorage=true", "HANDLER": "/not/this/one"});
    app.write("local.settings.json", &json!({"IsEncrypted": false, "Values": values}));
    let host = FunctionsHost::start(options).await.unwrap();
    assert_eq!(tick(&host).await.logs[1], "content-length 357");
    // No key is asked for.
    assert_eq!(get(format!("{}/api/GetToken", host.url()), None).await.status(), 302);
}

#[tokio::test]
async fn the_executable_can_be_overridden_by_a_setting() {
    let app = App::new(true);
    let options = HostOptions::new(app.0.path());
    let missing = FunctionsHost::start(options.clone()).await.err().unwrap();
    assert!(missing.to_string().contains("GivenUp"), "{missing:#}");
    let key = "azurefunctionsjobhost__customhandler__description__defaultexecutablepath";
    let host = FunctionsHost::start(options.env(key, handler().to_str().unwrap())).await.unwrap();
    assert!(tick(&host).await.verdict.is_success());
}
