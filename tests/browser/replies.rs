//! What came over the wire for each page, out of the browser's log of its network.

use std::collections::BTreeMap;

use serde_json::Value;
use thirtyfour::BrowserLogEntry;

/// The head of a reply to a navigation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) status: u64,
    /// Names in small letters. Several `Set-Cookie` stand in lines of one value.
    pub(crate) headers: BTreeMap<String, String>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Requests for documents, each with its reply. A redirect keeps the request's id, so the nth URL of an id belongs to its nth reply; the replies
/// are taken from `…ExtraInfo`, which alone has every header.
pub(crate) fn read(log: &[BrowserLogEntry]) -> Vec<Reply> {
    let events: Vec<Value> = log.iter().map(|entry| serde_json::from_str::<Value>(&entry.message).unwrap()["message"].take()).collect();
    let of = |method: &str| -> Vec<&Value> { events.iter().filter(|it| it["method"] == method).map(|it| &it["params"]).collect() };
    let mut answers: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for answer in of("Network.responseReceivedExtraInfo") {
        answers.entry(answer["requestId"].as_str().unwrap()).or_default().push(answer);
    }
    let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
    let mut replies = Vec::new();
    for request in of("Network.requestWillBeSent").into_iter().filter(|it| it["type"] == "Document") {
        let id = request["requestId"].as_str().unwrap();
        let place = asked.entry(id).or_default();
        // A navigation that was blocked, or is under way, has none.
        if let Some(answer) = answers.get(id).and_then(|it| it.get(*place)) {
            let headers = answer["headers"].as_object().unwrap().iter();
            replies.push(Reply {
                method: request["request"]["method"].as_str().unwrap().to_owned(),
                url: request["request"]["url"].as_str().unwrap().to_owned(),
                status: answer["statusCode"].as_u64().unwrap(),
                headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap().to_owned())).collect(),
            });
        }
        *place += 1;
    }
    replies
}
