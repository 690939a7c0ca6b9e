//! The settings: what they are called, what they mean, and what they come to.
//!
//! A setting is an application setting of the function app and reaches this process as an environment variable. All are read here, through a
//! lookup that a test can replace; [`source`] has the two real ones. Every mistake is found in one go, because each try in Azure costs a restart,
//! and no text made here contains a value.

pub mod source;

mod azure;
mod base_url;
mod redirect_uri;
mod table;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::exact_online::region;
use crate::token::Secret;
use crate::token::schedule::Mode;

pub use azure::AzureStore;
pub use source::{command_line, environment};
pub use table::{
    AZURE_CLIENT_ID, EXACT_BASE_URL, EXACT_CLIENT_ID, EXACT_CLIENT_SECRET, EXACT_REDIRECT_URI, EXACT_REGION, FUNCTIONS_CUSTOMHANDLER_PORT,
    KEY_VAULT_URL, REFRESH_POLICY, RUST_LOG, SETTINGS, STORAGE, STORAGE_ACCOUNT, STORAGE_CLIENT_ID, STORAGE_CREDENTIAL, STORAGE_URI, Setting,
    TOKEN_FILE, TOKEN_SECRET_NAME,
};

/// Everything that the settings say.
pub struct Config {
    /// The app at Exact Online.
    pub exact: ExactSettings,
    /// Where the tokens are kept.
    pub store: Store,
    /// When a tick refreshes.
    pub mode: Mode,
    /// Where Exact sends the browser back to, as it was registered. None: neither a setting nor the platform tells.
    pub redirect_uri: Option<String>,
    /// By which name the platform says that the app is reached.
    pub host: Option<String>,
    /// What looks odd and may be right all the same: to be logged as warnings, once, at start.
    pub remarks: Vec<String>,
}

/// The app that was registered in the Exact App Centre.
pub struct ExactSettings {
    /// `https://start.exactonline.nl`, without a slash at the end.
    pub base_url: String,
    /// As it was given, braces and all: stored chains are compared with it.
    pub client_id: String,
    /// Goes to Exact and nowhere else.
    pub client_secret: Secret,
}

/// Where the tokens are kept.
pub enum Store {
    /// One file on this machine, for development.
    Embedded {
        /// Absolute if the current folder was given absolutely.
        path: PathBuf,
    },
    /// Key Vault and a blob.
    Azure(Box<AzureStore>),
}

/// The folder of `host.json`, as the host tells it.
const APP_ROOT: &str = "FUNCTIONS_APP_ROOT_PATH";
/// Each is present in some kind of function app in Azure, and none on a developer's machine (azure-functions-host, `EnvironmentSettingNames`).
const PLATFORM: [&str; 3] = ["WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "WEBSITE_SITE_NAME"];
/// The host takes this alone for a sign of the Consumption plan on Linux; other containers have it too, so here the second must stand beside it.
const PLATFORM_TOGETHER: [&str; 2] = ["CONTAINER_NAME", HOST];
/// By which the app is reached, with the port where that is not the scheme's own.
const HOST: &str = "WEBSITE_HOSTNAME";
/// Set by Core Tools, which imitate some of the above.
const CORE_TOOLS: &str = "FUNCTIONS_CORETOOLS_ENVIRONMENT";

/// What [`port`] falls back to.
pub const DEFAULT_PORT: u16 = 8080;
const DEFAULT_TOKEN_FILE: &str = ".local/exact-online-token.json";
/// How an unresolved Key Vault reference begins (App Service, "Use Key Vault references as app settings").
const KEY_VAULT_REFERENCE: &str = "@Microsoft.KeyVault(";
/// How `local.settings.json.example` fills in what only the reader knows.
const PLACEHOLDER: &str = "put-your-";

/// Why the settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct ConfigError {
    /// One sentence each: the setting, what is wrong, what to do. At least one.
    pub problems: Vec<String>,
}

