//! HTTP/1.1 to the handler, written by hand: no client library lets a test choose chunks and TCP segments.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Transfer-Encoding: chunked`, the body in one chunk: as in Azure.
    Chunked,
    /// `Content-Length`: as with Core Tools.
    ContentLength,
    /// Chunked, in chunks and TCP segments of at most so many bytes (at least 1).
    Split {
        /// Bytes of body in a chunk.
        chunk: usize,
        /// Bytes written at a time, the head included.
        segment: usize,
    },
}

/// A reply of the handler.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// In the order received, names as sent.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// Everything but the framing, in order.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<(Vec<u8>, Framing)>,
}

/// Why there is no reply, as the host tells the cases apart.
#[derive(Debug)]
pub(super) enum Lost {
    Refused(io::Error),
    Broken(String),
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "HttpRequestException: {error}"),
            Self::Broken(why) => write!(f, "HttpRequestException: {why}"),
        }
    }
}

struct Connection {
    stream: TcpStream,
    idle_since: Instant,
}

/// Keep-alive connections to one port of 127.0.0.1, as the host's `HttpClient` pools them.
pub(super) struct Pool {
    port: u16,
    idle: Mutex<VecDeque<Connection>>,
}

/// .NET's `PooledConnectionIdleTimeout` is a minute: an older connection is not used again.
const IDLE: Duration = Duration::from_mins(1);

impl Pool {
    pub(super) fn new(port: u16) -> Self {
        Self { port, idle: Mutex::default() }
    }

    /// One request, one reply; never sent twice.
    pub(super) async fn exchange(&self, request: &Request) -> Result<Reply, Lost> {
        let mut stream = match self.reuse() {
            Some(stream) => stream,
            None => TcpStream::connect(("127.0.0.1", self.port)).await.map_err(Lost::Refused)?,
        };
        stream.set_nodelay(true).map_err(|error| Lost::Broken(error.to_string()))?;
        let (reply, keep) = converse(&mut stream, request).await?;
        if keep {
            self.lock().push_back(Connection { stream, idle_since: Instant::now() });
        }
        Ok(reply)
    }

