mod fuzz;

use std::collections::BTreeMap;

use super::*;
use crate::azure::Identity;

const GOOD: [(&str, &str); 2] = [("EXACT_CLIENT_ID", "{00000000-0000-0000-0000-00000000c0de}"), ("EXACT_CLIENT_SECRET", "made-up-secret")];

fn read(with: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let values: BTreeMap<&str, &str> = GOOD.iter().chain(with).copied().collect();
    Config::read(|name| values.get(name).map(ToString::to_string), Path::new("/app"))
}

fn problems(with: &[(&str, &str)]) -> Vec<String> {
    read(with).unwrap_err().problems
}

fn file(config: Config) -> PathBuf {
    let Store::Embedded { path } = config.store else { panic!("not the embedded store") };
    path
}

/// What the store for production needs at least.
const AZURE: [(&str, &str); 2] = [("KEY_VAULT_URL", "https://made-up.vault.azure.net"), ("AzureWebJobsStorage__accountName", "made1up")];

fn azure(with: &[(&str, &str)]) -> Result<AzureStore, ConfigError> {
    let Store::Azure(store) = read(&[&AZURE, with].concat())?.store else { panic!("not Key Vault") };
    Ok(*store)
}

#[test]
fn two_settings_are_enough() {
    let config = read(&[]).unwrap();
    assert_eq!(config.exact.base_url, "https://start.exactonline.nl");
    assert_eq!(config.exact.client_id, "{00000000-0000-0000-0000-00000000c0de}");
    assert_eq!(config.exact.client_secret.reveal(), "made-up-secret");
    assert_eq!(config.mode, Mode::KeepWarm);
    assert!(config.remarks.is_empty());
    assert_eq!(file(config), Path::new("/app/.local/exact-online-token.json"));
}

#[test]
fn all_mistakes_are_reported_at_once_by_name_and_without_a_value() {
    let canary = "made-up-canary";
    let error = read(&[
        ("EXACT_REGION", canary),
        ("EXACT_BASE_URL", canary),
        ("EXACT_CLIENT_ID", ""),
        ("EXACT_CLIENT_SECRET", " \t"),
        ("EXACT_REDIRECT_URI", canary),
        ("KEY_VAULT_URL", canary),
        ("REFRESH_POLICY", canary),
        ("FUNCTIONS_CUSTOMHANDLER_PORT", canary),
    ])
    .unwrap_err();
    let named: Vec<&str> = error.problems.iter().filter_map(|problem| problem.split_once(':')).map(|(name, _)| name).collect();
    let expected = [
        "EXACT_REGION",
        "EXACT_BASE_URL",
        "EXACT_CLIENT_ID",
        "EXACT_CLIENT_SECRET",
        "KEY_VAULT_URL",
        "AzureWebJobsStorage",
        "REFRESH_POLICY",
        "EXACT_REDIRECT_URI",
        "FUNCTIONS_CUSTOMHANDLER_PORT",
    ];
    assert_eq!(named, expected);
    assert!(!format!("{error} {error:?}").contains(canary));
    assert_eq!(error.to_string().matches("; EXACT_").count(), 4);
}

#[test]
fn the_redirect_uri_is_what_was_registered_or_that_of_the_host() {
    let both = |with: &[(&str, &str)]| {
        let config = read(with).unwrap();
        (config.redirect_uri.clone(), config.consent_url())
    };
    let some = |redirect: &str, page: &str| (Some(redirect.to_owned()), Some(page.to_owned()));
    assert_eq!(both(&[]), (None, None));
    let host = ("WEBSITE_HOSTNAME", "made-up.azurewebsites.net");
    let of_host = some("https://made-up.azurewebsites.net/api/ConsentCallback", "https://made-up.azurewebsites.net/api/Consent");
    assert_eq!(both(&[host]), of_host);
    let own = "https://api.example/exact/api/consentcallback";
    assert_eq!(both(&[host, ("EXACT_REDIRECT_URI", own)]), some(own, "https://api.example/exact/api/Consent"));
    // As Core Tools say it.
    let local = some("http://localhost:7071/api/ConsentCallback", "http://localhost:7071/api/Consent");
    assert_eq!(both(&[("WEBSITE_HOSTNAME", "localhost:7071")]), local);
    // For pasting: nobody answers there.
    let elsewhere = "https://made-up.example/done";
    assert_eq!(both(&[("EXACT_REDIRECT_URI", elsewhere)]), (Some(elsewhere.to_owned()), None));
    assert_eq!(both(&[("WEBSITE_HOSTNAME", "no host")]), (None, None), "what the platform says is no mistake of a person");
    assert!(problems(&[("EXACT_REDIRECT_URI", "http://made-up.example/api/ConsentCallback")])[0].contains("EXACT_REDIRECT_URI: is http"));
}

