//! Where settings come from: the environment, and for the command line `local.settings.json` behind it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::{Config, ConfigError, app_root, names};

const LOCAL_SETTINGS: &str = "local.settings.json";

/// The settings as they were found, and what kept others from being found. Holds this program's settings and no others.
#[derive(Clone, Default)]
pub struct Source {
    values: BTreeMap<&'static str, String>,
    problems: Vec<String>,
}

/// What the Functions host, or the shell, has set.
///
/// The process's environment is read here and nowhere else, name by name: it also holds secrets that are none of this program's business.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment() -> Source {
    let mut source = Source::default();
    for name in names() {
        match std::env::var_os(name).map(std::ffi::OsString::into_string) {
            Some(Ok(value)) => drop(source.values.insert(name, value)),
            Some(Err(_)) => source.problems.push(format!("{name}: is not valid UTF-8; set it again")),
            None => {}
        }
    }
    source
}

/// The environment, and for what is missing there the `Values` of `local.settings.json` in the app's folder: what `func start` would set.
#[must_use]
pub fn command_line(current: &Path) -> Source {
    let environment = environment();
    let folder = app_root(|name| environment.get(name), current);
    environment.with_local_settings(&folder)
}

impl Source {
    /// The lookup for [`Config::read`], [`port`](super::port) and [`log_filter`](super::log_filter).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// Reads all settings; what could not be read at all is reported with the rest.
    pub fn config(&self, current: &Path) -> Result<Config, ConfigError> {
        let mut problems = self.problems.clone();
        match Config::read(|name| self.get(name), current) {
            Ok(config) if problems.is_empty() => return Ok(config),
            Ok(_) => {}
            Err(error) => problems.extend(error.problems),
        }
        Err(ConfigError { problems })
    }

    fn with_local_settings(self, folder: &Path) -> Self {
        match std::fs::read(folder.join(LOCAL_SETTINGS)) {
            Ok(content) => self.with_file(&content),
            Err(error) if error.kind() == ErrorKind::NotFound => self,
            Err(error) => self.with_problem(&format!("could not be read ({})", error.kind())),
        }
    }

    /// `content` is a whole `local.settings.json`. Core Tools write it with or without a byte order mark.
    fn with_file(mut self, content: &[u8]) -> Self {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        // Neither the content nor the parser's error, which quotes it, goes into the message.
        let Ok(Value::Object(file)) = serde_json::from_slice(content) else {
            return self.with_problem("is not a JSON object; correct it (comments and trailing commas are not allowed here)");
        };
        if file.get("IsEncrypted") == Some(&Value::Bool(true)) {
            return self.with_problem("says IsEncrypted: true, and only Core Tools can read that; run `func settings decrypt`");
        }
        let values = match file.get("Values") {
            None | Some(Value::Null) => return self,
            Some(Value::Object(values)) => values,
            Some(_) => return self.with_problem("has Values that are not an object of names and texts; correct it"),
        };
        for name in names() {
            let value = match values.get(name) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.clone(),
                Some(number_or_bool @ (Value::Number(_) | Value::Bool(_))) => number_or_bool.to_string(),
                Some(Value::Array(_) | Value::Object(_)) => {
                    self = self.with_problem(&format!("has a {name} that is not a text; write it in quotes"));
                    continue;
                }
            };
            let present = self.values.get(name).is_some_and(|value| !value.trim().is_empty());
            if !present {
                self.values.insert(name, value);
            }
        }
        self
    }

    fn with_problem(mut self, what: &str) -> Self {
        self.problems.push(format!("{LOCAL_SETTINGS}: {what}"));
        self
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("names", &self.values.keys()).field("problems", &self.problems).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&'static str, &str)]) -> Source {
        Source { values: pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), problems: Vec::new() }
    }

    #[test]
    fn the_environment_wins_unless_it_is_blank() {
        let source = set(&[("EXACT_REGION", "be"), ("TOKEN_FILE", " ")]).with_file(
            br#"{"IsEncrypted":false,"Values":{"EXACT_REGION":"de","TOKEN_FILE":"t.json","FUNCTIONS_CUSTOMHANDLER_PORT":7,"OTHER":"made-up-canary","RUST_LOG":null}}"#,
        );
        assert_eq!(source.get("EXACT_REGION").as_deref(), Some("be"));
        assert_eq!(source.get("TOKEN_FILE").as_deref(), Some("t.json"));
        assert_eq!(source.get("FUNCTIONS_CUSTOMHANDLER_PORT").as_deref(), Some("7"));
        assert_eq!((source.get("OTHER"), source.get("RUST_LOG")), (None, None));
        assert!(source.problems.is_empty());
        assert!(!format!("{source:?}").contains("t.json"));
    }

    #[test]
    fn a_damaged_file_is_named_and_not_quoted() {
        for (content, expected) in [
            (&b"{\"Values\":{\"EXACT_CLIENT_SECRET\":\"made-up-canary\",}}"[..], "is not a JSON object"),
            (b"[\"made-up-canary\"]", "is not a JSON object"),
            (b"", "is not a JSON object"),
            (b"\xff\xfe made-up-canary", "is not a JSON object"),
            (b"\xef\xbb\xbf{\"IsEncrypted\":true,\"Values\":{\"EXACT_CLIENT_SECRET\":\"made-up-canary\"}}", "IsEncrypted: true"),
            (b"{\"Values\":[\"made-up-canary\"]}", "Values that are not an object"),
            (b"{\"Values\":{\"EXACT_CLIENT_SECRET\":{\"made-up-canary\":1}}}", "EXACT_CLIENT_SECRET"),
        ] {
            let source = Source::default().with_file(content);
            let error = source.config(Path::new("/app")).unwrap_err();
            let first = &error.problems[0];
            assert!(first.starts_with("local.settings.json: ") && first.contains(expected), "{first}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_file_without_values_or_no_file_is_no_problem() {
        for content in [&b"{}"[..], b"{\"Values\":null}", b"\xef\xbb\xbf{\"Values\":{}}"] {
            assert!(Source::default().with_file(content).problems.is_empty());
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(Source::default().with_local_settings(folder.path()).problems.is_empty());
        std::fs::create_dir(folder.path().join(LOCAL_SETTINGS)).unwrap();
        assert_eq!(Source::default().with_local_settings(folder.path()).problems.len(), 1);
    }

    #[test]
    fn what_could_not_be_read_keeps_good_settings_from_being_used() {
        let source = set(&[("EXACT_CLIENT_ID", "00000000-0000-0000-0000-00000000c0de"), ("EXACT_CLIENT_SECRET", "made-up")]);
        assert!(source.config(Path::new("/app")).is_ok());
        assert!(source.with_problem("is odd").config(Path::new("/app")).is_err());
    }

    mod fuzz {
        use fuzzing::Target;

        use super::*;

        #[test]
        fn local_settings() {
            let words = [
                "Values",
                "IsEncrypted",
                "EXACT_CLIENT_ID",
                "EXACT_CLIENT_SECRET",
                "EXACT_BASE_URL",
                "KEY_VAULT_URL",
                "AzureWebJobsStorage",
                "TOKEN_FILE",
            ];
            Target::new("local-settings").words(&words).run(|input| {
                let source = Source::default().with_file(input);
                let config = source.config(Path::new("/app"));
                let said = config.as_ref().map_or_else(ToString::to_string, |config| config.remarks.join("; "));
                format!("{source:?} {config:?} {said}")
            });
        }
    }
}
