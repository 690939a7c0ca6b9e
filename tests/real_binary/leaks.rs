//! Searches what a program let out, for secrets and for pieces of them. The search is tried on a handler that leaks.

use std::path::Path;

use simulators::functions_host::{Channel, FunctionsHost, HostOptions, Keys, TimerSample};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::stage::{get_token, get_with};

/// A leaked run of twice this length holds a whole piece.
const PIECE: usize = 16;

/// The secrets, cut into pieces; a shorter one is a piece by itself.
pub(crate) fn pieces(secrets: &[String]) -> Vec<String> {
    let cut = |secret: &String| -> Vec<String> {
        let characters: Vec<char> = secret.chars().collect();
        let cut = characters.chunks(PIECE).filter(|piece| piece.len() == PIECE || characters.len() < PIECE);
        cut.map(|piece| piece.iter().collect()).collect()
    };
    secrets.iter().flat_map(cut).collect()
}

/// What came out by other ways than through the host: commands, files, answers of the front end.
#[derive(Default)]
pub(crate) struct Evidence {
    texts: Vec<(String, String)>,
}

impl Evidence {
    pub(crate) fn add(&mut self, channel: &str, text: &str) {
        self.texts.push((channel.to_owned(), text.to_owned()));
    }

    pub(crate) fn channels(&self) -> Vec<&str> {
        self.texts.iter().map(|(channel, _)| channel.as_str()).collect()
    }

    /// The channels with any of the pieces in them, as it is, percent-encoded, or escaped as in JSON.
    pub(crate) fn find(&self, pieces: &[String]) -> Vec<&str> {
        let forms: Vec<String> = pieces.iter().flat_map(|piece| forms(piece)).collect();
        let found = self.texts.iter().filter(|(_, text)| forms.iter().any(|form| text.contains(form)));
        found.map(|(channel, _)| channel.as_str()).collect()
    }

    /// Asserts that the search would have found each piece in each channel, in each form.
    pub(crate) fn assert_searchable(&self, pieces: &[String]) {
        for (channel, text) in &self.texts {
            let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            for piece in pieces.iter().take(3) {
                for form in forms(piece) {
                    let planted = format!("{}{form}{}", &text[..middle], &text[middle..]);
                    let planted = Self { texts: vec![(channel.clone(), planted)] };
                    assert_eq!(planted.find(std::slice::from_ref(piece)), [channel.as_str()], "a planted secret is not found");
                }
            }
        }
    }
}

fn forms(piece: &str) -> [String; 3] {
    let json = serde_json::Value::from(piece).to_string();
    let encoded: String = form_urlencoded::byte_serialize(piece.as_bytes()).collect();
    [piece.to_owned(), encoded, json[1..json.len() - 1].to_owned()]
}

const LEAK: &str = "SIMULATED-leak/+\"=0123456789abcdefghijklmnopqrstuvwxyz";

#[tokio::test]
async fn a_secret_that_leaks_is_found_in_every_channel_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arguments = ["leaks::leaky_handler", "--exact", "--ignored", "--nocapture"];
    let description = serde_json::json!({ "defaultExecutablePath": std::env::current_exe().unwrap(), "arguments": arguments });
    let host_json = serde_json::json!({
        "version": "2.0",
        "customHandler": { "description": description, "enableForwardingHttpRequest": true },
    });
    std::fs::write(folder.path().join("host.json"), host_json.to_string()).unwrap();
    for function in ["RefreshToken", "GetToken", "Status"] {
        std::fs::create_dir(folder.path().join(function)).unwrap();
        let file = Path::new(function).join("function.json");
        std::fs::copy(root.join(&file), folder.path().join(&file)).unwrap();
    }
    let host = FunctionsHost::start(HostOptions::new(folder.path()).env("LEAK", LEAK)).await.unwrap();
    host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!(get_token(&host, "").await.status, 503);
    assert_eq!(get_token(&host, "?well").await.status, 200);
    let key = Keys::default().function;
    for (target, status) in [("/api/Status", 503), ("/api/Status?well", 200)] {
        assert_eq!(get_with(&host, target, &[("x-functions-key", &key)]).await.status, status);
    }

    let body = |function: &str, status| Channel::Body { function: function.to_owned(), status };
    let header = Channel::Header { function: "GetToken".to_owned(), name: "x-leak".to_owned() };
    for piece in pieces(&[LEAK.to_owned()]) {
        let found: Vec<Channel> = host.search(&[piece]).into_iter().map(|place| place.channel).collect();
        for channel in [
            Channel::Stdout,
            Channel::Stderr,
            body("RefreshToken", 200),
            body("GetToken", 503),
            body("Status", 200),
            body("Status", 503),
            header.clone(),
        ] {
            assert!(found.contains(&channel), "{channel:?} is not searched: {found:?}");
        }
        assert!(!found.contains(&body("GetToken", 200)), "the one body that may hold a token");
    }
}

#[tokio::test]
#[ignore = "the handler of the test above, which sets the environment; by itself it has nothing to do"]
#[expect(clippy::disallowed_methods, reason = "it is a program of its own, told by its environment what to leak")]
async fn leaky_handler() {
    let (Ok(leak), Ok(port)) = (std::env::var("LEAK"), std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT")) else { return };
    println!("{leak}");
    eprintln!("{leak}");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut lines = BufReader::new(&mut stream).lines();
        let first = lines.next_line().await.unwrap().unwrap_or_default();
        let chunked_or_bare_end = if first.starts_with("POST") { "0" } else { "" };
        while lines.next_line().await.unwrap().is_some_and(|line| line != chunked_or_bare_end) {}
        let (status, body) = match first.split(' ').nth(1) {
            Some("/RefreshToken") => ("200 OK", serde_json::json!({ "Logs": [leak] })),
            Some("/api/GetToken" | "/api/Status") => ("503 Service Unavailable", serde_json::json!({ "error": leak })),
            Some(_) | None => ("200 OK", serde_json::json!({ "access_token": leak })),
        };
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        stream.write_all(format!("{head}x-leak: {leak}\r\n\r\n{body}").as_bytes()).await.unwrap();
    }
}
