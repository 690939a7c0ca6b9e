//! What the documents say about the code, held to the code.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report; the lint's own exception covers only #[test] functions")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use exact_token_broker::config::SETTINGS;

/// What each module of the crate may use of the others. `app` may use all; `main` uses `cli`.
const ARROWS: &[(&str, &[&str])] = &[
    ("token", &[]),
    ("ports", &["token"]),
    ("clock", &["ports"]),
    ("task", &[]),
    ("patience", &["ports"]),
    ("stored", &["token"]),
    ("http", &["token"]),
    ("local", &["ports", "stored", "token"]),
    ("azure", &["http", "ports", "stored", "token"]),
    ("exact_online", &["http", "patience", "ports", "token"]),
    ("refresh_token", &["patience", "ports", "task", "token"]),
    ("get_token", &["ports", "refresh_token", "token"]),
    ("adopt", &["ports", "refresh_token", "token"]),
    ("consent", &["ports", "refresh_token", "task", "token"]),
    ("status", &["get_token", "ports", "refresh_token", "token"]),
    ("doctor", &["ports", "token"]),
    ("live", &["ports", "token"]),
    ("config", &["azure", "exact_online", "token"]),
    ("telemetry", &[]),
    ("functions", &["config", "consent", "get_token", "refresh_token", "status", "token"]),
    ("cli", &["app", "config", "consent", "functions", "get_token", "live", "refresh_token", "status", "telemetry", "token"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust files below a folder, tests left out.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && name != "tests.rs" {
            found.push(path);
        }
    }
    found
}

/// The module of the crate that a file belongs to.
fn module(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Code alone: neither its tests at the end of the file nor comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The crate's modules that a text names: `crate::x` and each `x` of `crate::{x, y::z}`.
fn used(code: &str) -> BTreeSet<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => drop(found.insert(name(rest))),
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        ',' if depth == 0 => {
                            found.insert(name(&group[start..at]));
                            start = at + 1;
                        }
                        '}' if depth == 0 => {
                            found.insert(name(&group[start..at]));
                            break;
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn the_arrows_of_the_map_are_those_of_the_code() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in sources(&root().join("src")) {
        let from = module(&file);
        let used = used(&code(&fs::read_to_string(&file).unwrap()));
        seen.insert(from.clone());
        if ["app", "lib", "main"].contains(&from.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(module, _)| *module == from) else {
            wrong.push(format!("{from} is not in the map"));
            continue;
        };
        let to = used.into_iter().filter(|to| *to != from && !allowed.contains(&to.as_str()));
        wrong.extend(to.map(|to| format!("{} uses {to}", file.strip_prefix(root()).unwrap().display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (module, _) in ARROWS {
        assert!(seen.contains(*module), "{module} is in the map and not in the code");
    }
}

#[test]
fn the_arrows_test_can_see() {
    let found = used("use crate::ports::{Clock, Vault};\nuse crate::{local, token::Secret};\nlet x = crate::cli::run();");
    assert_eq!(found, ["cli", "local", "ports", "token"].map(str::to_owned).into());
}

/// No async, no I/O, no clock, no serde, no log in the core.
#[test]
fn the_core_is_pure() {
    for file in sources(&root().join("src/token")) {
        let code = code(&fs::read_to_string(&file).unwrap());
        for word in ["async ", ".await", "tokio", "std::fs", "std::io", "std::net", "std::env", "Timestamp::now", "serde", "tracing", "println"] {
            assert!(!code.contains(word), "{} has {word:?}", file.display());
        }
    }
}

/// A secret is opened where it leaves: for Exact, for the store, for the caller, for the browser, and to be fingerprinted.
#[test]
fn a_secret_is_opened_in_few_files() {
    let opens: BTreeSet<String> = sources(&root().join("src"))
        .into_iter()
        .filter(|file| code(&fs::read_to_string(file).unwrap()).contains(".reveal()"))
        .map(|file| file.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned())
        .collect();
    let allowed = [
        "app.rs",
        "azure/blob_ledger.rs",
        "azure/key_vault/mod.rs",
        "azure/shared_key.rs",
        "cli/consent.rs",
        "cli/live.rs",
        "cli/mod.rs",
        "consent/import.rs",
        "consent/mod.rs",
        "consent/pasted.rs",
        "consent/signed.rs",
        "exact_online/fields.rs",
        "exact_online/mod.rs",
        "exact_online/request.rs",
        "functions/consent.rs",
        "functions/page/outcome.rs",
        "functions/reply.rs",
        "local/file.rs",
        "stored/form.rs",
        "token/credential.rs",
    ];
    assert_eq!(opens, allowed.map(str::to_owned).into());
}

#[test]
fn the_settings_table_of_the_readme_is_that_of_the_code() {
    let readme = read("README.md");
    let table = readme.split("## Settings").nth(1).unwrap_or_default().split("\n## ").next().unwrap_or_default();
    let rows: Vec<Vec<String>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect();
    let expected: Vec<Vec<String>> =
        SETTINGS.iter().map(|setting| vec![format!("`{}`", setting.name), setting.meaning.to_owned(), setting.default.to_owned()]).collect();
    assert_eq!(rows, expected);
}

/// Each folder with a function.json is a route, and the README names it.
#[test]
fn functions_routes_and_readme_agree() {
    let mut functions: Vec<String> = fs::read_dir(root())
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            path.join("function.json").is_file().then(|| path.file_name().unwrap().to_string_lossy().into_owned())
        })
        .collect();
    functions.sort();
    assert_eq!(functions, ["Consent", "ConsentCallback", "GetToken", "RefreshToken", "Status"]);
    let (readme, routes) = (read("README.md"), read("src/functions/route.rs"));
    for function in functions {
        assert!(readme.contains(&function) && routes.contains(&function), "{function}");
    }
}

/// What an operator reads there he can search for in what the program says.
#[test]
fn what_the_pages_quote_is_what_the_program_says() {
    let mut program = String::new();
    for file in sources(&root().join("src")) {
        // A sentence that goes on in the next line of the source is one sentence.
        let text = fs::read_to_string(file).unwrap();
        program.push_str(&code(&text).split("\\\n").map(str::trim_start).collect::<String>());
    }
    for (page, least) in [("docs/operations.md", 25), ("docs/live-checks.md", 12)] {
        let text = read(page);
        let quotes: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).flat_map(|line| line.split('"').skip(1).step_by(2)).collect();
        assert!(quotes.len() > least, "the table of {page} was found");
        let missing: Vec<&&str> = quotes.iter().filter(|quote| !program.contains(**quote)).collect();
        assert!(missing.is_empty(), "{page}: {missing:#?}");
    }
}

/// Over 400 lines is a question; this asks it.
#[test]
fn no_source_file_is_longer_than_400_lines() {
    for file in sources(&root().join("src")) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", file.display());
    }
}
