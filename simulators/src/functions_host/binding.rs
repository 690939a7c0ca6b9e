//! function.json: what a function is triggered by.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::{
    ncrontab::Ncrontab,
    retry::{RetryDocument, RetryPolicy},
    schedule::Ticks,
    settings::{Environment, Unknown, expand, lookup},
    time_span,
};

/// One folder with a function.json.
#[derive(Clone, Debug)]
pub(super) struct Function {
    /// The folder's name, in its own spelling: it is also the handler's path.
    pub(super) name: String,
    pub(super) disabled: bool,
    pub(super) trigger: Trigger,
    pub(super) retry: Option<RetryPolicy>,
}

#[derive(Clone, Debug)]
pub(super) enum Trigger {
    Timer(TimerTrigger),
    Http(HttpTrigger),
}

#[derive(Clone, Debug)]
pub(super) struct TimerTrigger {
    pub(super) binding: String,
    pub(super) ticks: Ticks,
    pub(super) use_monitor: bool,
    pub(super) run_on_startup: bool,
}

#[derive(Clone, Debug)]
pub(super) struct HttpTrigger {
    pub(super) binding: String,
    /// Without the prefix, without slashes at the ends.
    pub(super) route: String,
    /// Upper case; empty means any.
    pub(super) methods: Vec<String>,
    pub(super) level: AuthLevel,
    /// The name of the only http output; `None` if there are other outputs too.
    pub(super) sole_output: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthLevel {
    Anonymous,
    Function,
    Admin,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    bindings: Vec<Binding>,
    #[serde(default)]
    disabled: Value,
    retry: Option<RetryDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Binding {
    #[serde(rename = "type")]
    kind: String,
    direction: Option<String>,
    name: Option<String>,
    schedule: Option<String>,
    use_monitor: Option<bool>,
    run_on_startup: Option<bool>,
    auth_level: Option<String>,
    methods: Option<Vec<String>>,
    route: Option<String>,
}

/// Reads one function.json; every error names the file.
pub(super) fn read(folder: &Path, environment: &Environment) -> Result<Function> {
    let file = folder.join("function.json");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    parse(&name, &text, environment).with_context(|| file.display().to_string())
}

fn parse(name: &str, text: &str, environment: &Environment) -> Result<Function> {
    let valid = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !valid {
        bail!("`{name}` is not a function name: a letter, then letters, digits, `-` and `_`");
    }
    let document: Document = serde_json::from_str(text)?;
    let mut triggers = Vec::new();
    let mut outputs = Vec::new();
    for binding in &document.bindings {
        let binding_name = binding.name.clone().unwrap_or_default();
        let (direction, needs_name) = match binding.kind.to_ascii_lowercase().as_str() {
            "timertrigger" => {
                triggers.push(Trigger::Timer(timer(binding, environment)?));
                ("in", true)
            }
            "httptrigger" => {
                triggers.push(Trigger::Http(http(name, binding)?));
                ("in", true)
            }
            "http" => {
                outputs.push(binding_name.clone());
                ("out", true)
            }
            _ => bail!("the binding type `{}` is not registered; only timerTrigger, httpTrigger and http need no extension bundle", binding.kind),
        };
        if needs_name && binding_name.is_empty() {
            bail!("the {} binding has no name", binding.kind);
        }
        let found = binding.direction.as_deref().unwrap_or("in");
        if !found.eq_ignore_ascii_case(direction) {
            bail!("the {} binding has direction `{found}`, not `{direction}`", binding.kind);
        }
    }
    let Ok([mut trigger]) = <[Trigger; 1]>::try_from(triggers) else {
        bail!("a function has exactly one trigger");
    };
    if let Trigger::Http(http) = &mut trigger {
        http.sole_output = (outputs.len() == 1).then(|| outputs.remove(0));
    }
    let setting =
        lookup(environment, &format!("AzureWebJobs.{name}.Disabled")).or_else(|| lookup(environment, &format!("AzureWebJobs__{name}__Disabled")));
    let switched_off = setting.is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    Ok(Function {
        name: name.to_owned(),
        disabled: switched_off || document.disabled == Value::Bool(true),
        trigger,
        retry: document.retry.as_ref().map(RetryDocument::policy).transpose()?,
    })
}

fn timer(binding: &Binding, environment: &Environment) -> Result<TimerTrigger> {
    let Some(text) = binding.schedule.as_deref().filter(|text| !text.trim().is_empty()) else {
        bail!("the timerTrigger has no schedule");
    };
    let schedule = match text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')) {
        Some(name) if lookup(environment, name).is_none() => {
            bail!("`%{name}%` does not resolve to a value");
        }
        _ => expand(text, environment, Unknown::Kept),
    };
    let ticks = match Ncrontab::parse(&schedule) {
        Ok(cron) => Ticks::Cron(cron),
        Err(why) => match time_span::parse(&schedule) {
            Ok(every) if schedule.contains(':') && !every.is_zero() => Ticks::Every(every),
            _ => bail!("the schedule is neither NCRONTAB nor a TimeSpan: {why}"),
        },
    };
    Ok(TimerTrigger {
        binding: binding.name.clone().unwrap_or_default(),
        use_monitor: binding.use_monitor.unwrap_or(true) && !ticks.within_a_minute(),
        run_on_startup: binding.run_on_startup.unwrap_or(false),
        ticks,
    })
}

fn http(function: &str, binding: &Binding) -> Result<HttpTrigger> {
    let level = match binding.auth_level.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("function") => AuthLevel::Function,
        Some("anonymous") => AuthLevel::Anonymous,
        Some("admin") => AuthLevel::Admin,
        Some(other) => bail!("authLevel `{other}` is not anonymous, function or admin"),
    };
    let route = binding.route.as_deref().unwrap_or(function).trim_matches('/');
    let methods = binding.methods.clone().unwrap_or_default();
    Ok(HttpTrigger {
        binding: binding.name.clone().unwrap_or_default(),
        route: route.to_owned(),
        methods: methods.iter().map(|method| method.to_ascii_uppercase()).collect(),
        level,
        sole_output: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse("Tick", text, &Environment::new()).unwrap_err())
    }

