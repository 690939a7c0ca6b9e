//! The default protocol for HTTP functions: what the call becomes, and what the caller gets for the handler's `Outputs`. Pure.
//!
//! Source: azure-functions-host `HttpRequestExtensions.GetRequestAsJObject`, `HttpScriptInvocationResultExtensions`, `RawScriptResult`.

use serde_json::{Map, Value, json};

use super::{
    forward::{Incoming, query_pairs},
    verdict::ScriptResult,
    wire::Reply,
};

/// The body of `POST /<function>`. The caller's keys are in it twice, as in the real one.
pub(super) fn body(
    incoming: &Incoming,
    function: &str,
    binding: &str,
    route_values: &[(String, String)],
    (utc_now, rand_guid): (&str, &str),
) -> String {
    let pairs = query_pairs(&incoming.query);
    let query: Map<String, Value> = pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let mut lists = Map::new();
    let mut singles = Map::new();
    for name in incoming.headers.keys() {
        let values: Vec<String> = incoming.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        singles.insert(name.to_string(), Value::from(values.join(", ")));
        lists.insert(name.to_string(), Value::from(values));
    }
    let host = incoming.headers.get("host").and_then(|host| host.to_str().ok());
    let mark = if incoming.query.is_empty() { "" } else { "?" };
    let url = format!("http://{}{}{mark}{}", host.unwrap_or("localhost"), incoming.path, incoming.query);
    let params: Map<String, Value> = route_values.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let mut request = json!({
        "Url": url,
        "Method": incoming.method.as_str(),
        "Query": query,
        "Headers": lists,
        "Params": params,
        "Identities": [],
    });
    let text = incoming.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
    if let Some(text) = &text {
        request["Body"] = Value::from(text.as_str());
    }

    // Trigger data: each value is JSON text within a JSON string.
    let mut metadata = Map::new();
    let mut add = |name: &str, value: &Value| {
        metadata.insert(name.to_owned(), Value::from(value.to_string()));
    };
    for (name, value) in pairs.iter().filter(|(name, _)| name != "code") {
        add(name, &Value::from(value.as_str()));
    }
    if let Some(Ok(Value::Object(members))) = text.map(|text| serde_json::from_str(&text)) {
        for (name, value) in &members {
            add(name, value);
        }
    }
    for (name, value) in &params {
        add(name, value);
    }
    metadata.insert("Query".to_owned(), Value::Object(query));
    metadata.insert("Headers".to_owned(), Value::Object(singles));
    let system = json!({ "MethodName": function, "UtcNow": utc_now, "RandGuid": rand_guid });
    metadata.insert("sys".to_owned(), system);
    json!({ "Data": { binding: request }, "Metadata": metadata }).to_string()
}

/// What the caller sees for a reply that was judged a success.
pub(super) fn answer(result: &ScriptResult, output: &str) -> Reply {
    let plain = |status: u16, body: &str| Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
    let Some(outputs) = &result.outputs else {
        return plain(200, "");
    };
    let found = outputs.iter().find(|(name, _)| name.eq_ignore_ascii_case(output));
    match found {
        None => plain(200, "{}"),
        Some((_, Value::Object(members))) => of_members(members).unwrap_or_else(|()| plain(500, "")),
        // InvalidOperationException: the output is no JSON object.
        Some(_) => plain(500, ""),
    }
}

fn of_members(members: &Map<String, Value>) -> Result<Reply, ()> {
    let member = |wanted: &str| {
        let mut named = members.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.next().map(|(_, value)| value)
    };
    // `status` without `statusCode` has no effect: the copied object always has a StatusCode, if only null.
    let status = match member("statusCode") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let mut headers = Vec::new();
    match member("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Object(entries)) => {
            for (name, value) in entries {
                match value {
                    Value::String(text) => headers.push((name.clone(), text.clone())),
                    Value::Bool(_) | Value::Number(_) => {
                        headers.push((name.clone(), value.to_string()));
                    }
                    Value::Null | Value::Array(_) | Value::Object(_) => return Err(()),
                }
            }
        }
        Some(_) => return Err(()),
    }
    let body = match member("body") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        // Newtonsoft's indented text.
        Some(other) => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        let default = "text/plain; charset=utf-8".to_owned();
        headers.push(("Content-Type".to_owned(), default));
    }
    Ok(Reply { status: status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200), headers, body: body.into_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, HeaderValue, Method};

    fn seen(outputs: &Value) -> (u16, String) {
        let outputs = outputs.as_object().cloned();
        let reply = answer(&ScriptResult { outputs, ..ScriptResult::default() }, "res");
        (reply.status, String::from_utf8(reply.body).unwrap())
    }

    /// R11: the data of the upstream `HttpScriptInvocationResultExtensionsTests`, and the rest of the table.
    #[test]
    fn r11_outputs_become_answers() {
        for (outputs, status, body) in [
            (json!({"res": {"statusCode": "204"}}), 204, ""),
            (json!({"res": {"body": "hello", "statusCode": "300"}}), 300, "hello"),
            (json!({"res": {"statusCode": 201, "body": "x"}}), 201, "x"),
            (json!({"res": "SomeBlah"}), 500, ""),
            (json!({"res": {"status": 201, "body": "x"}}), 200, "x"),
            (json!({"res": {"statusCode": "soon"}}), 200, ""),
            (json!({"res": {"body": {"a": 1}}}), 200, "{\n  \"a\": 1\n}"),
            (json!({"RES": {"headers": {"a": null}}}), 500, ""),
            (json!({}), 200, "{}"),
            (Value::Null, 200, ""),
        ] {
            assert_eq!(seen(&outputs), (status, body.to_owned()), "{outputs}");
        }
    }

    #[test]
    fn the_callers_key_is_in_the_body_twice() {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("app.example"));
        let incoming =
            Incoming { method: Method::GET, path: "/api/GetToken".to_owned(), query: "code=FAKEKEY&scope=a".to_owned(), headers, body: None };
        let text = body(&incoming, "GetToken", "req", &[], ("2026-11-23T16:45:01.5Z", "guid"));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["Data"]["req"]["Url"], "http://app.example/api/GetToken?code=FAKEKEY&scope=a");
        assert_eq!(json["Data"]["req"]["Headers"]["host"], json!(["app.example"]));
        assert_eq!(json["Data"]["req"].get("Body"), None);
        assert_eq!(json["Metadata"]["Query"]["code"], "FAKEKEY");
        assert_eq!(json["Metadata"]["scope"], "\"a\"");
        assert_eq!(json["Metadata"].get("code"), None);
    }
}
