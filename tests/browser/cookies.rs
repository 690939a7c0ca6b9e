//! What a cookie of the product's kind becomes over plain http on this machine, as the simulated host serves it.

use crate::browser::Browser;
use crate::little_server::{LittleServer, page};

#[tokio::test(flavor = "multi_thread")]
async fn a_secure_cookie_comes_back_over_http_on_both_names_of_this_machine() {
    let server = LittleServer::start(|seen| match seen.target.as_str() {
        "/api/set" => page("", &[("Set-Cookie", "x=y; Path=/api; Secure; HttpOnly; SameSite=Lax")]),
        _ => page("", &[]),
    })
    .await;
    let browser = Browser::start().await;
    let mut came_back = Vec::new();
    for host in ["localhost", "127.0.0.1"] {
        let url = server.url(host);
        browser.open(&format!("{url}/api/set")).await;
        for path in ["/api/get", "/apiary", "/"] {
            browser.open(&format!("{url}{path}")).await;
            let seen = server.seen().pop().unwrap();
            came_back.push((host, path, seen.header("cookie").map(str::to_owned)));
        }
    }
    let comes = Some("x=y".to_owned());
    let expected = ["localhost", "127.0.0.1"].map(|host| [(host, "/api/get", comes.clone()), (host, "/apiary", None), (host, "/", None)]);
    assert_eq!(came_back, expected.concat());
}
