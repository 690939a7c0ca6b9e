//! The state machine: no sockets, no clock, and the same requests always get the same replies.

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::exact_online::Reply;

/// A request, as plain data.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// As it came, without the query.
    pub path: String,
    /// Decoded.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// As it came.
    pub body: Vec<u8>,
}

/// Says nothing of the headers: one is a bearer token.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).field("query", &self.query).finish_non_exhaustive()
    }
}

impl Request {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.query.iter().any(|(it, its)| it == name && its == value)
    }

    /// What it is, in a word or two, for a log.
    #[must_use]
    pub fn asks(&self) -> &'static str {
        match (self.method.as_str(), self.header("x-ms-lease-action")) {
            ("PUT", Some("acquire")) => "acquire",
            ("PUT", Some("renew")) => "renew",
            ("PUT", Some("release")) => "release",
            ("PUT", _) if self.has("restype", "container") => "create container",
            ("PUT", None) if self.header("if-none-match").is_some() => "create",
            ("PUT", None) => "write",
            ("GET", _) => "read",
            ("HEAD", _) => "look",
            _ => "other",
        }
    }
}

/// One blob.
#[derive(Clone, Debug, Default)]
pub struct Blob {
    /// Its content.
    pub body: Vec<u8>,
    /// Counts its writes: the `ETag`.
    pub tag: u64,
    lease: Option<Lease>,
}

#[derive(Clone, Debug)]
struct Lease {
    id: String,
    until: Timestamp,
    seconds: i64,
    /// By somebody's hand: it cannot be renewed any more.
    broken: bool,
}

impl Blob {
    /// Who holds it now.
    #[must_use]
    pub fn holder(&self, now: Timestamp) -> Option<&str> {
        self.lease.as_ref().filter(|lease| now < lease.until && !lease.broken).map(|lease| lease.id.as_str())
    }
}

/// What a request changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// A lease, or the container, or the empty blob.
    Other,
    /// The content of a blob.
    Written,
}

/// The blob service of one account.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    container: bool,
    blobs: BTreeMap<String, Blob>,
    tags: u64,
    requests: u64,
}

