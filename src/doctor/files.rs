//! The app's files: what the Functions host reads, and what nobody else should.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{CHECK_WITHIN, Check};

/// What this program answers to, with the `function.json` that it was built beside. A test holds this to the folders.
pub(super) const FUNCTIONS: &[(&str, &str)] = &[
    ("Consent", include_str!("../../Consent/function.json")),
    ("ConsentCallback", include_str!("../../ConsentCallback/function.json")),
    ("GetToken", include_str!("../../GetToken/function.json")),
    ("RefreshToken", include_str!("../../RefreshToken/function.json")),
    ("Status", include_str!("../../Status/function.json")),
];

const NAME: &str = "functions";
const HOST: &str = "host.json";
const PUBLISH: &str = "publish the files of the release that this program is of";

/// The folders with a `function.json`, and `host.json`.
pub(super) async fn app(root: &Path) -> Vec<Check> {
    let root = root.to_owned();
    blocking(move || look_at_app(&root)).await.unwrap_or_else(|| vec![Check::silent(NAME, "look at the disk that the app's folder is on")])
}

/// That the tokens of the embedded store are their owner's alone.
pub(super) async fn modes(file: &Path) -> Check {
    let file = file.to_owned();
    blocking(move || look_at_modes(&file)).await.unwrap_or_else(|| Check::silent(MODES, "look at the disk that TOKEN_FILE is on"))
}

/// None: the disk does not answer in time, or the program ends.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    const WITHIN: Duration = CHECK_WITHIN;
    tokio::time::timeout(WITHIN, tokio::task::spawn_blocking(work)).await.ok()?.ok()
}

fn look_at_app(root: &Path) -> Vec<Check> {
    let folders = folders(root);
    let is_app = root.join(HOST).exists() || folders.as_ref().is_ok_and(|folders| !folders.is_empty());
    if !is_app {
        let found = format!("{} is not the app's folder: there is neither {HOST} nor a function in it", root.display());
        return vec![Check::remark(NAME, found, "run this in the app's folder to have its files checked")];
    }
    let mut problems: Vec<String> = FUNCTIONS.iter().filter_map(|(name, built)| function(root, name, built).err()).collect();
    match folders {
        Ok(folders) => {
            let unknown = folders.iter().filter(|folder| FUNCTIONS.iter().all(|(name, _)| name != folder));
            problems.extend(unknown.map(|folder| format!("{folder}/function.json: this program answers to no such function")));
        }
        Err(kind) => problems.push(format!("{}: {kind}", root.display())),
    }
    let rescheduled = FUNCTIONS.iter().any(|(name, built)| function(root, name, built) == Ok(false));
    let functions = if !problems.is_empty() {
        Check::failed(NAME, problems.join("; "), PUBLISH)
    } else if rescheduled {
        let found = "RefreshToken/function.json has another schedule than every 9 minutes";
        Check::remark(NAME, found, "right if that is meant; a tick comes in time for Exact Online's 570 s by this schedule alone")
    } else {
        let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
        Check::ok(NAME, names.join(", "))
    };
    vec![functions, host(root)]
}

/// Whether a folder's `function.json` is the one that this program was built beside; `Ok(false)`: but for its schedule.
fn function(root: &Path, name: &str, built: &str) -> Result<bool, String> {
    let file = format!("{name}/function.json");
    let found = json_at(&root.join(name).join("function.json")).map_err(|what| format!("{file}: {what}"))?;
    let built: Value = serde_json::from_str(built).unwrap_or_default();
    if found == built {
        return Ok(true);
    }
    let unscheduled = |mut function: Value| {
        if let Some(bindings) = function.get_mut("bindings").and_then(Value::as_array_mut) {
            bindings.iter_mut().filter_map(Value::as_object_mut).for_each(|binding| drop(binding.remove("schedule")));
        }
        function
    };
    let scheduled = found["bindings"][0]["schedule"].is_string();
    let same = scheduled && unscheduled(found) == unscheduled(built);
    if same { Ok(false) } else { Err(format!("{file}: is not the one that this program was built with")) }
}

/// What this program relies on in `host.json`; the rest of it is the operator's.
fn host(root: &Path) -> Check {
    const NAME: &str = HOST;
    let host = match json_at(&root.join(HOST)) {
        Ok(host) => host,
        Err(what) => return Check::failed(NAME, what, PUBLISH),
    };
    let handler = &host["customHandler"];
    let executable = handler["description"]["defaultExecutablePath"].as_str().unwrap_or_default();
    let prefix = &host["extensions"]["http"]["routePrefix"];
    let wrong: Vec<&str> = [
        (host["version"] != "2.0", "version is not 2.0"),
        (host["functionTimeout"] != "00:10:00", "functionTimeout is not 00:10:00, which a tick may need"),
        (!executable.contains(env!("CARGO_PKG_NAME")), "customHandler.description.defaultExecutablePath does not name this program"),
        (handler["enableForwardingHttpRequest"] != json!(true), "customHandler.enableForwardingHttpRequest is not true"),
        (handler.get("http").is_some(), "customHandler.http takes the place of the function.json files"),
        (!prefix.is_null() && prefix != "api", "extensions.http.routePrefix is not api"),
    ]
    .into_iter()
    .filter_map(|(wrong, what)| wrong.then_some(what))
    .collect();
    if wrong.is_empty() { Check::ok(NAME, "as this program needs it") } else { Check::failed(NAME, wrong.join("; "), PUBLISH) }
}

/// The folders in which the host finds a function.
fn folders(root: &Path) -> Result<Vec<String>, ErrorKind> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).map_err(|error| error.kind())? {
        let path: PathBuf = entry.map_err(|error| error.kind())?.path();
        if path.join("function.json").is_file() {
            found.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    found.sort();
    Ok(found)
}

/// Neither the content nor the parser's error, which quotes it, goes into the message.
fn json_at(path: &Path) -> Result<Value, String> {
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "is missing".to_owned(),
        kind => format!("could not be read ({kind})"),
    })?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(bytes).map_err(|_| "is not JSON".to_owned())
}

const MODES: &str = "file modes";

#[cfg(unix)]
fn look_at_modes(file: &Path) -> Check {
    use std::os::unix::fs::PermissionsExt;
    // Through a link, as the store goes.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mode = |path: &Path| fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (of_file, of_folder) = (mode(&file), mode(folder));
    let shown = |path: &Path, mode: u32| format!("{} has mode {mode:04o}", path.display());
    match (of_file, of_folder) {
        (Ok(mode), _) if mode & 0o077 != 0 => Check::failed(MODES, shown(&file, mode), format!("chmod 600 {}", file.display())),
        (_, Ok(mode)) if mode & 0o022 != 0 => {
            let found = format!("{}, so others can put another file in the token file's place", shown(folder, mode));
            Check::failed(MODES, found, format!("chmod 700 {}", folder.display()))
        }
        (_, Ok(mode)) if mode & 0o055 != 0 => Check::remark(MODES, shown(folder, mode), format!("chmod 700 {}", folder.display())),
        (Ok(_), _) => Check::ok(MODES, "the token file is its owner's alone"),
        (Err(error), _) if error.kind() == ErrorKind::NotFound => Check::ok(MODES, "there is no token file yet"),
        (Err(error), _) => Check::failed(MODES, format!("{}: {}", file.display(), error.kind()), "make it readable for the user that runs this"),
    }
}

#[cfg(not(unix))]
fn look_at_modes(_: &Path) -> Check {
    Check::remark(MODES, "not checked on this system", "let nobody else read the token file")
}
