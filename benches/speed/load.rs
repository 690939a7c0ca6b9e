//! Many calls over kept connections, as the Functions host makes them, each timed.
//!
//! One thread, and a client by hand: it shares two cores with the handler, so whatever it costs is taken from both and hides the difference. A call is
//! one write, one read and a comparison of bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Two cores are busy with this many, and no call waits for most of its time.
const CONNECTIONS: usize = 16;
/// Much longer than so many calls take.
const LIMIT: Duration = Duration::from_secs(80);
/// No reply is larger; one read takes it whole.
const MOST_REPLY: usize = 8 * 1024;
const STATUS: &str = "HTTP/1.1 200 ";
const TOKEN: &str = r#"{"access_token":""#;

/// Calls that were made: in how much time altogether, and how long each took.
#[derive(Default)]
pub(crate) struct Ran {
    took: Duration,
    calls: Vec<Duration>,
}

impl Ran {
    pub(crate) fn add(&mut self, more: Self) {
        self.took += more.took;
        self.calls.extend(more.calls);
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer calls than an f64 can count")]
    pub(crate) fn per_second(&self) -> f64 {
        self.calls.len() as f64 / self.took.as_secs_f64()
    }

    /// The 99th percentile of the latency.
    pub(crate) fn p99(&self) -> Duration {
        let mut sorted = self.calls.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// A reply, as it came.
pub(crate) struct Reply {
    head: String,
    pub(crate) body: String,
}

impl Reply {
    /// 200 or not.
    pub(crate) fn is_ok(&self) -> bool {
        self.head.starts_with(STATUS)
    }

    /// The headers that are not the server's own, as `name: value`, in alphabetical order.
    pub(crate) fn headers(&self) -> Vec<&str> {
        let own = |line: &&str| ["content-length: ", "date: "].iter().any(|name| line.to_ascii_lowercase().starts_with(name));
        let mut headers: Vec<_> = self.head.lines().skip(1).filter(|line| !line.is_empty() && !own(line)).collect();
        headers.sort_unstable();
        headers
    }
}

/// A call as the host forwards it from Data Factory, or its readiness poll.
pub(crate) fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: made-up.azurewebsites.net\r\nAccept: */*\r\nUser-Agent: AzureDataFactory Azure-Functions-Host/4.1037.0.0\r\n\
         traceparent: 00-bb2bd5eef54cb15a1506d0326d2489e7-d3f54c84c7034d76-00\r\nx-functions-key: FAKEKEY\r\nX-Forwarded-For: 203.0.113.7:40400\r\n\
         X-Azure-Functions-HostVersion: 4.1037.0.0\r\nX-Azure-Functions-InvocationId: 5b6f0a5e-6c0b-4a53-9a32-1f1a35b0a7c1\r\n\r\n"
    )
}

/// One call on a connection of its own.
pub(crate) async fn once(port: u16, path: &str) -> anyhow::Result<Reply> {
    let call = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request(path).as_bytes()).await?;
        let mut bytes = Vec::new();
        loop {
            if let Some(reply) = complete(&bytes)? {
                return Ok(reply);
            }
            ensure!(stream.read_buf(&mut bytes).await? > 0, "the connection was closed");
        }
    };
    timeout(LIMIT, call).await.context("no reply in time")?
}

fn complete(bytes: &[u8]) -> anyhow::Result<Option<Reply>> {
    let text = std::str::from_utf8(bytes)?;
    let Some(end) = text.find("\r\n\r\n") else { return Ok(None) };
    let (head, body) = text.split_at(end + 4);
    let length = head.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.context("a reply without a length")?.1.parse()?;
    Ok((body.len() == length).then(|| Reply { head: head.to_owned(), body: body.to_owned() }))
}

/// So many calls of `GetToken`. Each must be answered as `expected` was: the same size, status and access token.
pub(crate) async fn run(port: u16, calls: usize, expected: &Reply) -> anyhow::Result<Ran> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        connections.push(stream);
    }
    let request: Arc<[u8]> = request("/api/GetToken").into_bytes().into();
    let check = Arc::new(Check::of(expected)?);
    let begun = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    let start = Instant::now();
    for stream in connections {
        callers.spawn(caller(stream, calls, Arc::clone(&begun), Arc::clone(&request), Arc::clone(&check)));
    }
    let mut times = Vec::with_capacity(calls);
    let all = async {
        while let Some(done) = callers.join_next().await {
            times.extend(done??);
        }
        anyhow::Ok(())
    };
    timeout(LIMIT, all).await.context("the calls took too long")??;
    let took = start.elapsed();
    ensure!(times.len() == calls, "{} calls were made", times.len());
    Ok(Ran { took, calls: times })
}

/// Calls on one connection until all have begun.
async fn caller(
    mut stream: TcpStream,
    calls: usize,
    begun: Arc<AtomicUsize>,
    request: Arc<[u8]>,
    check: Arc<Check>,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(calls);
    let mut buffer = vec![0; MOST_REPLY];
    while begun.fetch_add(1, Ordering::Relaxed) < calls {
        let start = Instant::now();
        stream.write_all(&request).await?;
        let mut read = 0;
        while read < check.size {
            match stream.read(&mut buffer[read..]).await? {
                0 => bail!("the connection was closed"),
                more => read += more,
            }
        }
        times.push(start.elapsed());
        check.assert(&buffer[..read])?;
    }
    Ok(times)
}

/// What every reply of a run has in common: status, size and access token. The date and the seconds that are left change, and not in length.
struct Check {
    size: usize,
    body_at: usize,
    begins: String,
}

impl Check {
    fn of(expected: &Reply) -> anyhow::Result<Self> {
        let token = expected.body.strip_prefix(TOKEN).and_then(|rest| rest.split_once('"')).context("a body that begins with no token")?.0;
        Ok(Self { size: expected.head.len() + expected.body.len(), body_at: expected.head.len(), begins: format!("{TOKEN}{token}\"") })
    }

    fn assert(&self, reply: &[u8]) -> anyhow::Result<()> {
        let same = reply.len() == self.size && reply.starts_with(STATUS.as_bytes()) && reply[self.body_at..].starts_with(self.begins.as_bytes());
        ensure!(same, "an unexpected reply: {}", String::from_utf8_lossy(reply));
        Ok(())
    }
}