type Refused = (u16, &'static str);

impl Rules {
    /// One request at a time that is the service's own. What it changes is changed when this returns.
    pub fn request(&mut self, now: Timestamp, request: &Request) -> (Reply, Effect) {
        self.requests += 1;
        let (mut reply, effect) = match self.serve(now, request) {
            Ok(done) => done,
            Err((status, code)) => (Reply::new(status, &[("x-ms-error-code", code)], ""), Effect::None),
        };
        reply.headers.push(("x-ms-request-id".to_owned(), format!("{:032x}", self.requests)));
        reply.headers.push(("Date".to_owned(), http_date(now)));
        reply.headers.push(("x-ms-version".to_owned(), "2026-04-06".to_owned()));
        (reply, effect)
    }

    /// Every blob, by its path.
    #[must_use]
    pub fn blobs(&self) -> &BTreeMap<String, Blob> {
        &self.blobs
    }

    /// Ends every lease at once, as a person with `az storage blob lease break` does.
    pub fn break_leases(&mut self) {
        for lease in self.blobs.values_mut().filter_map(|blob| blob.lease.as_mut()) {
            lease.broken = true;
        }
    }

    fn serve(&mut self, now: Timestamp, request: &Request) -> Result<(Reply, Effect), Refused> {
        if request.asks() == "create container" {
            if std::mem::replace(&mut self.container, true) {
                return Err((409, "ContainerAlreadyExists"));
            }
            return Ok((Reply::new(201, &[], ""), Effect::Other));
        }
        if !self.container {
            return Err((404, "ContainerNotFound"));
        }
        let blob = self.blobs.get_mut(&request.path);
        match request.asks() {
            "create" | "write" => self.put(now, request),
            "read" => Ok(read(blob.ok_or((404, "BlobNotFound"))?, request)),
            "look" => {
                let blob = blob.ok_or((404, "BlobNotFound"))?;
                let length = blob.body.len().to_string();
                Ok((Reply::new(200, &[("ETag", &etag(blob.tag)), ("Content-Length", &length), ("x-ms-blob-type", "BlockBlob")], ""), Effect::None))
            }
            "acquire" => acquire(blob.ok_or((404, "BlobNotFound"))?, now, request),
            "renew" => renew(blob.ok_or((404, "BlobNotFound"))?, now, request),
            "release" => release(blob.ok_or((404, "BlobNotFound"))?, request),
            _ => Err((400, "InvalidUri")),
        }
    }

    fn put(&mut self, now: Timestamp, request: &Request) -> Result<(Reply, Effect), Refused> {
        let blob = self.blobs.get(&request.path);
        if request.header("if-none-match") == Some("*") && blob.is_some() {
            return Err((409, "BlobAlreadyExists"));
        }
        let held = blob.and_then(|blob| blob.holder(now));
        match (held, request.header("x-ms-lease-id")) {
            (Some(_), None) => return Err((412, "LeaseIdMissing")),
            (Some(held), Some(given)) if held != given => return Err((412, "LeaseIdMismatchWithBlobOperation")),
            // Expired, released, or never there.
            (None, Some(_)) => return Err((412, "LeaseLost")),
            _ => {}
        }
        if let Some(wanted) = request.header("if-match")
            && blob.is_none_or(|blob| etag(blob.tag) != wanted)
        {
            return Err((412, "ConditionNotMet"));
        }
        self.tags += 1;
        let tag = self.tags;
        let blob = self.blobs.entry(request.path.clone()).or_default();
        blob.tag = tag;
        blob.body.clone_from(&request.body);
        // "If a client writes to a blob whose lease has expired, the lease can no longer be renewed."
        if blob.holder(now).is_none() {
            blob.lease = None;
        }
        let effect = if request.body.is_empty() { Effect::Other } else { Effect::Written };
        Ok((Reply::new(201, &[("ETag", &etag(tag)), ("Last-Modified", &http_date(now))], ""), effect))
    }
}

fn read(blob: &Blob, request: &Request) -> (Reply, Effect) {
    let total = blob.body.len();
    if total == 0 && (request.header("range").is_some() || request.header("x-ms-range").is_some()) {
        let reply = Reply::new(416, &[("x-ms-error-code", "InvalidRange"), ("Content-Range", "bytes */0"), ("ETag", &etag(blob.tag))], "");
        return (reply, Effect::None);
    }
    let range = format!("bytes 0-{}/{total}", total.saturating_sub(1));
    let (tag, length) = (etag(blob.tag), total.to_string());
    let headers = [
        ("ETag", tag.as_str()),
        ("Content-Length", &length),
        ("Content-Type", "application/json"),
        ("x-ms-blob-type", "BlockBlob"),
        ("Content-Range", &range),
    ];
    let status = if total == 0 { 200 } else { 206 };
    let headers = if total == 0 { &headers[..4] } else { &headers[..] };
    (Reply::new(status, headers, blob.body.clone()), Effect::None)
}

fn acquire(blob: &mut Blob, now: Timestamp, request: &Request) -> Result<(Reply, Effect), Refused> {
    let seconds = request.header("x-ms-lease-duration").and_then(|text| text.parse().ok()).filter(|seconds| (15..=60).contains(seconds));
    let seconds: i64 = seconds.ok_or((400, "InvalidHeaderValue"))?;
    let id = request.header("x-ms-proposed-lease-id").ok_or((400, "MissingRequiredHeader"))?;
    if blob.holder(now).is_some_and(|holder| holder != id) {
        return Err((409, "LeaseAlreadyPresent"));
    }
    blob.lease = Some(Lease { id: id.to_owned(), until: now + SignedDuration::from_secs(seconds), seconds, broken: false });
    Ok((Reply::new(201, &[("x-ms-lease-id", id), ("ETag", &etag(blob.tag)), ("Last-Modified", &http_date(now))], ""), Effect::Other))
}

fn renew(blob: &mut Blob, now: Timestamp, request: &Request) -> Result<(Reply, Effect), Refused> {
    let tag = etag(blob.tag);
    let given = request.header("x-ms-lease-id").unwrap_or_default();
    let lease = blob.lease.as_mut().filter(|lease| lease.id == given).ok_or((409, "LeaseIdMismatchWithLeaseOperation"))?;
    if lease.broken {
        return Err((409, "LeaseIsBrokenAndCannotBeRenewed"));
    }
    // A lease that has run out is renewed, as long as nobody has written or taken it since.
    lease.until = now + SignedDuration::from_secs(lease.seconds);
    Ok((Reply::new(200, &[("x-ms-lease-id", given), ("ETag", &tag)], ""), Effect::Other))
}

fn release(blob: &mut Blob, request: &Request) -> Result<(Reply, Effect), Refused> {
    let given = request.header("x-ms-lease-id").unwrap_or_default();
    if blob.lease.as_ref().is_none_or(|lease| lease.id != given) {
        return Err((409, "LeaseIdMismatchWithLeaseOperation"));
    }
    blob.lease = None;
    Ok((Reply::new(200, &[("ETag", &etag(blob.tag))], ""), Effect::Other))
}

fn etag(tag: u64) -> String {
    format!("\"0x{tag:016X}\"")
}

fn http_date(at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(at).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
