//! The function app on disk: host.json and every `*/function.json`, checked as the host checks them.
//!
//! Source: azure-functions-host `HttpWorkerOptionsSetup`, `HttpWorkerDescription`, `ScriptJobHostOptionsSetup`; Microsoft Learn,
//! "host.json reference for Azure Functions" and "Azure Functions custom handlers".

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    binding::{self, Function, Trigger},
    console::Severity,
    options::{HostOptions, Plan},
    settings::{Environment, Settings, Unknown, expand},
    time_span,
};

/// What the host reads before it starts anything.
#[derive(Debug)]
pub(super) struct App {
    pub(super) root: PathBuf,
    pub(super) executable: String,
    pub(super) working_directory: PathBuf,
    /// Not yet expanded, since `%FUNCTIONS_CUSTOMHANDLER_PORT%` may stand in them.
    pub(super) arguments: Vec<String>,
    pub(super) forwarding: bool,
    /// `None`: unbounded.
    pub(super) function_timeout: Option<Duration>,
    pub(super) readiness_budget: Duration,
    /// A port that host.json fixes.
    pub(super) port: Option<u16>,
    /// Without slashes at the ends; may be empty.
    pub(super) route_prefix: String,
    pub(super) console_level: Severity,
    pub(super) functions: Vec<Function>,
}

const SECTION: &str = "customHandler:description";

impl App {
    pub(super) fn read(options: &HostOptions, environment: &Environment) -> Result<Self> {
        let root = std::path::absolute(&options.app_root)?;
        let file = root.join("host.json");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let mut app = parse(&root, &text, options, environment).with_context(|| file.display().to_string())?;
        app.functions = functions(&root, environment)?;
        Ok(app)
    }

    pub(super) fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name.eq_ignore_ascii_case(name))
    }

    /// The only timer function, for calls that name none.
    pub(super) fn sole_timer(&self) -> Result<&Function> {
        let mut timers = self.functions.iter().filter(|function| matches!(function.trigger, Trigger::Timer(_)));
        match (timers.next(), timers.next()) {
            (Some(timer), None) => Ok(timer),
            (None, _) => bail!("the app has no timer function"),
            (Some(_), Some(_)) => bail!("the app has several timer functions: name one"),
        }
    }
}

fn parse(root: &Path, text: &str, options: &HostOptions, environment: &Environment) -> Result<App> {
    let json: Value = serde_json::from_str(text)?;
    let settings = Settings::new(&json, environment);
    match settings.text("version") {
        Some("2.0") => {}
        found => bail!("version is {found:?}; the host starts only with \"2.0\""),
    }
    if !settings.below("customHandler:http:routes").is_empty() {
        bail!("customHandler.http.routes cannot stand beside function.json files");
    }
    if settings.flag("customHandler:enableProxyingHttpRequest")? {
        bail!("enableProxyingHttpRequest is not simulated");
    }
    match settings.text("customHandler:type").unwrap_or("http") {
        kind if kind.eq_ignore_ascii_case("http") => {}
        kind => bail!("customHandler.type `{kind}` is not http"),
    }
    let readiness_budget = match settings.text("customHandler:initializationTimeout") {
        None => Duration::from_secs(30),
        Some(text) => time_span::parse(text).map_err(anyhow::Error::msg)?,
    };
    let worker_directory = joined(root, settings.text("customHandler:description:workerDirectory"));
    let mut arguments = settings.list("customHandler:description:arguments");
    if let Some(path) = settings.text("customHandler:description:defaultWorkerPath") {
        arguments.push(format!("\"{path}\""));
    }
    arguments.extend(settings.list("customHandler:description:workerArguments"));
    Ok(App {
        root: root.to_owned(),
        executable: executable(&worker_directory, &settings, options, environment)?,
        working_directory: joined(root, settings.text(&format!("{SECTION}:workingDirectory"))),
        arguments,
        forwarding: settings.flag("customHandler:enableForwardingHttpRequest")?,
        function_timeout: match options.function_timeout {
            Some(timeout) => Some(timeout),
            None => function_timeout(settings.text("functionTimeout"), options.plan)?,
        },
        readiness_budget: options.readiness_budget.unwrap_or(readiness_budget),
        port: settings.text("customHandler:port").map(|port| port.parse().context("customHandler.port")).transpose()?,
        route_prefix: route_prefix(&json, &settings),
        console_level: console_level(&settings)?,
        functions: Vec::new(),
    })
}

fn joined(root: &Path, below: Option<&str>) -> PathBuf {
    below.map_or_else(|| root.to_owned(), |below| root.join(below))
}

/// An empty prefix is a value, unlike any other blank setting.
fn route_prefix(json: &Value, settings: &Settings) -> String {
    let blank = json["extensions"]["http"]["routePrefix"].as_str() == Some("");
    let default = if blank { "" } else { "api" };
    let prefix = settings.text("extensions:http:routePrefix");
    prefix.unwrap_or(default).trim_matches('/').to_owned()
}

