//! The faults as a client sees them, over real connections. Real milliseconds pass only where a reply is late or never comes.

use std::error::Error;

use super::*;

struct Served {
    exact: ExactOnline,
    clock: ManualClock,
    client: reqwest::Client,
}

async fn served() -> Served {
    let clock = ManualClock::new(START.parse().unwrap());
    let exact = ExactOnline::start(Config::default(), clock.clock()).await.unwrap();
    let redirect = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().no_proxy().redirect(redirect).build().unwrap();
    Served { exact, clock, client }
}

impl Served {
    fn refresh(&self, token: &str) -> reqwest::RequestBuilder {
        let body = TokenRequest::refresh(&Config::default(), token).body;
        let form = "application/x-www-form-urlencoded";
        self.client.post(format!("{}/api/oauth2/token", self.exact.base_url())).header("Content-Type", form).body(body)
    }

    async fn pair(&self, token: &str) -> Pair {
        let response = self.refresh(token).send().await.unwrap();
        let status = response.status().as_u16();
        pair(&Reply::new(status, &[], response.bytes().await.unwrap()))
    }
}

fn causes(error: &reqwest::Error) -> String {
    let mut causes = error.to_string();
    let mut source = error.source();
    while let Some(it) = source {
        causes = format!("{causes}: {it}");
        source = it.source();
    }
    causes
}

#[tokio::test]
async fn a_chain_lives_over_the_wire() {
    let s = served().await;
    let mut events = s.exact.subscribe();
    let first = s.exact.issue_chain();
    let second = s.pair(&first).await;
    assert!(s.exact.is_alive(&second.access_token));
    assert_eq!(s.exact.newest_refresh_token(), Some(second.refresh_token.clone()));

    let early = s.refresh(&second.refresh_token).send().await.unwrap();
    assert_eq!(early.status(), 400);
    assert!(early.headers()["Reason"].to_str().unwrap().starts_with("TooEarlyToRefreshTokens"));
    assert_eq!(early.text().await.unwrap(), bodies::TOO_EARLY.body);

    s.clock.advance(Duration::from_secs(570));
    s.pair(&second.refresh_token).await;

    let outcomes = [events.recv().await.unwrap(), events.recv().await.unwrap(), events.recv().await.unwrap()].map(|it| it.outcome);
    assert_eq!(outcomes, [Outcome::Granted, Outcome::TooEarly, Outcome::Granted]);
    assert_eq!(s.exact.violations(), []);
}

