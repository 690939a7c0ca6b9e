//! The simulated vault is judged by Microsoft's own Python client.

use std::process::Stdio;

use simulators::exact_online::system_clock;
use simulators::key_vault::{Action, Denial, Fault, KeyVault, Relay, Rules, TestCa, Way};
use simulators::managed_identity::{self, ManagedIdentity};
use tokio::process::Command;

const INSTALL: &str = "tests/azure_vault/referee.sh";

#[tokio::test]
async fn the_official_python_sdk_finds_nothing_wrong_with_the_simulated_vault() {
    let root = env!("CARGO_MANIFEST_DIR");
    let installed = Command::new(format!("{root}/{INSTALL}")).stdin(Stdio::null()).output().await.unwrap();
    let problem = String::from_utf8_lossy(&installed.stderr);
    assert!(installed.status.success(), "the referee's Python packages are missing; `{INSTALL}` installs them and said:\n{problem}");

    let ca = TestCa::new();
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("ca.pem");
    std::fs::write(&pem, ca.pem()).unwrap();
    let identity = ManagedIdentity::start(managed_identity::Rules::default(), system_clock()).await.unwrap();
    let relay = Relay::start().await.unwrap();
    let mut vaults = Vec::new();
    for name in ["good", "denied", "throttled", "elsewhere"] {
        let challenge_resource = (name == "elsewhere").then_some("https://vault.example.test");
        let mut rules = Rules::with(|rules| rules.challenge_resource = challenge_resource);
        match name {
            "denied" => {
                rules.deny(Action::Set, Some(Denial::Rbac));
                rules.deny(Action::Get, Some(Denial::Firewall));
            }
            "throttled" => rules.always(Some(Fault::throttled(7))),
            _ => {}
        }
        let vault = KeyVault::start(rules, &ca, identity.shared(), system_clock()).await.unwrap();
        relay.lead(&format!("{name}.vault.azure.net"), Way::To(vault.address()));
        vaults.push(vault);
    }

    let mut python = Command::new(format!("{root}/target/tools/venv/bin/python"));
    python.arg(format!("{root}/tests/azure_vault/referee.py")).current_dir(folder.path());
    for name in ["NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        python.env_remove(name);
    }
    python.env("HTTPS_PROXY", relay.url()).env("https_proxy", relay.url()).env("NO_PROXY", "127.0.0.1").env("REQUESTS_CA_BUNDLE", &pem);
    python.env("IDENTITY_ENDPOINT", identity.endpoint()).env("IDENTITY_HEADER", managed_identity::Rules::header());
    let output = python.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let (said, problem) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{problem}");
    assert!(said.contains("life: ok") && said.contains("refusals: ok"), "{said}");
    let requests: usize = vaults.iter().map(|vault| vault.rules().log().len()).sum();
    println!("measured: azure-keyvault-secrets 4.12.0 made {requests} requests and agreed with every reply");
}
