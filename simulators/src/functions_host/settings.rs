//! Settings as .NET reads them: JSON and application settings flattened into one case-insensitive map.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

/// Variables by name; the order is the name's, so that two runs start alike.
pub(super) type Environment = BTreeMap<String, String>;

/// host.json overlaid with the `AzureFunctionsJobHost__…` settings. Keys are joined by `:` and compared without case.
///
/// Source: Microsoft Learn, "host.json reference", section Override host.json values.
pub(super) struct Settings(BTreeMap<String, String>);

const OVERRIDE_PREFIX: &str = "azurefunctionsjobhost__";

impl Settings {
    pub(super) fn new(json: &Value, environment: &Environment) -> Self {
        let mut flat = BTreeMap::new();
        flatten("", json, &mut flat);
        for (name, value) in environment {
            let name = name.to_ascii_lowercase();
            if let Some(key) = name.strip_prefix(OVERRIDE_PREFIX) {
                flat.insert(key.replace("__", ":"), value.clone());
            }
        }
        Self(flat)
    }

    /// A value that is present and not blank.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let value = self.0.get(&key.to_ascii_lowercase())?.trim();
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        match self.text(key).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => anyhow::bail!("{key}: `{other}` is neither true nor false"),
        }
    }

    /// The elements of an array, in order.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        (0..).map_while(|index| self.0.get(&format!("{}:{index}", key.to_ascii_lowercase()))).cloned().collect()
    }

    /// Everything below a key, as (rest of the key in lower case, value).
    pub(super) fn below(&self, key: &str) -> Vec<(String, String)> {
        let prefix = format!("{}:", key.to_ascii_lowercase());
        self.0.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value.clone()))).collect()
    }
}

fn flatten(prefix: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    let join = |key: &str| match prefix {
        "" => key.to_ascii_lowercase(),
        prefix => format!("{prefix}:{}", key.to_ascii_lowercase()),
    };
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flatten(&join(key), value, flat);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                flatten(&join(&index.to_string()), value, flat);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            flat.insert(prefix.to_owned(), text.clone());
        }
        Value::Bool(_) | Value::Number(_) => {
            flat.insert(prefix.to_owned(), value.to_string());
        }
    }
}

/// A lookup without regard to case, as `Environment.ExpandEnvironmentVariables` is not, but .NET configuration is.
pub(super) fn lookup<'env>(environment: &'env Environment, name: &str) -> Option<&'env str> {
    environment.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// What becomes of a `%NAME%` that is not set.
#[derive(Clone, Copy)]
pub(super) enum Unknown {
    Removed,
    Kept,
}

/// Replaces each `%NAME%`.
pub(super) fn expand(text: &str, environment: &Environment, unknown: Unknown) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('%') {
        let Some(length) = rest[open + 1..].find('%') else {
            break;
        };
        let name = &rest[open + 1..open + 1 + length];
        out.push_str(&rest[..open]);
        match (lookup(environment, name), unknown) {
            (Some(value), _) => out.push_str(value),
            (None, Unknown::Removed) => {}
            (None, Unknown::Kept) => out.push_str(&rest[open..=open + 1 + length]),
        }
        rest = &rest[open + length + 2..];
    }
    out + rest
}

/// Adds the `Values` of local.settings.json. What is set already wins, as with `func start`.
///
/// Source: Microsoft Learn, "Code and test Azure Functions locally", section Local settings file.
pub(super) fn add_local_settings(app_root: &Path, environment: &mut Environment) -> Result<()> {
    let file = app_root.join("local.settings.json");
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| file.display().to_string())?,
    };
    let json: Value = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    if json.get("IsEncrypted").and_then(Value::as_bool) == Some(true) {
        anyhow::bail!("{}: IsEncrypted is true; encrypted settings cannot be read here", file.display());
    }
    let Some(Value::Object(values)) = json.get("Values") else {
        return Ok(());
    };
    for (name, value) in values {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null => String::new(),
            Value::Array(_) | Value::Object(_) => {
                anyhow::bail!("{}: the value of {name} is not a string", file.display())
            }
        };
        environment.entry(name.clone()).or_insert(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_are_read_without_case_and_the_environment_wins() {
        let json = json!({"CustomHandler": {"Description": {"defaultExecutablePath": "a", "arguments": ["x", "y"]}}});
        let environment = environment(&[("AzureFunctionsJobHost__customHandler__description__DefaultExecutablePath", "b")]);
        let settings = Settings::new(&json, &environment);
        assert_eq!(settings.text("customHandler:description:defaultExecutablePath"), Some("b"));
        assert_eq!(settings.list("customHandler:description:arguments"), ["x", "y"]);
    }

    #[test]
    fn variables_are_expanded() {
        let environment = environment(&[("PORT", "80")]);
        assert_eq!(expand("-p %port%%NONE%!", &environment, Unknown::Removed), "-p 80!");
        assert_eq!(expand("%NONE%/%PORT%", &environment, Unknown::Kept), "%NONE%/80");
        assert_eq!(expand("100% sure", &environment, Unknown::Removed), "100% sure");
    }
}
