//! Which path is which function.

use axum::http::Method;

use super::ask::percent_encoding_is_sound;
use super::reply::Refused;

/// The paths that are served. The test below holds the folders with a `function.json` to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The host's readiness poll, and its later pings.
    Alive,
    /// The timer: named after its folder, in its case, without `/api`.
    RefreshToken,
    /// Forwarded HTTP: as the caller wrote it, and the host matches without regard to case and to a slash at the end.
    GetToken,
    /// The same: what is known, for a monitor and for a person.
    Status,
    /// The page for a person, likewise forwarded.
    Consent,
    /// Where Exact sends that person's browser back to. Open to all: where a key is asked for, the host takes Exact's `code` for one.
    ConsentCallback,
}

impl Route {
    const ALL: [Self; 6] = [Self::Alive, Self::RefreshToken, Self::GetToken, Self::Status, Self::Consent, Self::ConsentCallback];

    /// The route of a request, or why there is none.
    pub(super) fn of(path: &str, method: &Method) -> Result<Self, Refused> {
        if !percent_encoding_is_sound(path) {
            return Err(Refused::Malformed("the path has a % that is not followed by two hexadecimal digits"));
        }
        let route = Self::ALL.into_iter().find(|route| route.is_at(path)).ok_or(Refused::NotFound)?;
        let allow = route.methods();
        if allow.split(", ").any(|allowed| allowed == method.as_str()) { Ok(route) } else { Err(Refused::Method { allow }) }
    }

