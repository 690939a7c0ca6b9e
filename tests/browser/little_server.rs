//! A server of a few lines, where the product has no part.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query, still encoded.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The decoded values of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        form_urlencoded::parse(query.as_bytes()).find(|(it, _)| it == name).map(|(_, value)| value.into_owned())
    }
}

type Answer = Arc<dyn Fn(&Seen) -> Response + Send + Sync>;

/// It stops when it is dropped.
pub(crate) struct LittleServer {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl LittleServer {
    /// Answers what the function says.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let answer: Answer = Arc::new(answer);
        let router = Router::new().fallback(hear).with_state((Arc::clone(&seen), answer));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, seen, task }
    }

    /// Under one of the two names of this machine: `127.0.0.1` or `localhost`.
    pub(crate) fn url(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }

    /// Every request so far, but for the icon that a browser asks for by itself.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap().clone();
        seen.into_iter().filter(|it| it.target != "/favicon.ico").collect()
    }
}

impl Drop for LittleServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hear(State((seen, answer)): State<(Arc<Mutex<Vec<Seen>>>, Answer)>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().into()).unwrap();
    let this = Seen { method: head.method.to_string(), target: head.uri.to_string(), headers, body };
    seen.lock().unwrap().push(this.clone());
    answer(&this)
}

/// A page, and headers that come with it.
pub(crate) fn page(html: &str, headers: &[(&str, &str)]) -> Response {
    let mut response = Response::builder().header("Content-Type", "text/html; charset=utf-8");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let whole = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta name=\"viewport\" content=\"width=device-width\"><title>A page</title></head>\
         <body><main>{html}</main></body></html>"
    );
    response.body(whole.into()).unwrap()
}

/// Somewhere else, and headers that come with it.
pub(crate) fn see_other(location: &str, headers: &[(&str, &str)]) -> Response {
    let mut response = page("", headers);
    *response.status_mut() = axum::http::StatusCode::SEE_OTHER;
    response.headers_mut().insert("location", location.parse().unwrap());
    response
}
