//! Settings of every kind, for the fuzzer: `NAME=value`, a line each.

use fuzzing::Target;

use super::super::base_url::is_loopback;
use super::super::{names, port};
use super::*;

#[test]
fn settings() {
    let mut words: Vec<&'static str> = names().collect();
    words.extend([
        "@Microsoft.KeyVault(",
        "put-your-",
        "https://",
        "http://127.0.0.1:",
        "made-up.vault.azure.net",
        "on-demand",
        "UseDevelopmentStorage=true",
    ]);
    words.extend(["AccountName=", "AccountKey=", "BlobEndpoint=", "MADEUPcanary", "\n"]);
    Target::new("settings").words(&words).run(|input| {
        let text = String::from_utf8_lossy(input);
        let given: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let lookup = |name: &str| given.get(name).map(ToString::to_string);
        let port = port(lookup);
        assert!(port.as_ref().is_ok_and(|port| *port > 0) || port.is_err());
        let (config, filter) = (Config::read(lookup, Path::new("/app")), log_filter(lookup));
        let port = port.map_or_else(|problem| problem, |_| String::new());
        match config {
            Ok(config) => {
                let url = reqwest::Url::parse(&config.exact.base_url).unwrap();
                assert!(url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_loopback)));
                assert!(!config.exact.client_secret.reveal().trim().is_empty() && !config.exact.client_id.trim().is_empty());
                assert!(port.is_empty());
                let _ = (config.consent_url(), app_root(lookup, Path::new("/app")), filter);
                format!("{config:?} {:?} {:?} {}", config.exact, config.store, config.remarks.join("; "))
            }
            Err(error) => {
                assert!(!error.problems.is_empty());
                let names: Vec<&str> = error.problems.iter().filter_map(|problem| problem.split_once(':')).map(|(name, _)| name).collect();
                assert_eq!(names.len(), error.problems.len(), "each names its setting: {error}");
                format!("{error} {error:?} {port}")
            }
        }
    });
}
