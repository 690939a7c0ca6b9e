mod fuzz;

use super::*;

/// 64 bytes, as an account key has, and made up.
const KEY: &str = "bWFkZS11cC1jYW5hcnkta2V5LW1hZGUtdXAtY2FuYXJ5LWtleS1tYWRlLXVwLWNhbmFyeS1rZXktbWFkZS11cC1jYQ==";

fn read(settings: &[(&str, &str)]) -> Result<Option<StorageSettings>, Vec<String>> {
    StorageSettings::read(|name| settings.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned()))
}

fn connection(text: &str) -> Result<StorageSettings, String> {
    read(&[(CONNECTION_STRING, text)]).map(Option::unwrap).map_err(|problems| problems.join("; "))
}

fn seen(settings: &StorageSettings) -> String {
    let access = match &settings.access {
        Access::AccountKey(key) => format!("key of {}", key.account()),
        Access::SharedAccessSignature(signature) => format!("signature {}", signature.reveal()),
        Access::Identity { client_id } => format!("identity {}", client_id.as_deref().unwrap_or("of the system")),
    };
    format!("{} {access}", settings.endpoint)
}

#[test]
fn nothing_set_is_nothing() {
    assert!(read(&[]).unwrap().is_none());
    assert!(read(&[(CONNECTION_STRING, "  "), (ACCOUNT_NAME, "")]).unwrap().is_none());
}

#[test]
fn connection_strings_that_are_taken() {
    let key = format!("AccountKey={KEY}");
    for (text, expected) in [
        (
            format!("DefaultEndpointsProtocol=https;AccountName=made1up;{key};EndpointSuffix=core.windows.net"),
            "https://made1up.blob.core.windows.net/ key of made1up",
        ),
        (format!("AccountName=made1up;{key}"), "https://made1up.blob.core.windows.net/ key of made1up"),
        (
            format!(" accountname = made1up ; {key} ; endpointsuffix=core.chinacloudapi.cn ;; "),
            "https://made1up.blob.core.chinacloudapi.cn/ key of made1up",
        ),
        (
            format!("BlobEndpoint=https://blobs.example/;QueueEndpoint=https://queues.example;AccountName=made1up;{key}"),
            "https://blobs.example/ key of made1up",
        ),
        (
            "BlobEndpoint=https://made1up.blob.core.windows.net/;SharedAccessSignature=?sv=2026-04-06&ss=b&sig=made%2Bup%3D".to_owned(),
            "https://made1up.blob.core.windows.net/ signature sv=2026-04-06&ss=b&sig=made%2Bup%3D",
        ),
        ("AccountName=made1up;SharedAccessSignature=sig=made-up".to_owned(), "https://made1up.blob.core.windows.net/ signature sig=made-up"),
        ("UseDevelopmentStorage=true".to_owned(), "http://127.0.0.1:10000/devstoreaccount1 key of devstoreaccount1"),
        ("usedevelopmentstorage=True;".to_owned(), "http://127.0.0.1:10000/devstoreaccount1 key of devstoreaccount1"),
        (
            "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite".to_owned(),
            "http://azurite:10000/devstoreaccount1 key of devstoreaccount1",
        ),
        (
            format!(
                "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={EMULATOR_KEY};BlobEndpoint=http://azurite:10000/devstoreaccount1;"
            ),
            "http://azurite:10000/devstoreaccount1 key of devstoreaccount1",
        ),
        (format!("BlobEndpoint=http://localhost:9;AccountName=made1up;{key}"), "http://localhost:9/ key of made1up"),
    ] {
        assert_eq!(seen(&connection(&text).unwrap()), expected);
    }
}