fn executable(folder: &Path, settings: &Settings, options: &HostOptions, environment: &Environment) -> Result<String> {
    if let Some(path) = &options.executable {
        return Ok(std::path::absolute(path)?.to_string_lossy().into_owned());
    }
    let Some(path) = settings.text(&format!("{SECTION}:defaultExecutablePath")) else {
        bail!("WorkerDescription DefaultExecutablePath cannot be empty");
    };
    let path = expand(path, environment, Unknown::Kept);
    let beside = folder.join(&path);
    // Not there: a command, to be looked up in PATH.
    Ok(if beside.is_file() { beside.to_string_lossy().into_owned() } else { path })
}

fn function_timeout(text: Option<&str>, plan: Plan) -> Result<Option<Duration>> {
    let minutes = |count: u64| Duration::from_secs(count * 60);
    let (default, most) = match plan {
        Plan::Consumption => (minutes(5), Some(minutes(10))),
        Plan::Other => (minutes(30), None),
    };
    let timeout = match text {
        None => return Ok(Some(default)),
        Some("-1") if most.is_none() => return Ok(None),
        Some(text) => time_span::parse(text).map_err(|why| anyhow::anyhow!("functionTimeout: {why}"))?,
    };
    if timeout < Duration::from_secs(1) || most.is_some_and(|most| timeout > most) {
        bail!("FunctionTimeout must be greater than 00:00:01 and, on this plan, at most {most:?}; it is {timeout:?}");
    }
    Ok(Some(timeout))
}

/// The level for the category `Host.Function.Console`: that of its longest named ancestor.
fn console_level(settings: &Settings) -> Result<Severity> {
    let mut levels = Vec::new();
    for (category, level) in settings.below("logging:logLevel") {
        let Some(level) = Severity::parse(&level) else {
            bail!("logging.logLevel.{category}: `{level}` is not a log level");
        };
        levels.push((category, level));
    }
    let named = |name: &str| levels.iter().find(|(category, _)| category == name);
    Ok(["host.function.console", "host.function", "host", "default"].into_iter().find_map(named).map_or(Severity::Information, |(_, level)| *level))
}

fn functions(root: &Path, environment: &Environment) -> Result<Vec<Function>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let folder = entry?.path();
        if folder.join("function.json").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    folders.iter().map(|folder| binding::read(folder, environment)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options() -> HostOptions {
        HostOptions::new(Path::new("."))
    }

    fn read(json: &Value) -> Result<App> {
        parse(Path::new("/app"), &json.to_string(), &options(), &Environment::new())
    }

    fn app(more: &Value) -> Value {
        let mut json = json!({"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "handler"}}});
        for (key, value) in more.as_object().unwrap() {
            json[key] = value.clone();
        }
        json
    }

    #[test]
    fn a_minimal_app_has_the_hosts_defaults() {
        let app = read(&app(&json!({}))).unwrap();
        assert_eq!(app.executable, "handler");
        assert_eq!(app.route_prefix, "api");
        assert_eq!(app.function_timeout, Some(Duration::from_mins(30)));
        assert_eq!(app.readiness_budget, Duration::from_secs(30));
        assert!(!app.forwarding);
    }

    #[test]
    fn mistakes_are_refused() {
        for (more, says) in [
            (json!({"version": "3.0"}), "version"),
            (json!({"customHandler": {"description": {"defaultExecutablePath": " "}}}), "cannot be empty"),
            (json!({"functionTimeout": "soon"}), "functionTimeout"),
            (json!({"functionTimeout": "00:00:00.5"}), "greater than"),
            (json!({"logging": {"logLevel": {"default": "Loud"}}}), "not a log level"),
            (
                json!({"customHandler": {"description": {"defaultExecutablePath": "x"}, "enableForwardingHttpRequest": "maybe"}}),
                "neither true nor false",
            ),
            (json!({"customHandler": {"http": {"routes": [{"route": "x"}]}}}), "cannot stand beside"),
        ] {
            let error = format!("{:#}", read(&app(&more)).unwrap_err());
            assert!(error.contains(says), "{more}: {error}");
        }
    }

    #[test]
    fn consumption_bounds_the_timeout() {
        assert!(function_timeout(Some("00:10:01"), Plan::Consumption).is_err());
        assert!(function_timeout(Some("-1"), Plan::Consumption).is_err());
        assert_eq!(function_timeout(Some("-1"), Plan::Other).unwrap(), None);
        assert_eq!(function_timeout(None, Plan::Consumption).unwrap(), Some(Duration::from_mins(5)));
    }

    #[test]
    fn the_console_level_is_that_of_the_nearest_category() {
        let levels = json!({"logging": {"logLevel": {"default": "Error", "Host.Function.Console": "Warning"}}});
        assert_eq!(read(&app(&levels)).unwrap().console_level, Severity::Warning);
        let levels = json!({"logging": {"logLevel": {"default": "Error", "Function": "Trace"}}});
        assert_eq!(read(&app(&levels)).unwrap().console_level, Severity::Error);
    }

    #[test]
    fn an_empty_route_prefix_is_a_value() {
        let json = json!({"extensions": {"http": {"routePrefix": ""}}});
        assert_eq!(read(&app(&json)).unwrap().route_prefix, "");
    }
}
