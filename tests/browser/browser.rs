//! One browser with one profile, as a person uses it: by what stands on the page.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::*;
use thirtyfour::{By, WebDriver, WebElement};

use crate::driver::Driver;
use crate::replies::{self, Reply};
use crate::stage::PATIENCE;

/// A browser with cookies of its own. It closes when it is dropped.
pub(crate) struct Browser {
    // Before the driver, which could not close it any more.
    session: WebDriver,
    driver: Arc<Driver>,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let driver = Arc::new(Driver::start());
        Self { session: driver.profile().await, driver }
    }

    /// Another browser, or another person's: it shares no cookie with this one.
    pub(crate) async fn another(&self) -> Self {
        Self { session: self.driver.profile().await, driver: Arc::clone(&self.driver) }
    }

    /// Types an address.
    pub(crate) async fn open(&self, url: &str) {
        self.session.goto(url).await.unwrap();
    }

    /// Clicks the one button or link of this name, and waits for the page that it leads to.
    pub(crate) async fn click(&self, name: &str) {
        let element = self.button(name).await;
        self.leave(element.click()).await;
    }

    /// The same, twice in quick succession.
    pub(crate) async fn double_click(&self, name: &str) {
        let element = self.button(name).await;
        self.leave(self.session.action_chain().double_click_element(&element).perform()).await;
    }

    /// Clicks the one button or link of this name; nothing need come of it.
    pub(crate) async fn press(&self, name: &str) {
        self.button(name).await.click().await.unwrap();
    }

    /// Chooses what has this label.
    pub(crate) async fn choose(&self, label: &str) {
        self.labelled(label).await.click().await.unwrap();
    }

    /// Types into what has this label.
    pub(crate) async fn fill(&self, label: &str, text: &str) {
        let label = self.labelled(label).await;
        let field = self.session.execute("return arguments[0].control", [label.to_json().unwrap()]).await.unwrap();
        field.element().unwrap().send_keys(text).await.unwrap();
    }

    pub(crate) async fn back(&self) {
        self.session.back().await.unwrap();
    }

    pub(crate) async fn reload(&self) {
        self.session.refresh().await.unwrap();
    }

    /// Opens a tab of the same browser and goes there.
    pub(crate) async fn new_tab(&self) {
        let tab = self.session.new_tab().await.unwrap();
        self.session.switch_to_window(tab).await.unwrap();
    }

    /// Goes to the tab that was opened as the `number`th, from 0.
    pub(crate) async fn tab(&self, number: usize) {
        let tabs = self.session.windows().await.unwrap();
        self.session.switch_to_window(tabs[number].clone()).await.unwrap();
    }

    /// How many CSS pixels the page has. Narrow ones are a phone's.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.session.cdp().send_raw("Emulation.setDeviceMetricsOverride", metrics).await.unwrap();
    }

    /// Keeps pictures of the whole page, on a phone and on a desk, as `target/screenshots/NAME-WIDTH.png`; nobody may have to scroll sideways.
    pub(crate) async fn screenshots(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        for width in [360, 1280] {
            self.size(width, 640).await;
            assert!(!self.scrolls_sideways().await, "{name} is wider than {width} pixels");
            let height = self.script("return document.documentElement.scrollHeight").await.as_u64().unwrap();
            self.size(width, u32::try_from(height).unwrap()).await;
            let seen = self.session.screenshot_as_png().await.unwrap();
            std::fs::write(folder.join(format!("{name}-{width}.png")), seen).unwrap();
        }
    }

    pub(crate) async fn url(&self) -> String {
        self.session.current_url().await.unwrap().to_string()
    }

    pub(crate) async fn source(&self) -> String {
        self.session.source().await.unwrap()
    }

    /// What a person reads, line by line.
    pub(crate) async fn text(&self) -> String {
        self.session.find(By::Tag("body")).await.unwrap().text().await.unwrap()
    }

    /// The one `<h1>`.
    pub(crate) async fn heading(&self) -> String {
        self.the_one("h1", &self.session.find_all(By::Tag("h1")).await.unwrap()).await.text().await.unwrap()
    }

    /// The names of all buttons, in order.
    pub(crate) async fn buttons(&self) -> Vec<String> {
        let mut names = Vec::new();
        for button in self.session.find_all(By::Css("button, input[type=submit], [role=button]")).await.unwrap() {
            names.push(name_of(&button).await);
        }
        names
    }

    /// Whether a page is wider than the window, so that a person has to scroll sideways.
    pub(crate) async fn scrolls_sideways(&self) -> bool {
        let script = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        self.script(script).await == Value::Bool(true)
    }

    /// What a script gives back. The page's own policy on scripts is no hindrance.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.session.execute(script, []).await.unwrap().json().clone()
    }

    /// The replies to navigations since the last call, redirects and all.
    pub(crate) async fn replies(&self) -> Vec<Reply> {
        replies::read(&self.session.get_log("performance").await.unwrap())
    }

    /// What the browser complained of since the last call: broken policies, errors, pages with a status of 400 and more.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        self.session.browser_log().await.unwrap().into_iter().map(|entry| entry.message).collect()
    }

    /// Runs something that leads to another page, and waits until that is there.
    async fn leave(&self, leaving: impl Future<Output = WebDriverResult<()>>) {
        self.session.execute("window.notLeft = true", []).await.unwrap();
        leaving.await.unwrap();
        let arrived = async {
            loop {
                // While one page gives way to the other there is none to ask.
                let asked = self.session.execute("return window.notLeft === undefined && document.readyState === 'complete'", []).await;
                if asked.is_ok_and(|it| *it.json() == Value::Bool(true)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let arrived = tokio::time::timeout(PATIENCE, arrived).await;
        assert!(arrived.is_ok(), "still at {}: {:?}", self.url().await, self.complaints().await);
    }

    async fn button(&self, name: &str) -> WebElement {
        let all = self.session.find_all(By::Css("button, a[href], input[type=submit]")).await.unwrap();
        self.named(name, all).await
    }

    async fn labelled(&self, label: &str) -> WebElement {
        let all = self.session.find_all(By::Tag("label")).await.unwrap();
        self.named(label, all).await
    }

    async fn named(&self, name: &str, all: Vec<WebElement>) -> WebElement {
        let mut found = Vec::new();
        for element in all {
            if name_of(&element).await == name {
                found.push(element);
            }
        }
        self.the_one(name, &found).await
    }

    async fn the_one(&self, what: &str, found: &[WebElement]) -> WebElement {
        let [one] = found else { panic!("{} of {what:?} at {}:\n{}", found.len(), self.url().await, self.source().await) };
        one.clone()
    }
}

/// What a screen reader calls it.
async fn name_of(element: &WebElement) -> String {
    if let Some(label) = element.attr("aria-label").await.unwrap() {
        return label;
    }
    let text = element.text().await.unwrap();
    if text.is_empty() { element.value().await.unwrap().unwrap_or_default() } else { text }
}
