//! Calls from outside, and raw ones.

use std::time::Duration;

use serde_json::{Value, json};
use simulators::functions_host::{EventKind, Framing, FunctionsHost};

use crate::{App, get, until};

#[tokio::test]
async fn calls_are_forwarded_as_they_came() {
    let app = App::new(true);
    let host = app.start().await;
    let url = host.url();
    let reply = get(format!("{url}/api/gettoken?a=1&a=2&code=FAKE-FUNCTION-KEY"), None).await;
    // Status, headers and body are the handler's; the redirect is not followed.
    assert_eq!(reply.status(), 302);
    assert_eq!(reply.headers()["x-own"], "FAKE-HEADER");
    let seen: Value = reply.json().await.unwrap();
    assert_eq!(seen["target"], "/api/gettoken?a=1%2C2&code=FAKE-FUNCTION-KEY");
    let header = |name: &str| {
        let headers = seen["headers"].as_array().unwrap();
        let found = headers.iter().find(|pair| pair[0] == name);
        found.map(|pair| pair[1].as_str().unwrap().to_owned())
    };
    assert_eq!(header("user-agent").unwrap(), "curl/8.5.0 Azure-Functions-Host/4.1037.0.0");
    assert!(header("x-azure-functions-invocationid").is_some());
    assert_eq!(format!("http://{}", header("host").unwrap()), url);

    for (path, key, status) in [
        ("/api/GetToken", None, 401),
        ("/api/GetToken", Some("FAKE-WRONG-KEY"), 401),
        ("/api/GetToken", Some("FAKE-MASTER-KEY"), 302),
        ("/api/Other", Some("FAKE-MASTER-KEY"), 404),
        ("/api/RefreshToken", Some("FAKE-MASTER-KEY"), 404),
        ("/RefreshToken", Some("FAKE-MASTER-KEY"), 404),
    ] {
        let reply = get(format!("{url}{path}"), key).await;
        assert_eq!(reply.status(), status, "{path} {key:?}");
        if status != 302 {
            assert_eq!(reply.text().await.unwrap(), "");
        }
    }
    // The method filter, then a connection that is refused.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = client.post(format!("{url}/api/GetToken?code=FAKE-HOST-KEY"));
    assert_eq!(post.send().await.unwrap().status(), 404);
    host.kill().await.unwrap();
    let dead = get(format!("{url}/api/GetToken"), Some("FAKE-HOST-KEY")).await;
    assert_eq!((dead.status().as_u16(), dead.text().await.unwrap().as_str()), (500, ""));
    let forwarded = |kind: &EventKind| matches!(kind, EventKind::HttpForwarded { path, status: 500, .. } if path == "/api/GetToken");
    until(&host, forwarded).await;
}

#[tokio::test]
async fn forms_cookies_and_redirects_go_through_unchanged() {
    let app = App::new(true);
    let trigger = json!({"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "function", "methods": ["get", "post"]});
    app.write("Consent/function.json", &json!({ "bindings": [trigger, {"type": "http", "direction": "out", "name": "res"}] }));
    app.mode("see other");
    let host = app.start().await;
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("{}/api/Consent?code=FAKE-FUNCTION-KEY&state=a%21b+c%2Fd", host.url());
    let form = "confirm=yes&text=a%21b+c";
    let cookie = "x=y; other=\"1 2\"";
    for (post, method, body) in [(true, "POST", form), (true, "POST", ""), (false, "GET", "")] {
        let mut request = if post { client.post(&url).body(body) } else { client.get(&url) };
        request = request.header("cookie", cookie).header("content-type", "application/x-www-form-urlencoded").header("origin", host.url());
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), 303);
        assert_eq!(reply.headers()["location"], "https://elsewhere.example.test/a?b=c%21&d=e+f");
        let cookies: Vec<&str> = reply.headers().get_all("set-cookie").iter().map(|it| it.to_str().unwrap()).collect();
        assert_eq!(cookies, ["x=y; Path=/api; Secure; HttpOnly; SameSite=Lax", "z=; Path=/api; Max-Age=0"]);

        let seen: Value = reply.json().await.unwrap();
        assert_eq!((seen["method"].as_str(), seen["body"].as_str()), (Some(method), Some(body)));
        // Decoded and encoded again: the same values, with a blank as %20.
        assert_eq!(seen["target"], "/api/Consent?code=FAKE-FUNCTION-KEY&state=a%21b%20c%2Fd");
        let header = |name: &str| seen["headers"].as_array().unwrap().iter().find(|pair| pair[0] == name).map(|pair| pair[1].clone());
        assert_eq!(header("cookie").unwrap(), cookie);
        assert_eq!(header("origin").unwrap(), host.url());
        assert_eq!(header("content-type").is_some(), !body.is_empty(), "the host drops it where there is no body");
        assert_eq!(header("content-length"), post.then(|| Value::from(body.len().to_string())));
    }
}

#[tokio::test]
async fn the_front_end_gives_up_while_the_invocation_goes_on() {
    let app = App::new(true);
    let mut options = app.options();
    options.front_cut = Some(Duration::from_millis(100));
    let host = FunctionsHost::start(options).await.unwrap();
    app.mode("slow");
    let url = format!("{}/api/GetToken", host.url());
    assert_eq!(get(url, Some("FAKE-HOST-KEY")).await.status(), 504);
    // It still drains.
    host.stop().await.unwrap();
    let found = host.search(&["FAKE-HEADER".to_owned()]);
    assert_eq!(found.len(), 1, "the reply came after the cut: {found:?}");
}

#[tokio::test]
async fn without_forwarding_outputs_become_the_answer() {
    let app = App::new(false);
    let host = app.start().await;
    let url = format!("{}/api/GetToken?a=1", host.url());
    let reply = get(url.clone(), Some("FAKE-FUNCTION-KEY")).await;
    assert_eq!(reply.status(), 418);
    assert_eq!(reply.headers()["x-own"], "1");
    assert_eq!(reply.headers()["content-type"], "text/plain; charset=utf-8");
    let seen: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    assert_eq!(seen["url"], url);
}

#[tokio::test]
async fn a_raw_request_goes_past_the_front_end() {
    let app = App::new(true);
    let host = app.start().await;
    let reply = host.send_raw("GET", "/anything?x=1", &[("x-a", "1")], None).await.unwrap();
    assert_eq!(reply.status, 302);
    assert!(String::from_utf8(reply.body).unwrap().contains("/anything?x=1"));
    // axum refuses more than 2 MB before it has read it all: the answer is not lost in the middle of the sending.
    let body = Some((vec![b'x'; 3 << 20], Framing::Chunked));
    let reply = host.send_raw("POST", "/RefreshToken", &[], body).await.unwrap();
    assert_eq!(reply.status, 413);
}
