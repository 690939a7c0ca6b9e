//! The front end: `/<routePrefix>/<route>` of each HTTP function, and the admin routes.
//!
//! Source: azure-functions-host `DefaultHttpWorkerService.InvokeAsync`, `FunctionsController`; Microsoft Learn, "Work with access keys".

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, Response, StatusCode},
};
use serde_json::Value;
use tokio::{net::TcpListener, time::Instant};
use uuid::Uuid;

use super::{
    ambient,
    binding::{AuthLevel, Function, HttpTrigger, Trigger},
    envelope::utc_now,
    event::EventKind,
    forward::{self, Incoming, query_pairs},
    host::Core,
    http_envelope,
    invoke::Cause,
    options::Platform,
    process::bare_get,
    route,
    verdict::judge,
    wire,
};

/// The host's `maxRequestBodySize`, in bytes.
const BODY_LIMIT: usize = 100 * 1024 * 1024;

/// Serves until the host stops; a call in flight then still ends.
pub(super) async fn serve(core: Arc<Core>, listener: TcpListener) {
    let mut stopping = core.stopping.subscribe();
    let router = Router::new().fallback(answer).with_state(core);
    let stop = async move {
        // The sender lives as long as the host: an error is an end too.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    // An accept error is retried by axum; there is no other.
    let _ = axum::serve(listener, router).with_graceful_shutdown(stop).await;
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

async fn answer(State(core): State<Arc<Core>>, request: Request) -> Response<Body> {
    let begun = Instant::now();
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let response = match path.trim_matches('/') {
        "" => empty(StatusCode::OK),
        admin if admin.starts_with("admin/") => {
            let admin = admin.trim_start_matches("admin/").to_owned();
            administer(&core, &admin, request).await
        }
        _ => dispatch(&core, request).await,
    };
    core.events.emit(EventKind::HttpForwarded { method, path, status: response.status().as_u16(), duration: begun.elapsed() });
    response
}

/// `/admin/host/ping` and the manual run of a timer.
async fn administer(core: &Arc<Core>, path: &str, request: Request) -> Response<Body> {
    if path == "host/ping" {
        if let Some(generation) = core.current() {
            // Its result is ignored, as the host ignores it.
            let _ = generation.pool.exchange(&bare_get(generation.port)).await;
        }
        return empty(StatusCode::OK);
    }
    let query = request.uri().query().unwrap_or_default();
    if !admitted(core, AuthLevel::Admin, request.headers(), query) {
        return empty(StatusCode::UNAUTHORIZED);
    }
    let name = path.strip_prefix("functions/").unwrap_or_default();
    let Some(function) = core.app.function(name).cloned() else {
        return empty(StatusCode::NOT_FOUND);
    };
    if request.method() != Method::POST {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let body = to_bytes(request.into_body(), BODY_LIMIT).await.unwrap_or_default();
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    if json.is_none_or(|json| json.get("input").is_none()) {
        return empty(StatusCode::BAD_REQUEST);
    }
    let Trigger::Timer(timer) = function.trigger.clone() else {
        return empty(StatusCode::BAD_REQUEST);
    };
    // Beside the schedule: neither waits for the other.
    let runner = core.clone();
    core.spawn(async move {
        let stored = timer.use_monitor.then(|| runner.statuses.read(&function.name)).flatten();
        runner.invoke(&function, &timer, stored.as_ref(), Cause::Manual).await;
    });
    empty(StatusCode::ACCEPTED)
}

async fn dispatch(core: &Arc<Core>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let Some((function, trigger, route_values)) = find(core, request.method(), &path) else {
        return empty(StatusCode::NOT_FOUND);
    };
    if !admitted(core, trigger.level, request.headers(), &query) {
        return empty(StatusCode::UNAUTHORIZED);
    }
    let (parts, body) = request.into_parts();
    let length = parts.headers.get("content-length");
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let body = match length {
        None | Some(0) => None,
        Some(_) => match to_bytes(body, BODY_LIMIT).await {
            Ok(bytes) => Some(bytes.to_vec()),
            Err(_) => return empty(StatusCode::PAYLOAD_TOO_LARGE),
        },
    };
    let incoming = Incoming { method: parts.method, path, query, headers: parts.headers, body };
    // A task of its own: the invocation goes on when the caller has gone.
    let (name, http) = (function.name.clone(), trigger.clone());
    let runner = core.clone();
    let run = tokio::spawn(async move { invoke(&runner, &name, &http, incoming, &route_values).await });
    let cut = core.options.front_cut.unwrap_or(Duration::MAX);
    match tokio::time::timeout(cut, run).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => empty(StatusCode::INTERNAL_SERVER_ERROR),
        Err(_) => empty(StatusCode::GATEWAY_TIMEOUT),
    }
}

type Found<'core> = (&'core Function, &'core HttpTrigger, Vec<(String, String)>);

/// A method that a function does not take is no match, so another function may have the same route.
fn find<'core>(core: &'core Core, method: &Method, path: &str) -> Option<Found<'core>> {
    let path = route::below(&core.app.route_prefix, path)?;
    let enabled = core.app.functions.iter().filter(|function| !function.disabled);
    let mut found = enabled.filter_map(|function| match &function.trigger {
        Trigger::Http(http) => {
            let values = route::matches(&http.route, path)?;
            let taken = http.methods.is_empty() || http.methods.iter().any(|name| name == method.as_str());
            taken.then_some((function, http, values))
        }
        Trigger::Timer(_) => None,
    });
    found.next()
}

/// Keys by header or by `?code=`. Core Tools ask for none.
fn admitted(core: &Core, level: AuthLevel, headers: &HeaderMap, query: &str) -> bool {
    if core.options.platform == Platform::CoreTools || level == AuthLevel::Anonymous {
        return true;
    }
    let keys = &core.options.keys;
    let header = headers.get("x-functions-key").and_then(|key| key.to_str().ok());
    let in_query = query_pairs(query).into_iter().find(|(name, _)| name.eq_ignore_ascii_case("code"));
    let Some(key) = header.map(str::to_owned).or(in_query.map(|(_, value)| value)) else {
        return false;
    };
    match level {
        AuthLevel::Admin => key == keys.master,
        AuthLevel::Function | AuthLevel::Anonymous => [&keys.function, &keys.host, &keys.master].contains(&&key),
    }
}

async fn invoke(core: &Core, name: &str, trigger: &HttpTrigger, incoming: Incoming, values: &[(String, String)]) -> Response<Body> {
    let id = Uuid::new_v4().to_string();
    let forwarded = core.app.forwarding && trigger.sole_output.is_some();
    if forwarded {
        let call = core.call(name, |_| forward::request(&incoming, &id)).await;
        return match call.reply {
            Ok(reply) => forward::response(reply),
            Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
        };
    }
    let now = utc_now(ambient::now());
    let guid = Uuid::new_v4().to_string();
    let body = http_envelope::body(&incoming, name, &trigger.binding, values, (&now, &guid));
    let framing = core.framing();
    let call = core.call(name, |port| wire::Request {
        method: "POST".to_owned(),
        target: format!("/{name}"),
        headers: Core::default_headers(port, &id),
        body: Some((body.into_bytes(), framing)),
    });
    let call = call.await;
    let Ok(reply) = call.reply else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let (verdict, result) = judge(&reply);
    core.acted_out(verdict, call.duration).await;
    match result {
        Some(result) => {
            let output = trigger.sole_output.as_deref().unwrap_or("res");
            forward::response(http_envelope::answer(&result, output))
        }
        None => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
