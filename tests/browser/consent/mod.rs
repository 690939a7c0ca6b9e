//! The consent pages of the real binary under the simulated host, with the simulated Exact Online on the other side. The product is at `localhost`
//! and Exact at `127.0.0.1`: two sites to a browser, as they are in the world.

mod another_user;
mod detours;
mod problems;
mod whole;

use std::collections::BTreeSet;

use simulators::exact_online::{MARKER, User};
use simulators::functions_host::{Channel, FunctionsHost, Keys};
use tokio::net::TcpListener;

use crate::axe::axe;
use crate::browser::Browser;
use crate::replies::Reply;
use crate::stage::shifted_clock::ClockFile;
use crate::stage::{Stage, get_token};

const FIRST: &str = "Connect to Exact Online";
const AGAIN: &str = "Connect again";
const TRY_AGAIN: &str = "Try again";
const CONNECTED: &str = "Connected to Exact Online";

/// A product that runs, an Exact Online, and a person's browser.
struct Scene {
    browser: Browser,
    host: FunctionsHost,
    stage: Stage,
    clock: ClockFile,
}

impl Scene {
    /// With nothing connected yet.
    async fn start() -> Self {
        let mut stage = Stage::start().await;
        let clock = ClockFile::new(stage.folder(), 0);
        stage.settings.extend(clock.environment());
        stage.set("RUST_LOG", "trace");
        let host = host(&mut stage).await;
        Self { browser: Browser::start().await, host, stage, clock }
    }

    /// With a chain of this user, begun by the whole way through the browser.
    async fn connected(user: &User) -> Self {
        let scene = Self::start().await;
        scene.begin(&scene.browser, FIRST).await;
        scene.log_in(&scene.browser, user).await;
        scene.browser.click("Allow").await;
        assert_eq!(scene.browser.heading().await, CONNECTED);
        scene
    }

    fn origin(&self) -> String {
        self.host.url().replace("127.0.0.1", "localhost")
    }

    /// The page with the button, with the function key as a person gets it from the portal.
    fn page(&self) -> String {
        format!("{}/api/Consent?code={}", self.origin(), Keys::default().function)
    }

    fn redirect_uri(&self) -> String {
        self.stage.settings["EXACT_REDIRECT_URI"].clone()
    }

    /// Opens the page, and presses its only button.
    async fn begin(&self, browser: &Browser, button: &str) {
        browser.open(&self.page()).await;
        assert_eq!(browser.buttons().await, [button]);
        browser.click(button).await;
    }

    /// At Exact, up to the page that asks for the permission. Who is logged in already may be there at once.
    async fn log_in(&self, browser: &Browser, user: &User) {
        assert!(browser.url().await.starts_with(&self.stage.exact.base_url()), "{}", browser.url().await);
        if browser.heading().await == "Permissions" {
            assert!(browser.text().await.contains(&user.full_name), "somebody else is logged in");
            return;
        }
        browser.choose(&format!("{}, {}", user.full_name, user.company)).await;
        browser.click("Next").await;
        browser.fill("Code of your authenticator", "123456").await;
        browser.click("Log in").await;
    }

    /// From the button of the page that it is at to the way back from Exact, where the person is logged in or logs in.
    async fn try_again(&self, user: &User) {
        self.browser.click(TRY_AGAIN).await;
        self.log_in(&self.browser, user).await;
        self.browser.click("Allow").await;
        assert_eq!(self.browser.heading().await, CONNECTED);
        self.serves(user).await;
    }

    /// Looks at a page of the product: nobody is kept out, no secret is on it, and it is kept as pictures.
    async fn look(&self, browser: &Browser, name: &str) {
        assert!(browser.url().await.starts_with(&self.origin()), "{}", browser.url().await);
        axe(browser).await;
        browser.screenshots(name).await;
        let source = browser.source().await;
        for secret in [MARKER, &Keys::default().function, "<script", "http-equiv"] {
            assert!(!source.contains(secret), "{secret} is on the page {name}");
        }
    }

    /// Asserts that the page says that nothing was connected, and looks at it.
    async fn assert_problem(&self, browser: &Browser, name: &str) {
        let heading = browser.heading().await;
        assert_ne!(heading, CONNECTED, "{name}");
        self.look(browser, name).await;
    }

    /// Asserts that callers are served with a living token of this user.
    async fn serves(&self, user: &User) -> String {
        let token = get_token(&self.host, "").await.token();
        let request = simulators::exact_online::MeRequest::bearer(&token, "UserID");
        let (now, mut rules) = (self.stage.exact.now(), self.stage.exact.rules());
        let me = rules.me(now, &request);
        assert!(String::from_utf8_lossy(&me.body).contains(&user.id), "not a living token of {}: {}", user.full_name, me.status);
        token
    }

    /// Time passes, for the product and for Exact alike.
    fn pass(&self, seconds: i64) {
        self.clock.set(seconds);
        self.stage.set_clock_of_exact(seconds);
    }

    /// Asserts that no made-up secret and no function key got out, and that none of these states did but in the redirect to Exact.
    fn assert_secrets_kept(&self, states: &[String]) {
        let mut secrets = vec![MARKER.to_owned(), Keys::default().function];
        secrets.extend_from_slice(states);
        let redirect = |channel: &Channel| matches!(channel, Channel::Header { name, .. } if name == "location");
        let places: Vec<_> = self.host.search(&secrets).into_iter().filter(|it| it.secret < 2 || !redirect(&it.channel)).collect();
        assert!(places.is_empty(), "{:?}", places.iter().map(|it| (it.secret, &it.channel, it.index)).collect::<Vec<_>>());
        assert_eq!(self.stage.exact.violations(), []);
    }
}

/// A host whose port is known before it starts, since the redirect URI is a setting.
async fn host(stage: &mut Stage) -> FunctionsHost {
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        stage.set("EXACT_REDIRECT_URI", &format!("http://localhost:{port}/api/ConsentCallback"));
        let mut options = stage.options();
        options.front_port = port;
        match FunctionsHost::start(options).await {
            Ok(host) => return host,
            // Another process took it in between.
            Err(error) if error.to_string().contains("the front end's port") => {}
            Err(error) => panic!("{error:#}"),
        }
    }
    panic!("five free ports were taken by others");
}

/// The states that went to Exact and came back, each once, as they stand decoded in the redirects.
fn states(replies: &[Reply]) -> Vec<String> {
    let queries = replies.iter().filter_map(|it| it.header("location")?.split_once('?').map(|(_, query)| query.to_owned()));
    let state = |query: String| form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state").map(|(_, value)| value.into_owned());
    queries.filter_map(state).collect::<BTreeSet<_>>().into_iter().collect()
}
