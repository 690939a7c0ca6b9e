//! The simulated login pages by themselves, with a little server where the app would be.

use simulators::exact_online::{Config, ExactOnline, TokenRequest, User, Visited, system_clock};

use crate::browser::Browser;
use crate::little_server::{LittleServer, page};

struct Login {
    exact: ExactOnline,
    app: LittleServer,
    browser: Browser,
}

impl Login {
    async fn start() -> Self {
        let exact = ExactOnline::start(Config::default(), system_clock()).await.unwrap();
        let app = LittleServer::start(|_| page("<h1>Back at the app</h1>", &[])).await;
        Self { exact, app, browser: Browser::start().await }
    }

    fn redirect_uri(&self) -> String {
        format!("{}/api/ConsentCallback", self.app.url("localhost"))
    }

    /// Where the app sends the browser to.
    fn url(&self, client_id: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("client_id", client_id).append_pair("redirect_uri", &self.redirect_uri()).append_pair("response_type", "code");
        query.append_pair("state", "SIMULATED state+/=").append_pair("force_login", "0");
        format!("{}/api/oauth2/auth?{}", self.exact.base_url(), query.finish())
    }

    async fn open(&self) {
        self.browser.open(&self.url(&Config::default().client_id)).await;
    }

    /// Up to the page that asks for the permission.
    async fn log_in(&self, user: &User) {
        self.browser.choose(&format!("{}, {}", user.full_name, user.company)).await;
        self.browser.click("Next").await;
        self.browser.fill("Code of your authenticator", "123456").await;
        self.browser.click("Log in").await;
    }

    fn visited(&self) -> Vec<Visited> {
        self.exact.visits().iter().map(|it| it.visited).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_login_ends_at_the_app_with_a_code_that_works() {
    let login = Login::start().await;
    let (browser, user) = (&login.browser, User::colleague());
    login.open().await;
    browser.choose(&format!("{}, {}", user.full_name, user.company)).await;
    browser.click("Next").await;
    assert_eq!(browser.heading().await, "Two-step verification");
    browser.fill("Code of your authenticator", "12345").await;
    browser.click("Log in").await;
    assert!(browser.text().await.contains("not a code of six digits"));
    browser.fill("Code of your authenticator", "123456").await;
    browser.click("Log in").await;
    assert_eq!((browser.heading().await.as_str(), browser.buttons().await), ("Permissions", vec!["Allow".to_owned(), "Deny".to_owned()]));
    browser.click("Allow").await;
    assert_eq!(browser.heading().await, "Back at the app");

    let seen = login.app.seen();
    assert_eq!((seen.len(), seen[0].method.as_str()), (1, "GET"));
    assert!(seen[0].target.contains("%21IAAAA"), "the browser leaves it encoded");
    assert_eq!(seen[0].parameter("state").as_deref(), Some("SIMULATED state+/="));
    let code = seen[0].parameter("code").unwrap();
    let mut rules = login.exact.rules();
    let request = TokenRequest::code(rules.config(), &code, &login.redirect_uri());
    assert_eq!(rules.token(system_clock()(), &request).status, 200);
    assert_eq!(rules.violations(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_denies_comes_back_with_an_error_and_may_go_back_and_allow() {
    let login = Login::start().await;
    login.open().await;
    login.log_in(&User::first()).await;
    login.browser.click("Deny").await;
    let denied = login.app.seen().pop().unwrap();
    assert_eq!(denied.parameter("error").as_deref(), Some("access_denied"));
    assert_eq!((denied.parameter("state").as_deref(), denied.parameter("code")), (Some("SIMULATED state+/="), None));

    login.browser.back().await;
    login.browser.click("Allow").await;
    assert!(login.app.seen().pop().unwrap().parameter("code").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_tab_knows_who_is_logged_in_and_another_browser_does_not() {
    let login = Login::start().await;
    login.open().await;
    login.log_in(&User::second()).await;
    login.browser.new_tab().await;
    login.open().await;
    assert_eq!(login.browser.heading().await, "Permissions");
    login.browser.tab(0).await;
    login.browser.click("Allow").await;
    let stranger = login.browser.another().await;
    stranger.open(&login.url(&Config::default().client_id)).await;
    assert_eq!(stranger.heading().await, "Log in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_redirect_uri_and_a_wrong_client_are_told_as_exact_tells_them() {
    let login = Login::start().await;
    login.exact.rules().config_mut().redirect_uris = vec!["https://registered.example.test/".to_owned()];
    login.open().await;
    let back = login.app.seen().pop().unwrap();
    assert_eq!(back.parameter("error").as_deref(), Some("unauthorized_client"));

    login.browser.open(&login.url("xxx")).await;
    assert!(login.browser.text().await.contains("Client with identifier 'xxx' not found."));
    assert_eq!(login.visited(), [Visited::WrongRedirectUri, Visited::UnknownClient]);
}
