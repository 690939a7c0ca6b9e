//! `chromedriver`, which starts browsers and steers them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{LoggingPrefsLogLevel, TimeoutConfiguration, WebDriver};

use crate::stage::PATIENCE;

/// One chromedriver. It stops when it is dropped.
pub(crate) struct Driver {
    child: Child,
    url: String,
    /// What a browser would leave in the home of whoever runs the tests.
    _home: TempDir,
}

impl Driver {
    /// On a port of its own choosing.
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_CACHE_HOME", home.path())
            .env("TMPDIR", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver could not be started: install Debian's chromium and chromium-driver");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| Some(line.split_once("started successfully on port ")?.1.trim_end_matches('.').to_owned()));
        let url = format!("http://127.0.0.1:{}", port.expect("chromedriver ended before it listened"));
        // A full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url, _home: home }
    }

    /// A browser with an empty profile of its own.
    pub(crate) async fn profile(&self) -> WebDriver {
        let mut wishes = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            // Whoever runs the tests as root, or in a container, has no other choice; and no page here is a stranger's.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            "--no-proxy-server",
            "--force-color-profile=srgb",
            "--lang=en",
            // Nothing outside of this machine has a name.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ] {
            wishes.add_arg(argument).unwrap();
        }
        wishes.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        wishes.set_logging_prefs("performance", LoggingPrefsLogLevel::All).unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let session = WebDriver::builder(&self.url, wishes).client(client).await.unwrap();
        session.update_timeouts(TimeoutConfiguration::new(Some(PATIENCE), Some(PATIENCE), None)).await.unwrap();
        session
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