#[test]
fn a_config_does_not_show_its_values() {
    let config = read(&[("EXACT_BASE_URL", "https://made-up.example"), ("TOKEN_FILE", "made-up-file")]).unwrap();
    let azure = azure(&[]).unwrap();
    let shown =
        format!("{config:?} {:?} {:?} {config:#?} {azure:?} {:?}", config.exact, config.store, Store::Azure(Box::new(self::azure(&[]).unwrap())));
    assert!(!shown.contains("made-up") && !shown.contains("c0de"), "{shown}");
}

#[test]
fn regions() {
    for (region, tld) in [("NL", "nl"), (" be ", "be"), ("de", "de"), ("fr", "fr"), ("es", "es"), ("uk", "co.uk"), ("us", "com"), ("", "nl")] {
        let config = read(&[("EXACT_REGION", region)]).unwrap();
        assert_eq!(config.exact.base_url, format!("https://start.exactonline.{tld}"), "{region}");
    }
    assert_eq!(problems(&[("EXACT_REGION", "lu"), ("EXACT_BASE_URL", "https://exact.example")]).len(), 1);
}

#[test]
fn the_base_url_overrides_the_region() {
    let config = read(&[("EXACT_REGION", "be"), ("EXACT_BASE_URL", " http://127.0.0.1:8081/ ")]).unwrap();
    assert_eq!(config.exact.base_url, "http://127.0.0.1:8081");
}

#[test]
fn an_unresolved_reference_and_a_placeholder_are_recognised_in_every_setting() {
    for (value, expected) in [
        ("@Microsoft.KeyVault(SecretUri=https://made-up.example/secrets/x)", "could not resolve the Key Vault reference"),
        ("@microsoft.keyvault(VaultName=made-up;SecretName=x)", "could not resolve the Key Vault reference"),
        ("put-your-value-here", "still the example's placeholder"),
    ] {
        for setting in SETTINGS {
            let problems = problems(&[&AZURE[..], &[(setting.name, value)]].concat());
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(&format!("{}: ", setting.name)) && problems[0].contains(expected), "{problems:?}");
        }
        let all: Vec<(&str, &str)> = SETTINGS.iter().map(|setting| (setting.name, value)).collect();
        assert_eq!(problems(&all).len(), SETTINGS.len());
    }
}

#[test]
fn an_odd_client_id_is_used_with_a_remark() {
    let config = read(&[("EXACT_CLIENT_ID", "not-a-guid")]).unwrap();
    assert_eq!(config.exact.client_id, "not-a-guid");
    assert!(config.remarks[0].starts_with("EXACT_CLIENT_ID: ") && !config.remarks[0].contains("not-a-guid"));
}

#[test]
fn the_embedded_store_is_refused_in_azure() {
    for sign in ["WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "WEBSITE_SITE_NAME"] {
        let refused = problems(&[(sign, "x")]);
        assert!(refused.len() == 1 && refused[0].starts_with("KEY_VAULT_URL: ") && refused[0].contains(sign), "{refused:?}");
        assert!(read(&[(sign, "x"), ("FUNCTIONS_CORETOOLS_ENVIRONMENT", "Development")]).is_ok());
        assert!(read(&[(sign, " ")]).is_ok());
    }
    // Development containers have a name, too.
    assert!(read(&[("CONTAINER_NAME", "x")]).is_ok());
    assert!(problems(&[("CONTAINER_NAME", "x"), ("WEBSITE_HOSTNAME", "made-up.example")])[0].contains("CONTAINER_NAME is set"));
}

