//! Against a real socket: what the way to Exact does to a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::exact_online::ExactOnline;
use crate::http;
use crate::ports::TokenEndpoint;

/// What the server does once it has read a request.
#[derive(Clone)]
enum Then {
    /// Sends this and closes.
    Send(Vec<u8>),
    /// Sends this and nothing more, and stays.
    SendAndStay(Vec<u8>),
    /// Sends this and resets the connection.
    SendAndReset(Vec<u8>),
}

/// A server that counts the requests it has read to their end.
struct Server {
    base_url: String,
    requests: Arc<AtomicUsize>,
    last: Arc<std::sync::Mutex<String>>,
}

impl Server {
    async fn start(then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (requests, last) = (Arc::<AtomicUsize>::default(), Arc::<std::sync::Mutex<String>>::default());
        let (counted, kept) = (requests.clone(), last.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, then.clone(), counted.clone(), kept.clone()));
            }
        });
        Self { base_url, requests, last }
    }

    async fn answer(&self) -> String {
        told(&exact(&self.base_url).refresh(&Secret::new(SENT)).await)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, then: Then, requests: Arc<AtomicUsize>, last: Arc<std::sync::Mutex<String>>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    *last.lock().unwrap() = String::from_utf8(request).unwrap();
    requests.fetch_add(1, Ordering::SeqCst);
    // A client that has read enough hangs up, so a write may fail.
    match then {
        Then::Send(bytes) => drop(stream.write_all(&bytes).await),
        Then::SendAndStay(bytes) => {
            drop(stream.write_all(&bytes).await);
            std::future::pending::<()>().await;
        }
        Then::SendAndReset(bytes) => {
            drop(stream.write_all(&bytes).await);
            stream.set_zero_linger().unwrap();
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
    body.len() >= length.unwrap()
}

fn exact(base_url: &str) -> ExactOnline {
    let http = http::client_connecting_within(base_url, Duration::from_millis(500)).unwrap();
    ExactOnline::new(http, base_url.to_owned(), "made-up-client".to_owned(), Secret::new("made-up-client-secret"))
}

async fn refresh(base_url: &str) -> String {
    told(&exact(base_url).refresh(&Secret::new(SENT)).await)
}

fn reply(status: &str, headers: &str, body: &str) -> Then {
    Then::Send(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

const UNREACHABLE: &str = "not sent, Unreachable";

#[tokio::test]
async fn a_grant_comes_back_and_the_request_is_what_it_should_be() {
    let server = Server::start(reply("200 OK", "", GRANT)).await;
    assert_eq!(server.answer().await, GRANTED);
    let request = server.last.lock().unwrap().clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /api/oauth2/token HTTP/1.1"));
    let mut headers: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).filter(|(name, _)| *name != "host").collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
            ("content-length", &body.len().to_string()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("user-agent", http::USER_AGENT),
        ]
    );
    assert_eq!(
        body,
        "grant_type=refresh_token&refresh_token=stampNL001.AbCd%21IAAAAmade-up-sent%2B%2F&client_id=made-up-client\
         &client_secret=made-up-client-secret"
    );
}

#[tokio::test]
async fn a_chunked_grant_comes_back() {
    let (first, second) = GRANT.split_at(40);
    let body = format!("{:x}\r\n{first}\r\n{:x};x=y\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let server = Server::start(Then::Send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into_bytes())).await;
    assert_eq!(server.answer().await, GRANTED);
}

#[tokio::test]
async fn each_request_has_a_connection_of_its_own() {
    // The server keeps every connection open and reads one request from it.
    let Then::Send(kept) = reply("200 OK", "Connection: keep-alive\r\n", GRANT) else { unreachable!() };
    let server = Server::start(Then::SendAndStay(kept)).await;
    let exact = exact(&server.base_url).answering_within(Duration::from_secs(5));
    for count in 1..=3 {
        assert_eq!(told(&exact.refresh(&Secret::new(SENT)).await), GRANTED);
        assert_eq!(server.requests(), count);
    }
}

#[tokio::test]
async fn a_refused_connection_sends_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(refresh(&format!("http://{address}")).await, UNREACHABLE);
    assert_eq!(refresh(&format!("https://{address}")).await, UNREACHABLE);
}

#[tokio::test]
async fn a_name_that_does_not_exist_sends_nothing() {
    let (base_url, secret) = ("http://exact.invalid", Secret::new("made-up-client-secret"));
    let exact = ExactOnline::new(http::client(base_url).unwrap(), base_url.to_owned(), "made-up-client".to_owned(), secret);
    assert_eq!(told(&exact.refresh(&Secret::new(SENT)).await), UNREACHABLE);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut received = Vec::new();
        drop(stream.read_to_end(&mut received).await);
        received
    };
    let (told, received) = tokio::join!(refresh(&base_url), server);
    assert_eq!(told, UNREACHABLE);
    assert!(!String::from_utf8_lossy(&received).contains("made-up"));
}

#[tokio::test]
async fn a_handshake_that_is_not_answered_in_time_sends_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(refresh(&format!("https://{}", listener.local_addr().unwrap())).await, UNREACHABLE);
}