    /// As the `Allow` header lists them.
    fn methods(self) -> &'static str {
        match self {
            Self::Alive => "GET, HEAD",
            Self::RefreshToken => "POST",
            Self::GetToken | Self::Status | Self::ConsentCallback => "GET",
            Self::Consent => "GET, POST",
        }
    }

    /// Whether a person's browser asks, and gets a page.
    pub(super) fn is_for_a_browser(self) -> bool {
        match self {
            Self::Alive | Self::RefreshToken | Self::GetToken | Self::Status => false,
            Self::Consent | Self::ConsentCallback => true,
        }
    }

    fn is_at(self, path: &str) -> bool {
        let forwarded = |own: &str| path.strip_suffix('/').unwrap_or(path).eq_ignore_ascii_case(own);
        match self {
            Self::Alive => path == "/",
            Self::RefreshToken => path == "/RefreshToken",
            Self::GetToken => forwarded("/api/GetToken"),
            Self::Status => forwarded("/api/Status"),
            Self::Consent => forwarded("/api/Consent"),
            Self::ConsentCallback => forwarded("/api/ConsentCallback"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::super::envelope::BINDING;
    use super::*;

    fn json_at(path: &str) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
    }

    #[test]
    fn every_folder_is_a_route_and_every_route_a_folder() {
        let mut functions: Vec<String> = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().join("function.json").exists())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        functions.sort();
        let routes: Vec<String> = Route::ALL.into_iter().filter(|route| *route != Route::Alive).map(|route| format!("{route:?}")).collect();
        let mut sorted = routes.clone();
        sorted.sort();
        assert_eq!(functions, sorted);

        for function in functions {
            let bindings = json_at(&format!("{function}/function.json"))["bindings"].as_array().unwrap().clone();
            let (path, methods) = match bindings[0]["type"].as_str().unwrap() {
                "timerTrigger" => {
                    assert_eq!(bindings.len(), 1);
                    assert_eq!(bindings[0]["name"], BINDING);
                    (format!("/{function}"), vec!["POST".to_owned()])
                }
                "httpTrigger" => {
                    // Exactly one of each, else the host does not forward.
                    assert_eq!(bindings.len(), 2);
                    assert_eq!(
                        (&bindings[1]["type"], &bindings[1]["direction"], &bindings[1]["name"]),
                        (&json!("http"), &json!("out"), &json!("res"))
                    );
                    let level = if function == "ConsentCallback" { "anonymous" } else { "function" };
                    assert_eq!(bindings[0]["authLevel"], level, "{function}");
                    assert!(bindings[0].get("route").is_none());
                    let methods = bindings[0]["methods"].as_array().unwrap();
                    (format!("/api/{function}"), methods.iter().map(|method| method.as_str().unwrap().to_uppercase()).collect())
                }
                other => panic!("{other}"),
            };
            assert!(!methods.is_empty());
            for method in &methods {
                let route = Route::of(&path, &method.parse().unwrap()).unwrap();
                assert_eq!(format!("{route:?}"), function);
                assert_eq!(route.methods(), methods.join(", "));
            }
        }
    }

    #[test]
    fn the_timer_fires_every_nine_minutes_and_is_not_retried_by_the_host() {
        let function = json_at("RefreshToken/function.json");
        assert_eq!(function["bindings"][0]["schedule"], "0 */9 * * * *");
        assert_eq!(function["bindings"][0]["useMonitor"], true);
        assert!(function.get("retry").is_none());
    }

    #[test]
    fn the_host_is_told_what_this_code_relies_on() {
        let host = json_at("host.json");
        assert_eq!(host["version"], "2.0");
        assert_eq!(host["functionTimeout"], "00:10:00");
        assert_eq!(host["customHandler"]["description"]["defaultExecutablePath"], env!("CARGO_PKG_NAME"));
        assert_eq!(host["customHandler"]["enableForwardingHttpRequest"], true);
        // Routes in host.json exclude function.json; the prefix must stay "api"; a bundle would be downloaded and is not needed.
        assert!(host["customHandler"].get("http").is_none() && host.get("extensions").is_none() && host.get("extensionBundle").is_none());
    }

    #[test]
    fn the_example_settings_are_recognised_as_such() {
        let example = json_at("local.settings.json.example");
        let values = example["Values"].as_object().unwrap();
        assert_eq!(values["FUNCTIONS_WORKER_RUNTIME"], "custom");
        assert_eq!(values["AzureWebJobsStorage"], "UseDevelopmentStorage=true");
        // Exact answers 401 to a redirect URI that is not public.
        assert!(values["EXACT_REDIRECT_URI"].as_str().is_some_and(|uri| uri.starts_with("https://") && !uri.contains("localhost")));
        let read = |name: &str| values.get(name).and_then(Value::as_str).map(str::to_owned);
        let problems = crate::config::Config::read(read, Path::new("/app")).unwrap_err().problems;
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains("still the example's placeholder")), "{problems:?}");
        for name in values.keys().filter(|name| name.starts_with("EXACT_")) {
            assert!(crate::config::SETTINGS.iter().any(|setting| setting.name == name), "{name}");
        }
    }

    #[test]
    fn paths_and_methods() {
        for (method, path, expected) in [
            ("GET", "/", Ok(Route::Alive)),
            ("HEAD", "/", Ok(Route::Alive)),
            ("POST", "/RefreshToken", Ok(Route::RefreshToken)),
            ("GET", "/api/GetToken", Ok(Route::GetToken)),
            ("GET", "/api/gettoken/", Ok(Route::GetToken)),
            ("GET", "/api/Status", Ok(Route::Status)),
            ("GET", "/api/status/", Ok(Route::Status)),
            ("POST", "/api/Status", Err(Refused::Method { allow: "GET" })),
            ("GET", "/Status", Err(Refused::NotFound)),
            ("GET", "/api/Consent", Ok(Route::Consent)),
            ("POST", "/api/consent/", Ok(Route::Consent)),
            ("GET", "/API/consentcallback", Ok(Route::ConsentCallback)),
            ("HEAD", "/api/Consent", Err(Refused::Method { allow: "GET, POST" })),
            ("POST", "/api/ConsentCallback", Err(Refused::Method { allow: "GET" })),
            ("POST", "/", Err(Refused::Method { allow: "GET, HEAD" })),
            ("GET", "/RefreshToken", Err(Refused::Method { allow: "POST" })),
            ("HEAD", "/api/GetToken", Err(Refused::Method { allow: "GET" })),
            ("get", "/api/GetToken", Err(Refused::Method { allow: "GET" })),
            ("POST", "/refreshtoken", Err(Refused::NotFound)),
            ("POST", "/GetToken", Err(Refused::NotFound)),
            ("POST", "/api/RefreshToken", Err(Refused::NotFound)),
            ("GET", "/api/GetToken//", Err(Refused::NotFound)),
            ("GET", "/api/GetToken/x", Err(Refused::NotFound)),
            ("OPTIONS", "*", Err(Refused::NotFound)),
            ("CONNECT", "", Err(Refused::NotFound)),
        ] {
            assert_eq!(Route::of(path, &method.parse().unwrap()), expected, "{method} {path}");
        }
        for path in ["/%", "/api/GetToken%2", "/%zz"] {
            assert!(matches!(Route::of(path, &Method::GET), Err(Refused::Malformed(_))), "{path}");
        }
    }
}
