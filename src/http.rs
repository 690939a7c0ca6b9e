//! The one place where an HTTP client is made. What it forbids, it forbids for every adapter: a request that spends something is sent once.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url, redirect, retry};

use crate::token::ledger::ANSWER_WITHIN;

/// How long name look-up, connection and TLS (through a proxy: the tunnel as well) may take together. Nothing is sent before they are done.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Names the program to the servers that it talks to.
pub const USER_AGENT: &str = concat!("exact-token-broker/", env!("CARGO_PKG_VERSION"));

// A connection that is not up in time must be told apart from a reply that did not come in time: only the first spends nothing.
const _: () = assert!(CONNECT_WITHIN.as_secs() < ANSWER_WITHIN.unsigned_abs().as_secs());

/// A client for the server at `base_url`. It bounds the connecting; whoever sends bounds the whole exchange.
///
/// A proxy named in `HTTPS_PROXY` or `ALL_PROXY` is used unless `NO_PROXY` says otherwise, but never on the way to this machine itself and
/// never for plain `http`: there the proxy could read what it passes on. As no redirect is followed, the destination cannot change on the way.
///
/// # Errors
///
/// When the system's certificates cannot be loaded. The error holds no part of `base_url`.
pub fn client(base_url: &str) -> Result<Client, reqwest::Error> {
    builder(base_url, CONNECT_WITHIN).build()
}

/// How long one exchange with Azure may take, and its connecting. Vault and ledger answer in milliseconds; whoever calls them has 30 s for a call,
/// within which a read that got no answer is tried a second time.
pub const AZURE_EXCHANGE_WITHIN: Duration = Duration::from_secs(10);
const AZURE_CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Renewals of a lock come every 15 s. A longer rest is not worth it: a platform that freezes the process, or a gateway that forgets, makes an old
/// connection one on which nothing answers.
const AZURE_IDLE: Duration = Duration::from_secs(30);

/// A client for the Azure service at `base_url`: as [`client`], but connections are kept for the next request and each exchange is bounded. What is
/// sent here may be sent on a kept connection, because an unclear outcome is read back.
///
/// # Errors
///
/// When the system's certificates cannot be loaded. The error holds no part of `base_url`.
pub fn azure_client(base_url: &str) -> Result<Client, reqwest::Error> {
    builder(base_url, AZURE_CONNECT_WITHIN).pool_max_idle_per_host(4).pool_idle_timeout(AZURE_IDLE).timeout(AZURE_EXCHANGE_WITHIN).build()
}

/// As [`client`], with another time for connecting.
#[cfg(test)]
pub(crate) fn client_connecting_within(base_url: &str, connect_within: Duration) -> Result<Client, reqwest::Error> {
    builder(base_url, connect_within).build()
}

/// Options of reqwest that a crate beside us could switch on by a feature are switched off here by name. Cookies cannot be: they need a feature
/// even to be refused, and `cargo tree --edges features` must not show it.
fn builder(base_url: &str, connect_within: Duration) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(connect_within)
        .redirect(redirect::Policy::none())
        // By default reqwest sends a request again that HTTP/2 or HTTP/3 reports as not processed. A single-use token is not sent on such a word.
        .retry(retry::never())
        .http1_only()
        // Every request gets a connection of its own. On a kept one that the server is closing just now, a request may or may not have been read;
        // on a new one a server that is away shows before anything is sent. It costs one handshake per request, of which there are a few in ten minutes.
        .pool_max_idle_per_host(0)
        // No probing of a silent connection: the network may be away for longer than a probe's patience while the reply is still to come.
        .tcp_keepalive(None)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate();
    // For the same reason not the 30 s after which reqwest gives a connection up whose data is not acknowledged.
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(None);
    if goes_direct(base_url) { builder.no_proxy() } else { builder }
}

/// Whether the way to `base_url` may not lead through a proxy.
fn goes_direct(base_url: &str) -> bool {
    let Ok(url) = Url::parse(base_url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    url.scheme() == "http" || host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn this_machine_and_plain_http_are_reached_directly() {
        let direct = ["http://127.0.0.1:8080", "https://127.0.0.2", "https://LOCALHOST:8443/x", "https://a.localhost.", "https://[::1]:1"];
        let more = ["https://[::ffff:127.0.0.1]", "http://169.254.129.3/msi/token", "http://azurite:10000"];
        for url in direct.into_iter().chain(more) {
            assert!(goes_direct(url), "{url}");
        }
        for url in ["https://start.exactonline.nl", "https://10.0.0.1", "https://localhost.example", "https://127.0.0.1.example", "", "localhost"] {
            assert!(!goes_direct(url), "{url}");
        }
    }

    #[tokio::test]
    async fn https_goes_through_the_proxy_of_the_environment_and_loopback_does_not() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", proxy.local_addr().unwrap());
        // A process of its own: the environment of this one belongs to all tests.
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "--ignored", "http::tests::with_a_proxy_in_the_environment"]);
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
            child.env(name, &address).env(name.to_lowercase(), &address);
        }
        let child = child.env_remove("NO_PROXY").env_remove("no_proxy").stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let mut tunnels = 0;
        let serve = async {
            loop {
                let (mut stream, _) = proxy.accept().await.unwrap();
                assert_eq!(first_line(&mut stream).await, "CONNECT exact.invalid:443 HTTP/1.1");
                stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.unwrap();
                tunnels += 1;
            }
        };
        let output = tokio::select! { output = child.wait_with_output() => output.unwrap(), () = serve => unreachable!() };
        assert_eq!(tunnels, 2);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    #[tokio::test]
    #[ignore = "run by the test above, which sets the environment"]
    async fn with_a_proxy_in_the_environment() {
        let far = "https://exact.invalid";
        assert!(client(far).unwrap().get(far).send().await.unwrap_err().is_connect());
        assert!(azure_client(far).unwrap().get(far).send().await.unwrap_err().is_connect());

        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = format!("http://{}", here.local_addr().unwrap());
        let answer = async {
            let (mut stream, _) = here.accept().await.unwrap();
            assert_eq!(first_line(&mut stream).await, "GET /near HTTP/1.1");
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        };
        let (response, ()) = tokio::join!(client(&near).unwrap().get(format!("{near}/near")).send(), answer);
        assert_eq!(response.unwrap().status(), 204);
    }

    async fn first_line(stream: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
    }
}