const MANAGED: [(&str, &str); 3] =
    [("WEBSITE_SITE_NAME", "made-up"), ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token"), ("IDENTITY_HEADER", "made-up-header")];

#[test]
fn a_vault_and_the_apps_own_storage_are_enough() {
    let store = azure(&[]).unwrap();
    assert_eq!((store.vault.vault_url.as_str(), store.vault.secret_name.as_str()), ("https://made-up.vault.azure.net", "exact-online-token"));
    assert_eq!((store.vault.identity, store.storage_identity), (Identity::DeveloperTools, Some(Identity::DeveloperTools)));

    let store = azure(&MANAGED).unwrap();
    assert_eq!(store.vault.identity.writer(None), "system-assigned identity");
    assert_eq!(store.vault.owner.as_deref(), Some("made-up"));
    assert_eq!(store.storage_identity.unwrap(), store.vault.identity);

    let ids =
        [("AZURE_CLIENT_ID", "00000000-0000-0000-0000-00000000000a"), ("AzureWebJobsStorage__clientId", "00000000-0000-0000-0000-00000000000b")];
    let store = azure(&[&MANAGED[..], &ids].concat()).unwrap();
    assert!(store.vault.identity.writer(None).ends_with("0a") && store.storage_identity.unwrap().writer(None).ends_with("0b"));

    let with_key = azure(&[("AzureWebJobsStorage", "UseDevelopmentStorage=true"), ("TOKEN_SECRET_NAME", "made-up")]).unwrap();
    assert!(with_key.storage_identity.is_none());
    assert_eq!(with_key.vault.secret_name, "made-up");
}

#[test]
fn what_is_wrong_with_the_store_for_production_is_all_told() {
    let vault_alone = problems(&[("KEY_VAULT_URL", "https://made-up.vault.azure.net")]);
    assert!(vault_alone.len() == 1 && vault_alone[0].starts_with("AzureWebJobsStorage: is not set, and KEY_VAULT_URL needs"), "{vault_alone:?}");

    let nobody = problems(&[&AZURE[..], &[("WEBSITE_SITE_NAME", "x")]].concat());
    assert!(nobody.len() == 1 && nobody[0].contains("no managed identity"), "{nobody:?}");

    let canary = "made-up-canary";
    let error = read(&[
        ("KEY_VAULT_URL", canary),
        ("TOKEN_SECRET_NAME", "made_up_canary"),
        ("AZURE_CLIENT_ID", canary),
        ("AzureWebJobsStorage__accountName", canary),
        ("AzureWebJobsStorage__credential", canary),
    ])
    .unwrap_err();
    let named: Vec<&str> = error.problems.iter().filter_map(|problem| problem.split_once(':')).map(|(name, _)| name).collect();
    let expected = ["KEY_VAULT_URL", "TOKEN_SECRET_NAME", "AzureWebJobsStorage__accountName", "AzureWebJobsStorage__credential", "AZURE_CLIENT_ID"];
    assert_eq!(named, expected, "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");

    let wrong_id = problems(&[&AZURE[..], &[("AzureWebJobsStorage__clientId", canary)]].concat());
    assert!(wrong_id.len() == 1 && wrong_id[0].starts_with("AzureWebJobsStorage__clientId: is not a GUID"), "{wrong_id:?}");
    // Without a vault the storage is the host's affair.
    assert!(read(&[("AzureWebJobsStorage", canary), ("AZURE_CLIENT_ID", canary)]).is_ok());
}

#[test]
fn the_token_file_is_relative_to_the_app_root() {
    for (root, given, expected) in [
        (None, "t.json", "/app/t.json"),
        (None, "/var/t.json", "/var/t.json"),
        (Some("/site"), "t.json", "/site/t.json"),
        (Some("sub"), "t.json", "/app/sub/t.json"),
        (Some("/site"), "", "/site/.local/exact-online-token.json"),
    ] {
        let config = read(&[("FUNCTIONS_APP_ROOT_PATH", root.unwrap_or_default()), ("TOKEN_FILE", given)]).unwrap();
        assert_eq!(file(config), Path::new(expected));
    }
    assert!(problems(&[("TOKEN_FILE", "folder/")])[0].contains("names a folder"));
}

#[test]
fn policies() {
    assert_eq!(read(&[("REFRESH_POLICY", "On-Demand")]).unwrap().mode, Mode::OnDemand);
    assert_eq!(read(&[("REFRESH_POLICY", "keep-warm")]).unwrap().mode, Mode::KeepWarm);
    assert_eq!(problems(&[("REFRESH_POLICY", "keep_warm")]).len(), 1);
}

#[test]
fn ports() {
    let port = |text: &'static str| port(|_| Some(text.to_owned()));
    assert_eq!((port(" 34963 "), port(""), port("65535")), (Ok(34963), Ok(8080), Ok(65535)));
    for text in ["0", "65536", "-1", "80 80", "http"] {
        assert!(port(text).is_err_and(|problem| problem.starts_with("FUNCTIONS_CUSTOMHANDLER_PORT: ")), "{text}");
    }
}

#[test]
fn a_bad_log_filter_does_not_stop_anything() {
    assert!(read(&[("RUST_LOG", "inof")]).is_ok());
    assert_eq!(log_filter(|_| Some(" debug ".to_owned())).as_deref(), Some("debug"));
    assert_eq!(log_filter(|_| Some("  ".to_owned())), None);
}

#[test]
fn names_are_unique_and_described() {
    for (index, setting) in SETTINGS.iter().enumerate() {
        assert!(SETTINGS[..index].iter().all(|other| other.name != setting.name));
        assert!(!setting.meaning.is_empty() && !setting.default.is_empty());
    }
    assert_eq!(TOKEN_FILE.default, DEFAULT_TOKEN_FILE);
    assert_eq!(FUNCTIONS_CUSTOMHANDLER_PORT.default, DEFAULT_PORT.to_string());
}