#[tokio::test]
async fn a_code_is_exchanged_and_me_asked_over_the_wire() {
    let s = served().await;
    let user = User::first();
    let code = s.exact.authorize(&user.id, REDIRECT_URI);
    let body = TokenRequest::code(&Config::default(), &code, REDIRECT_URI).body;
    let request = s.client.post(format!("{}/api/oauth2/token/", s.exact.base_url()));
    let response = request.header("Content-Type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
    let first: Value = response.json().await.unwrap();

    let me = s.client.get(format!("{}/api/v1/current/Me?$select=CurrentDivision", s.exact.base_url()));
    let me = me.bearer_auth(first["access_token"].as_str().unwrap()).header("Accept", "application/json");
    let me: Value = me.send().await.unwrap().json().await.unwrap();
    assert_eq!(me["d"]["results"][0]["CurrentDivision"], user.division);
    assert_eq!(s.exact.violations(), []);
}

#[tokio::test]
async fn every_fixed_reply_arrives_byte_for_byte() {
    let s = served().await;
    let token = s.exact.issue_chain();
    for canned in bodies::ALL {
        s.exact.script(Fault::instead(*canned));
        let response = s.refresh(&token).send().await.unwrap();
        assert_eq!(response.status(), canned.status, "{}", canned.name);
        for (name, value) in canned.headers {
            assert_eq!(response.headers()[*name], *value, "{}", canned.name);
        }
        assert_eq!(response.text().await.unwrap(), canned.body, "{}", canned.name);
    }
    s.exact.script(Fault::instead(bodies::oversized()));
    assert!(s.refresh(&token).send().await.unwrap().bytes().await.unwrap().len() > 1 << 20);
    s.pair(&token).await;
}

#[tokio::test]
async fn a_reset_is_a_reset_with_or_without_a_commit() {
    for (fault, kept) in [(Fault::CommitThen(Loss::Reset), false), (Fault::NoCommit(Loss::Reset), true)] {
        let s = served().await;
        let token = s.exact.issue_chain();
        s.exact.script(fault);
        let error = s.refresh(&token).send().await.unwrap_err();
        assert!(causes(&error).contains("reset"), "{}", causes(&error));
        assert_eq!(s.exact.is_chain_alive(&token), kept);
        assert_eq!(s.exact.log().len(), 1);
        assert_eq!(s.exact.faults_left(), 0);
    }
}

#[tokio::test]
async fn a_cut_reply_has_a_head_and_half_a_body() {
    for (fault, status) in [(Fault::CommitThen(Loss::Cut), 200), (Fault::NoCommit(Loss::Cut), 503)] {
        let s = served().await;
        let token = s.exact.issue_chain();
        s.exact.script(fault);
        let mut response = s.refresh(&token).send().await.unwrap();
        assert_eq!(response.status(), status);
        let announced = response.content_length().unwrap();
        let mut received = 0;
        let error = loop {
            match response.chunk().await {
                Ok(chunk) => received += chunk.expect("the body does not end well").len(),
                Err(error) => break error,
            }
        };
        assert_eq!(received as u64, announced / 2, "{}", causes(&error));
    }
}

#[tokio::test]
async fn a_late_reply_is_late_and_whole() {
    let s = served().await;
    let token = s.exact.issue_chain();
    s.exact.script(Fault::CommitThen(Loss::Late(Duration::from_mins(10))));
    let mut events = s.exact.subscribe();
    let hurried = tokio::spawn(s.refresh(&token).timeout(Duration::from_millis(500)).send());
    assert!(events.recv().await.unwrap().committed);
    assert!(!s.exact.is_chain_alive(&token), "it took effect at once");
    assert!(hurried.await.unwrap().unwrap_err().is_timeout());

    let newest = s.exact.newest_refresh_token().unwrap();
    s.clock.advance(Duration::from_mins(10));
    s.exact.script(Fault::CommitThen(Loss::Late(Duration::from_millis(20))));
    s.pair(&newest).await;
}

#[tokio::test]
async fn silence_lasts_until_the_client_or_the_server_gives_up() {
    let s = served().await;
    let token = s.exact.issue_chain();
    s.exact.always(Some(Fault::NoCommit(Loss::Never)));
    let impatient = s.refresh(&token).timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert!(impatient.is_timeout());

    let waiting = tokio::spawn(s.refresh(&token).send());
    let mut events = s.exact.subscribe();
    events.recv().await.unwrap();
    s.exact.stop().await;
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn whoever_follows_a_redirect_is_recorded() {
    for canned in [bodies::REDIRECT_302, bodies::REDIRECT_307] {
        let s = served().await;
        let token = s.exact.issue_chain();
        let follower = Served { client: reqwest::Client::builder().no_proxy().build().unwrap(), ..s };
        follower.exact.script(Fault::instead(canned));
        follower.refresh(&token).send().await.unwrap();
        let found: Vec<Violation> = follower.exact.violations().into_iter().map(|(_, it)| it).collect();
        assert_eq!(found, [Violation::UnknownPath]);
    }
}

#[tokio::test]
async fn wrong_requests_are_seen_for_what_they_are() {
    let s = served().await;
    let token = s.exact.issue_chain();
    let url = format!("{}/api/oauth2/token", s.exact.base_url());
    assert_eq!(s.client.get(&url).send().await.unwrap().status(), 400);
    let basic = s.refresh(&token).basic_auth("SIMULATED", Some("SIMULATED")).send().await.unwrap();
    assert_eq!(basic.status(), 401);
    let found: Vec<Violation> = s.exact.violations().into_iter().map(|(_, it)| it).collect();
    assert!(found.contains(&Violation::NotPost) && found.contains(&Violation::AuthorizationHeader));
    s.pair(&token).await;
}

#[tokio::test]
async fn a_stopped_server_frees_its_port_and_its_past_can_go_on() {
    let s = served().await;
    let (port, token) = (s.exact.port(), s.exact.issue_chain());
    let past = s.exact.rules().clone();
    s.exact.stop().await;
    let exact = ExactOnline::start_on(port, past, s.clock.clock()).await.unwrap();
    assert_eq!(exact.port(), port);
    let again = Served { exact, clock: s.clock, client: s.client };
    again.pair(&token).await;
}

#[tokio::test]
async fn a_login_goes_over_the_wire_and_a_silent_me_stays_silent() {
    let s = served().await;
    let (user, client) = (User::second(), Config::default().client_id);
    let url = format!(
        "{}/api/oauth2/auth?client_id={client}&redirect_uri={}&response_type=code&state=SIMULATED",
        s.exact.base_url(),
        form::encode(REDIRECT_URI)
    );
    let page = s.client.get(&url).send().await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(page.text().await.unwrap().contains(&user.full_name));
    let back = s.client.post(&url).form(&[("user", user.id.as_str()), ("decision", "allow")]).send().await.unwrap();
    assert_eq!(back.status(), 303);
    let back = form::parse(back.headers()["location"].to_str().unwrap().split_once('?').unwrap().1.as_bytes()).unwrap();
    let body = TokenRequest::code(&Config::default(), &back[0].1, REDIRECT_URI).body;
    let request = s.client.post(format!("{}/api/oauth2/token", s.exact.base_url()));
    let response = request.header("Content-Type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
    let first: Value = response.json().await.unwrap();

    s.exact.fail_me(Some(MeFault::Silent));
    let me = s.client.get(format!("{}/api/v1/current/Me", s.exact.base_url())).bearer_auth(first["access_token"].as_str().unwrap());
    let me = tokio::spawn(me.header("Accept", "application/json").send());
    while s.exact.asked_me().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(s.exact.asked_me()[0].user, Some(user.id));
    s.exact.stop().await;
    assert!(me.await.unwrap().is_err(), "no byte ever came");
}