    /// Connections at rest.
    pub(super) fn idle(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn reuse(&self) -> Option<TcpStream> {
        let mut idle = self.lock();
        while let Some(connection) = idle.pop_back() {
            let mut byte = [0];
            // At rest there is nothing to read: bytes, an end or an error make it unusable.
            let rests = matches!(
                connection.stream.try_read(&mut byte),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            );
            if rests && connection.idle_since.elapsed() < IDLE {
                return Some(connection.stream);
            }
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a request.
pub(super) fn encode(request: &Request) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
    for (name, value) in &request.headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    match &request.body {
        None => bytes.extend_from_slice(b"\r\n"),
        Some((body, Framing::ContentLength)) => {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
        }
        Some((body, framing)) => {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            let size = match framing {
                Framing::Split { chunk, .. } => *chunk,
                Framing::Chunked | Framing::ContentLength => body.len(),
            };
            for chunk in body.chunks(size.max(1)) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    bytes
}

/// One request and its reply, and whether the connection may be used again.
async fn converse(stream: &mut TcpStream, request: &Request) -> Result<(Reply, bool), Lost> {
    let (mut reader, mut writer) = stream.split();
    let sending = send(&mut writer, request);
    let receiving = receive(&mut reader, request.method == "HEAD");
    tokio::pin!(sending, receiving);
    // A handler may answer before it has read everything (413), so both go on at once.
    let mut sent = None;
    let received = loop {
        tokio::select! {
            // In this order: a request that was sent whole is known as such when its reply is there, and its connection kept.
            biased;
            result = &mut sending, if sent.is_none() => sent = Some(result),
            received = &mut receiving => break received,
        }
    };
    match (received, sent) {
        (Ok((reply, keep)), sent) => Ok((reply, keep && matches!(sent, Some(Ok(()))))),
        (Err(_), Some(Err(error))) => Err(Lost::Broken(error.to_string())),
        (Err(why), None | Some(Ok(()))) => Err(Lost::Broken(why)),
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), request: &Request) -> io::Result<()> {
    let bytes = encode(request);
    let segment = match request.body {
        Some((_, Framing::Split { segment, .. })) => segment.max(1),
        _ => bytes.len(),
    };
    for part in bytes.chunks(segment) {
        stream.write_all(part).await?;
        // Lets the other side see the segment by itself.
        tokio::task::yield_now().await;
    }
    stream.flush().await
}

/// The reply, and whether the connection may be used again.
async fn receive(stream: &mut (impl AsyncRead + Unpin), head_only: bool) -> Result<(Reply, bool), String> {
    let mut buffer = Vec::new();
    let (mut reply, version, start) = loop {
        match head(&buffer)? {
            Some(head) if (100..200).contains(&head.0.status) => {
                buffer.drain(..head.2);
            }
            Some(head) => break head,
            None if more(stream, &mut buffer).await? == 0 => {
                return Err("The response ended prematurely.".to_owned());
            }
            None => {}
        }
    };
    let mut rest = buffer.split_off(start);
    let chunked = reply.header("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
    let bodiless = head_only || matches!(reply.status, 204 | 304);
    let mut delimited = true;
    if bodiless {
    } else if chunked {
        reply.body = chunks(stream, &mut rest).await?;
    } else if let Some(length) = reply.content_length() {
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        while rest.len() < length {
            if more(stream, &mut rest).await? == 0 {
                return Err("The response ended prematurely.".to_owned());
            }
        }
        reply.body = rest.drain(..length).collect();
    } else {
        while more(stream, &mut rest).await? > 0 {}
        reply.body = std::mem::take(&mut rest);
        delimited = false;
    }
    let closing = reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let keep = delimited && version == 1 && !closing && rest.is_empty();
    Ok((reply, keep))
}

fn head(buffer: &[u8]) -> Result<Option<(Reply, u8, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(buffer).map_err(|error| error.to_string())? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(length) => {
            let headers = parsed
                .headers
                .iter()
                .map(|header| {
                    let value = String::from_utf8_lossy(header.value).into_owned();
                    (header.name.to_owned(), value)
                })
                .collect();
            let reply = Reply { status: parsed.code.unwrap_or_default(), headers, body: Vec::new() };
            Ok(Some((reply, parsed.version.unwrap_or_default(), length)))
        }
    }
}

async fn chunks(stream: &mut (impl AsyncRead + Unpin), rest: &mut Vec<u8>) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let line = line(stream, rest).await?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
        if size == 0 {
            // Trailers, up to the empty line.
            while !self::line(stream, rest).await?.is_empty() {}
            return Ok(body);
        }
        while rest.len() < size + 2 {
            if more(stream, rest).await? == 0 {
                return Err("The response ended prematurely.".to_owned());
            }
        }
        body.extend(rest.drain(..size));
        if rest.drain(..2).collect::<Vec<u8>>() != b"\r\n" {
            return Err("a chunk does not end where it says".to_owned());
        }
    }
}

async fn line(stream: &mut (impl AsyncRead + Unpin), rest: &mut Vec<u8>) -> Result<String, String> {
    loop {
        if let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = rest.drain(..end + 2).collect();
            return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
        }
        if more(stream, rest).await? == 0 {
            return Err("The response ended prematurely.".to_owned());
        }
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<usize, String> {
    stream.read_buf(buffer).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(framing: Framing) -> String {
        let headers = vec![("Host".to_owned(), "127.0.0.1:1".to_owned())];
        let request = Request {
            method: "POST".to_owned(),
            target: "/RefreshToken".to_owned(),
            headers,
            body: Some((b"{\"a\":\"0123456789\"}".to_vec(), framing)),
        };
        String::from_utf8(encode(&request)).unwrap()
    }

    #[test]
    fn bodies_are_framed_as_asked() {
        let head = "POST /RefreshToken HTTP/1.1\r\nHost: 127.0.0.1:1\r\n";
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        assert_eq!(sent(Framing::Chunked), format!("{chunked}12\r\n{{\"a\":\"0123456789\"}}\r\n0\r\n\r\n"));
        assert_eq!(sent(Framing::ContentLength), format!("{head}Content-Length: 18\r\n\r\n{{\"a\":\"0123456789\"}}"));
        assert_eq!(sent(Framing::Split { chunk: 10, segment: 3 }), format!("{chunked}a\r\n{{\"a\":\"0123\r\n8\r\n456789\"}}\r\n0\r\n\r\n"));
    }

    #[tokio::test]
    async fn replies_are_read_however_they_are_framed() {
        for (wire, body, keep) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "{}", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\nt: 1\r\n\r\n", "{}", true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "", false),
            ("HTTP/1.0 200 OK\r\n\r\nto the end", "to the end", false),
        ] {
            let (reply, kept) = receive(&mut wire.as_bytes(), false).await.unwrap();
            assert_eq!((reply.body.as_slice(), kept), (body.as_bytes(), keep), "{wire}");
        }
        for wire in ["", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", "SMTP\r\n\r\n"] {
            assert!(receive(&mut wire.as_bytes(), false).await.is_err(), "{wire}");
        }
    }
}
