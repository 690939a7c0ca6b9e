//! The ways to open the app's storage.

use std::fs;

use simulators::emulators::Azurite;
use simulators::key_vault::TestCa;

use crate::azure::OnAzure;
use crate::stage::{PATIENCE, Stage};

/// What the settings say of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Storage {
    /// `AzureWebJobsStorage` with the account's key.
    ConnectionString,
    /// `UseDevelopmentStorage=true`: the emulator's own port, at a loopback address that nobody else listens on.
    Development,
    /// `AzureWebJobsStorage__blobServiceUri`: over TLS, with the token of an identity into which the service looks.
    Identity,
}

impl Storage {
    /// A blob service that is opened so, and the settings for it.
    pub(crate) fn open(self, stage: &mut Stage, clock: &[(String, String)], ca: &TestCa) -> Azurite {
        match self {
            Self::ConnectionString => {
                let azurite = Azurite::start_with(&["--blobPort", "0"], clock);
                stage.set("AzureWebJobsStorage", &azurite.connection_string());
                azurite
            }
            Self::Development => {
                let pid = std::process::id();
                let host = format!("127.78.{}.{}", pid / 250 % 250 + 1, pid % 250 + 1);
                let azurite = Azurite::start_with(&["--blobHost", &host, "--blobPort", "10000"], clock);
                stage.set("AzureWebJobsStorage", &format!("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://{host}"));
                azurite
            }
            Self::Identity => {
                let leaf = ca.leaf(&["127.0.0.1"]);
                let (certificate, key) = (stage.folder().join("storage.pem"), stage.folder().join("storage-key.pem"));
                fs::write(&certificate, leaf.certificate).unwrap();
                fs::write(&key, leaf.key).unwrap();
                let files = [certificate.to_str().unwrap(), key.to_str().unwrap()];
                let azurite = Azurite::start_with(&["--blobPort", "0", "--oauth", "basic", "--cert", files[0], "--key", files[1]], clock);
                stage.set("AzureWebJobsStorage__blobServiceUri", azurite.endpoint());
                stage.set("AzureWebJobsStorage__credential", "managedidentity");
                azurite
            }
        }
    }
}

/// What is said about time in these tests is worth no more than this.
#[tokio::test]
async fn replies_bear_the_date_of_a_clock_that_was_just_moved() {
    let world = OnAzure::start().await;
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    for seconds in [0, 100, 200, 300] {
        world.set_clocks(seconds);
        let reply = client.get(world.azurite.endpoint()).send().await.unwrap();
        assert!(reply.status().is_client_error(), "{reply:?}");
        let date = jiff::fmt::rfc2822::parse(reply.headers()["date"].to_str().unwrap()).unwrap().timestamp();
        let off = world.stage.exact.now().duration_since(date).as_secs();
        assert!((0..60).contains(&off), "{off} s after the clock was moved by 100 s");
    }
}