    #[test]
    fn mistakes_are_named() {
        for (bindings, says) in [
            (r#"{"type":"timerTrigger","name":"t"}"#, "no schedule"),
            (r#"{"type":"timerTrigger","name":"t","schedule":"* *"}"#, "neither NCRONTAB"),
            (r#"{"type":"timerTrigger","name":"t","schedule":"%GONE%"}"#, "does not resolve"),
            (r#"{"type":"timerTrigger","schedule":"0 * * * * *"}"#, "no name"),
            (r#"{"type":"queueTrigger","name":"q"}"#, "not registered"),
            (r#"{"type":"httpTrigger","name":"q","authLevel":"none"}"#, "authLevel"),
            (r#"{"type":"http","name":"q","direction":"out"}"#, "exactly one trigger"),
            (r#"{"type":"http","name":"q","direction":"in"}"#, "direction"),
        ] {
            let text = format!(r#"{{"bindings":[{bindings}]}}"#);
            assert!(error(&text).contains(says), "{text}: {}", error(&text));
        }
    }

    #[test]
    fn defaults_are_the_hosts() {
        let timer = r#"{"bindings":[{"type":"timerTrigger","name":"t","schedule":"0 */9 * * * *"}],
            "retry":{"strategy":"exponentialBackoff","maxRetryCount":-1,"minimumInterval":"00:00:02","maximumInterval":"00:00:07"}}"#;
        let function = parse("Tick", timer, &Environment::new()).unwrap();
        let retry = function.retry.unwrap();
        assert_eq!(retry.max_retries, None);
        let waits: Vec<u64> = (1..4).map(|count| retry.wait_before(count).as_secs()).collect();
        assert_eq!(waits, [3, 5, 7]);
        assert!(matches!(function.trigger, Trigger::Timer(timer) if timer.use_monitor && !timer.run_on_startup));

        let http = r#"{"bindings":[{"type":"httpTrigger","name":"req"},{"type":"http","direction":"out","name":"res"}]}"#;
        let environment = Environment::from([("azurewebjobs.get.disabled".to_owned(), "true".to_owned())]);
        let function = parse("Get", http, &environment).unwrap();
        assert!(function.disabled);
        let Trigger::Http(http) = function.trigger else { panic!() };
        assert_eq!((http.level, http.route.as_str()), (AuthLevel::Function, "Get"));
        assert_eq!(http.sole_output.as_deref(), Some("res"));
    }
}