impl Config {
    /// The page where a person connects: the function `Consent` beside the `ConsentCallback` that Exact sends the browser back to. None where it sends
    /// it elsewhere, to be copied by hand.
    #[must_use]
    pub fn consent_url(&self) -> Option<String> {
        redirect_uri::consent_page(self.redirect_uri.as_deref()?)
    }

    /// Reads all settings. `current` is the folder that the app's root is looked for from; it matters only where the host does not tell the root.
    ///
    /// An empty or blank value counts as absent, and white space around a value is dropped.
    pub fn read(lookup: impl Fn(&str) -> Option<String>, current: &Path) -> Result<Self, ConfigError> {
        let mut settings = Reader { lookup, problems: Vec::new(), remarks: Vec::new() };
        let exact = settings.exact();
        let store = settings.store(current);
        let mode = settings.mode();
        let redirect_uri = settings.redirect_uri();
        settings.text(RUST_LOG);
        settings.problems.extend(port(&settings.lookup).err());
        match (exact, store, mode) {
            (Some(exact), Some(store), Some(mode)) if settings.problems.is_empty() => {
                let host = given(&settings.lookup, HOST);
                Ok(Self { exact, store, mode, redirect_uri, host, remarks: settings.remarks })
            }
            _ => Err(ConfigError { problems: settings.problems }),
        }
    }
}

/// The port to listen on. On a mistake listen on [`DEFAULT_PORT`] all the same: [`Config::read`] reports it.
pub fn port(lookup: impl Fn(&str) -> Option<String>) -> Result<u16, String> {
    match text(&lookup, FUNCTIONS_CUSTOMHANDLER_PORT)? {
        None => Ok(DEFAULT_PORT),
        Some(text) => match text.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(problem(
                FUNCTIONS_CUSTOMHANDLER_PORT,
                "is not a port from 1 to 65535; the Functions host sets it, so remove it from the settings",
            )),
        },
    }
}

/// The log filter, for [`telemetry::init`](crate::telemetry::init).
pub fn log_filter(lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    text(&lookup, RUST_LOG).unwrap_or_default()
}

/// The folder of `host.json`: what the host says, else `current`.
pub fn app_root(lookup: impl Fn(&str) -> Option<String>, current: &Path) -> PathBuf {
    given(&lookup, APP_ROOT).map_or_else(|| current.to_owned(), |root| current.join(root))
}

/// All names that are ever looked up.
fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.name).chain(PLATFORM).chain(PLATFORM_TOGETHER).chain([APP_ROOT, CORE_TOOLS]).chain(azure::ALSO_LOOKED_UP)
}