#[test]
fn connection_strings_that_are_refused() {
    let key = format!("AccountKey={KEY}");
    for (text, problem) in [
        ("canary".to_owned(), "is not a connection string"),
        (format!("AccountName=canary1;AccountName=canary1;{key}"), "has a part twice"),
        (key.clone(), "has neither AccountName nor BlobEndpoint"),
        (format!("BlobEndpoint=https://canary.example;{key}"), "AccountKey without AccountName"),
        ("AccountName=canary1".to_owned(), "has neither AccountKey nor SharedAccessSignature"),
        ("AccountName=canary1;AccountKey=".to_owned(), "has neither AccountKey nor SharedAccessSignature"),
        ("AccountName=canary1;AccountKey=canary".to_owned(), "AccountKey is not one"),
        (format!("AccountName=canary1;{key};SharedAccessSignature=sig=canary"), "both AccountKey and SharedAccessSignature"),
        ("AccountName=canary1;SharedAccessSignature=sv=canary".to_owned(), "has no sig"),
        (format!("AccountName=Canary.blob.core.windows.net;{key}"), "the account name is not one"),
        (format!("AccountName=ca;{key}"), "the account name is not one"),
        (format!("AccountName=canary1;{key};EndpointSuffix=canary/x"), "EndpointSuffix is not the end of a host name"),
        (format!("AccountName=canary1;{key};EndpointSuffix=@canary.example"), "EndpointSuffix is not the end of a host name"),
        (format!("AccountName=canary1;{key};DefaultEndpointsProtocol=ftp"), "neither https nor http"),
        (format!("AccountName=canary1;{key};DefaultEndpointsProtocol=http"), "is for http"),
        ("BlobEndpoint=http://canary.example;SharedAccessSignature=sig=canary".to_owned(), "is for http"),
        (format!("BlobEndpoint=canary;AccountName=canary1;{key}"), "BlobEndpoint is not a URL"),
        (format!("BlobEndpoint=https://canary@canary.example;AccountName=canary1;{key}"), "user information"),
        ("BlobEndpoint=https://canary.example?sig=canary;SharedAccessSignature=sig=canary".to_owned(), "behind its path"),
        ("UseDevelopmentStorage=canary".to_owned(), "can only be true"),
        ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=canary".to_owned(), "DevelopmentStorageProxyUri is not a URL"),
        ("@Microsoft.KeyVault(SecretUri=https://canary.vault.azure.net/secrets/canary)".to_owned(), "could not resolve the Key Vault reference"),
    ] {
        let found = connection(&text).unwrap_err();
        assert!(found.starts_with("AzureWebJobsStorage: ") && found.contains(problem), "{text}: {found}");
        assert!(!found.to_lowercase().contains("canary"), "{found}");
    }
}

#[test]
fn an_identity_is_taken_where_no_connection_string_is_set() {
    let account = (ACCOUNT_NAME, "made1up");
    for (settings, expected) in [
        (vec![account], "https://made1up.blob.core.windows.net/ identity of the system"),
        (
            vec![account, (CREDENTIAL, "managedIdentity"), (CLIENT_ID, "made-up-client-id")],
            "https://made1up.blob.core.windows.net/ identity made-up-client-id",
        ),
        (vec![(BLOB_SERVICE_URI, "https://made1up.blob.core.windows.net/")], "https://made1up.blob.core.windows.net/ identity of the system"),
        (vec![account, (BLOB_SERVICE_URI, "https://made1up.blob.core.windows.net")], "https://made1up.blob.core.windows.net/ identity of the system"),
        (vec![(CONNECTION_STRING, ""), account], "https://made1up.blob.core.windows.net/ identity of the system"),
        (vec![(CONNECTION_STRING, "UseDevelopmentStorage=true"), account], "http://127.0.0.1:10000/devstoreaccount1 key of devstoreaccount1"),
    ] {
        assert_eq!(seen(&read(&settings).unwrap().unwrap()), expected);
    }
}

#[test]
fn identities_that_are_refused_all_at_once() {
    for (settings, problems) in [
        (vec![(CREDENTIAL, "canary")], vec!["AzureWebJobsStorage__credential: is set without"]),
        (vec![(CLIENT_ID, "canary")], vec!["AzureWebJobsStorage__clientId: is set without"]),
        (vec![(BLOB_SERVICE_URI, "http://canary.example")], vec!["AzureWebJobsStorage__blobServiceUri: is http"]),
        (
            vec![(ACCOUNT_NAME, "Canary"), (CREDENTIAL, "canary"), (CLIENT_SECRET, "canary"), (RESOURCE_ID, "canary")],
            vec!["__accountName: the account name", "__credential: is not", "__managedIdentityResourceId: is not", "__clientSecret: is not"],
        ),
        (vec![(ACCOUNT_NAME, "canary1"), (BLOB_SERVICE_URI, "https://canary2.blob.core.windows.net")], vec!["is another account's"]),
        (vec![(ACCOUNT_NAME, "@Microsoft.KeyVault(canary)")], vec!["could not resolve the Key Vault reference"]),
    ] {
        let found = read(&settings).unwrap_err();
        assert_eq!(found.len(), problems.len(), "{found:?}");
        for (found, problem) in found.iter().zip(problems) {
            assert!(found.contains(problem), "{found}");
            assert!(!found.to_lowercase().contains("canary"), "{found}");
        }
    }
}

#[test]
fn what_is_shown_of_settings_is_only_their_kind() {
    let settings = connection("AccountName=canary1;SharedAccessSignature=sig=canary").unwrap();
    assert_eq!(format!("{settings:?}"), "StorageSettings { access: SharedAccessSignature, .. }");
}
