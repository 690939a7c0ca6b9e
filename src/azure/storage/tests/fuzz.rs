//! Connection strings, for the fuzzer.

use fuzzing::Target;

use super::*;

#[test]
fn connection_string() {
    let words = [
        "AccountName=",
        "AccountKey=",
        "BlobEndpoint=",
        "SharedAccessSignature=",
        "DefaultEndpointsProtocol=",
        "EndpointSuffix=",
        "UseDevelopmentStorage=true",
        "DevelopmentStorageProxyUri=",
        "core.windows.net",
        "https://made1up.blob.core.windows.net",
        "http://127.0.0.1:10000/devstoreaccount1",
        "sv=2024-01-01&sig=MADEUPcanary",
        "sig=",
        KEY,
        ";",
        "devstoreaccount1",
        "@Microsoft.KeyVault(",
    ];
    Target::new("connection-string").words(&words).run(|input| {
        let text = String::from_utf8_lossy(input);
        match read(&[(CONNECTION_STRING, &text)]) {
            Ok(None) => {
                assert!(text.trim().is_empty());
                String::new()
            }
            Ok(Some(settings)) => {
                let endpoint = &settings.endpoint;
                assert!(["http", "https"].contains(&endpoint.scheme()) && endpoint.host_str().is_some_and(|host| !host.is_empty()));
                assert!(
                    endpoint.username().is_empty() && endpoint.password().is_none() && endpoint.query().is_none() && endpoint.fragment().is_none()
                );
                if endpoint.scheme() == "http" {
                    assert!(is_loopback(endpoint) || matches!(&settings.access, Access::AccountKey(key) if key.account() == EMULATOR_ACCOUNT));
                }
                format!("{settings:?}")
            }
            Err(problems) => problems.join("; "),
        }
    });
}