#[tokio::test]
async fn a_base_that_is_no_url_sends_nothing() {
    for base_url in ["", "start.exactonline.nl", "file:///etc", "https://"] {
        assert_eq!(refresh(base_url).await, UNREACHABLE, "{base_url}");
    }
}

#[tokio::test]
async fn a_reset_after_the_request_leaves_it_open_and_is_not_tried_again() {
    for sent in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let server = Server::start(Then::SendAndReset(sent.into())).await;
        assert_eq!(server.answer().await, "unclear, ConnectionLost");
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn a_server_that_closes_without_a_word_is_not_asked_again() {
    let server = Server::start(Then::Send(Vec::new())).await;
    assert_eq!(server.answer().await, "unclear, ConnectionLost");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn no_answer_in_time_leaves_it_open() {
    for sent in ["", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"access_token\":\"made-up\""] {
        let server = Server::start(Then::SendAndStay(sent.into())).await;
        let exact = exact(&server.base_url).answering_within(Duration::from_secs(1));
        assert_eq!(told(&exact.refresh(&Secret::new(SENT)).await), "unclear, TimedOut");
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn a_token_that_came_before_the_time_was_up_is_kept() {
    let server = Server::start(Then::SendAndStay(format!("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{GRANT}").into())).await;
    let exact = exact(&server.base_url).answering_within(Duration::from_secs(1));
    assert_eq!(told(&exact.refresh(&Secret::new(SENT)).await), "odd grant stampNL001.EfGh!IAAAAmade-up-next, TimedOut");
}

#[tokio::test]
async fn a_body_cut_in_the_middle_leaves_it_open() {
    let half = &GRANT[..GRANT.len() / 2];
    for framing in
        [format!("Content-Length: {}\r\n\r\n{half}", GRANT.len()), format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{half}", GRANT.len())]
    {
        let server = Server::start(Then::Send(format!("HTTP/1.1 200 OK\r\n{framing}").into())).await;
        assert_eq!(server.answer().await, "unclear, ConnectionLost");
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let server = Server::start(reply(status, "Location: /elsewhere\r\nSet-Cookie: a=b\r\n", "")).await;
        assert_eq!(server.answer().await, format!("unclear, Status({})", &status[..3]));
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn a_body_beyond_all_measure_is_not_read_on() {
    let endless = format!("{{\"other\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    assert_eq!(Server::start(reply("200 OK", "", &endless)).await.answer().await, "unclear, TooLarge");
    let token_first = GRANT.replace('}', &format!(",\"other\":\"{}\"}}", "x".repeat(2 * 1024 * 1024)));
    let kept = "odd grant stampNL001.EfGh!IAAAAmade-up-next, TooLarge";
    assert_eq!(Server::start(reply("200 OK", "", &token_first)).await.answer().await, kept);
}

#[tokio::test]
async fn a_body_of_64_kib_is_still_read() {
    let padded = format!("{GRANT}{}", " ".repeat(64 * 1024 - GRANT.len()));
    assert_eq!(Server::start(reply("200 OK", "", &padded)).await.answer().await, GRANTED);
    let one_more = format!("{padded} ");
    assert_eq!(Server::start(reply("200 OK", "", &one_more)).await.answer().await, "odd grant stampNL001.EfGh!IAAAAmade-up-next, TooLarge");
}

#[tokio::test]
async fn too_many_headers_are_a_lost_connection() {
    let headers = "X: y\r\n".repeat(500);
    assert_eq!(Server::start(reply("200 OK", &headers, GRANT)).await.answer().await, "unclear, ConnectionLost");
}

#[test]
fn debug_of_the_adapter_shows_no_secret() {
    let shown = format!("{:?}", exact("https://start.exactonline.nl"));
    assert!(!shown.contains("made-up-client-secret"), "{shown}");
}