fn given(lookup: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// A value, checked for what can be wrong with any of them.
fn text(lookup: impl Fn(&str) -> Option<String>, setting: Setting) -> Result<Option<String>, String> {
    let starts = |value: &str, with: &str| value.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    match given(lookup, setting.name) {
        Some(value) if starts(&value, KEY_VAULT_REFERENCE) => Err(problem(
            setting,
            "the platform could not resolve the Key Vault reference: check the secret's URI and whether the app's identity may read it",
        )),
        Some(value) => placeholder(|_| Some(value.clone()), setting.name).map_or(Ok(Some(value)), Err),
        None => Ok(None),
    }
}

/// What is to be said of a value that stands in the example.
fn placeholder(lookup: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    let value = given(lookup, name)?;
    let found = value.get(..PLACEHOLDER.len()).is_some_and(|start| start.eq_ignore_ascii_case(PLACEHOLDER));
    found.then(|| format!("{name}: is still the example's placeholder: put your own value in its place"))
}

fn problem(setting: Setting, what: &str) -> String {
    format!("{}: {what}", setting.name)
}

struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
    remarks: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn exact(&mut self) -> Option<ExactSettings> {
        let base_url = self.base_url();
        let client_id = self.required(EXACT_CLIENT_ID, "copy the client id from the app's page in the Exact App Centre");
        let client_secret = self.required(EXACT_CLIENT_SECRET, "copy the client secret from the app's page in the Exact App Centre");
        if client_id.as_deref().is_some_and(|id| uuid::Uuid::try_parse(id).is_err()) {
            self.remarks.push(problem(EXACT_CLIENT_ID, "does not look like a client id, which is a GUID; it is used as it stands"));
        }
        Some(ExactSettings { base_url: base_url?, client_id: client_id?, client_secret: Secret::new(client_secret?) })
    }

    /// Both are checked, whichever of them counts.
    fn base_url(&mut self) -> Option<String> {
        let (region, url) = (self.text(EXACT_REGION), self.text(EXACT_BASE_URL));
        let site = region::base_url(region?.as_deref().unwrap_or("nl"));
        let site = site.or_else(|| self.wrong(EXACT_REGION, "is not a region; set it to nl, be, de, fr, es, uk or us"));
        let url = match url? {
            None => site.map(str::to_owned),
            Some(url) => base_url::read(&url).map_or_else(|what| self.wrong(EXACT_BASE_URL, what), Some),
        };
        site.and(url)
    }

    fn store(&mut self, current: &Path) -> Option<Store> {
        let azure = self.sign_of_azure();
        let (file, vault) = (self.text(TOKEN_FILE), self.text(KEY_VAULT_URL));
        let vault = match vault {
            Some(None) => None,
            // What else is wrong with this store is worth knowing now.
            None => Some(None),
            Some(vault) => Some(vault),
        };
        if let Some(vault) = vault {
            let store = self.azure_store(vault.as_deref(), azure.is_some());
            return file.and(store).map(|store| Store::Azure(Box::new(store)));
        }
        let file = file?;
        match azure {
            Some(sign) => {
                let what = format!(
                    "is not set, and the embedded store is refused in Azure ({sign} is set), where its file is lost with the instance; \
                     set it to the address of a Key Vault"
                );
                self.wrong(KEY_VAULT_URL, &what)
            }
            None if file.as_ref().is_some_and(|file| file.ends_with(['/', '\\'])) => self.wrong(TOKEN_FILE, "names a folder; name a file in it"),
            None => {
                let path = app_root(&self.lookup, current).join(file.as_deref().unwrap_or(DEFAULT_TOKEN_FILE));
                Some(Store::Embedded { path })
            }
        }
    }

    fn sign_of_azure(&self) -> Option<&'static str> {
        let present = |name: &&str| given(&self.lookup, name).is_some();
        let together = PLATFORM_TOGETHER.iter().all(present).then_some(PLATFORM_TOGETHER[0]);
        PLATFORM.into_iter().find(present).or(together).filter(|_| !present(&CORE_TOOLS))
    }

    fn mode(&mut self) -> Option<Mode> {
        match self.text(REFRESH_POLICY)?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "keep-warm" => Some(Mode::KeepWarm),
            "on-demand" => Some(Mode::OnDemand),
            _ => self.wrong(REFRESH_POLICY, "is not a policy; set it to keep-warm or on-demand"),
        }
    }

    fn redirect_uri(&mut self) -> Option<String> {
        match self.text(EXACT_REDIRECT_URI)? {
            Some(given) => match redirect_uri::check(&given) {
                Ok(()) => Some(given),
                Err(what) => self.wrong(EXACT_REDIRECT_URI, what),
            },
            None => redirect_uri::of_host(&given(&self.lookup, HOST)?),
        }
    }

    fn required(&mut self, setting: Setting, what_to_do: &str) -> Option<String> {
        self.text(setting)?.or_else(|| self.wrong(setting, &format!("is missing; {what_to_do}")))
    }

    /// None: there is a problem, and it is noted.
    #[expect(clippy::option_option, reason = "outside: could it be read; inside: was it given")]
    fn text(&mut self, setting: Setting) -> Option<Option<String>> {
        text(&self.lookup, setting).map_err(|problem| self.problems.push(problem)).ok()
    }

    fn wrong<T>(&mut self, setting: Setting, what: &str) -> Option<T> {
        self.problems.push(problem(setting, what));
        None
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("mode", &self.mode).field("remarks", &self.remarks).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExactSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactSettings").finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded { .. } => f.write_str("Embedded"),
            Self::Azure(_) => f.write_str("Azure"),
        }
    }
}

#[cfg(test)]
mod tests;
