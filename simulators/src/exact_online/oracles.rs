//! What a test does to the token service, and asks of it.

use std::time::Duration;

use jiff::Timestamp;

use super::config::Config;
use super::faults::Fault;
use super::form;
use super::log::{self, AskedMe, Logged, Violation, Visit};
use super::me::MeFault;
use super::rules::{Code, Pair, Rules};

impl Rules {
    /// The switches. They may be changed at any time.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The switches.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A user logs in and allows the app; the code that comes back, decoded. An older code of that user is
    /// dead from now on, their chain only once the new code is exchanged.
    ///
    /// # Panics
    ///
    /// If `user` is not the `id` of one of [`Config::users`].
    pub fn authorize(&mut self, now: Timestamp, user: &str, redirect_uri: &str) -> String {
        let user = self.user(user);
        self.authorizations += 1;
        let code = self.mint.code();
        let expires = now + self.config.code_lifetime;
        let number = self.authorizations;
        let it = Code { user, redirect_uri: redirect_uri.to_owned(), expires, number, used: false };
        self.codes.insert(code.clone(), it);
        code
    }

    /// A code that another app was given: none of this app's business.
    pub fn foreign_code(&mut self) -> String {
        self.mint.code()
    }

    /// Where the browser is sent with a code: its `!` stands as `%21`.
    #[must_use]
    pub fn redirect_url(redirect_uri: &str, code: &str, state: Option<&str>) -> String {
        let join = if redirect_uri.contains('?') { '&' } else { '?' };
        let state = state.map_or_else(String::new, |it| format!("&state={}", form::encode(it)));
        format!("{redirect_uri}{join}code={}{state}", form::encode(code))
    }

    /// A chain of the first user that a person began with Postman `age` ago, and its first pair.
    ///
    /// # Panics
    ///
    /// If there are no users.
    pub fn issue_chain_aged(&mut self, now: Timestamp, age: Duration) -> Pair {
        assert!(!self.config.users.is_empty(), "there is a user");
        let then = now - age;
        let refresh_token = self.mint.refresh_token();
        let chain = self.begin_chain(then, 0, refresh_token.clone());
        let pair = Pair { access_token: self.mint.access_token(), refresh_token };
        self.record(then, chain, &pair);
        pair
    }

    /// The refresh token of a chain that was begun an hour ago, so that a refresh is not too early.
    pub fn issue_chain(&mut self, now: Timestamp) -> String {
        self.issue_chain_aged(now, Duration::from_hours(1)).refresh_token
    }

    /// The user takes the app's permission away: their chain is dead.
    ///
    /// # Panics
    ///
    /// If `user` is not the `id` of one of [`Config::users`].
    pub fn revoke(&mut self, user: &str) {
        let user = self.user(user);
        for chain in self.chains.iter_mut().filter(|it| it.user == user) {
            chain.ended = true;
        }
    }

    /// Goes to the end of the script: each request takes the first fault of it. A refused request uses one up too.
    pub fn script(&mut self, fault: Fault) {
        self.script.push_back(fault);
    }

    /// Every request suffers this fault once the script is at its end, until it is taken away with `None`.
    pub fn always(&mut self, fault: Option<Fault>) {
        self.standing = fault;
    }

    /// Every request for `current/Me` suffers this from now on, until it is taken away with `None`.
    pub fn fail_me(&mut self, fault: Option<MeFault>) {
        self.me_fault = fault;
    }

    /// How many scripted faults have not happened yet.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.script.len()
    }

    /// Whether the data API accepts this access token at this time.
    #[must_use]
    pub fn is_alive(&self, access_token: &str, now: Timestamp) -> bool {
        self.access_tokens.alive(access_token, now).is_some()
    }

    /// Whether a refresh with this token would be granted at this time or at some time after it, if nothing else
    /// happens meanwhile. Scripted faults are left out of account.
    #[must_use]
    pub fn is_chain_alive(&self, refresh_token: &str, now: Timestamp) -> bool {
        let Some(issued) = self.refresh_tokens.get(refresh_token) else {
            return false;
        };
        let chain = &self.chains[issued.chain];
        let at = now.max(chain.opens(&self.config));
        at < issued.expires && chain.right(refresh_token, at, self.config.grace).is_ok()
    }

    /// The pair that was made last, whether or not it arrived anywhere.
    #[must_use]
    pub fn newest_pair(&self) -> Option<&Pair> {
        self.newest.as_ref()
    }

    /// The refresh token that was made last, whether or not it arrived anywhere.
    #[must_use]
    pub fn newest_refresh_token(&self) -> Option<&str> {
        self.newest.as_ref().map(|it| it.refresh_token.as_str())
    }

    /// Every token request so far.
    #[must_use]
    pub fn log(&self) -> &[Logged] {
        &self.log
    }

    /// Every request to the authorize endpoint so far.
    #[must_use]
    pub fn visits(&self) -> &[Visit] {
        &self.visits
    }

    /// Every request for `current/Me` so far.
    #[must_use]
    pub fn asked_me(&self) -> &[AskedMe] {
        &self.asked_me
    }

    /// What a correct client would not have sent.
    #[must_use]
    pub fn violations(&self) -> &[(Timestamp, Violation)] {
        &self.violations
    }

    /// See [`log::max_ungranted_in_an_hour`].
    #[must_use]
    pub fn max_ungranted_in_an_hour(&self) -> usize {
        log::max_ungranted_in_an_hour(&self.log)
    }

    /// See [`log::max_requests_in_a_day`].
    #[must_use]
    pub fn max_requests_in_a_day(&self) -> usize {
        log::max_requests_in_a_day(&self.log)
    }

    fn user(&self, id: &str) -> usize {
        let found = self.config.users.iter().position(|it| it.id == id);
        found.expect("the user is one of Config::users")
    }
}
