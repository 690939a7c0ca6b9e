use super::*;

const STATE: &str = "SIMULATED state+/=";

fn query(w: &World, change: impl Fn(&str, &str) -> String) -> String {
    let client_id = w.rules.config().client_id.clone();
    let parameters =
        [("client_id", client_id.as_str()), ("redirect_uri", REDIRECT_URI), ("response_type", "code"), ("state", STATE), ("force_login", "1")];
    let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", form::encode(&change(name, value)))).collect();
    pairs.join("&")
}

fn right(w: &World) -> String {
    query(w, |_, value| value.to_owned())
}

/// The same query with one value that is another.
fn with(w: &World, name: &str, value: &str) -> String {
    query(w, |it, right| if it == name { value.to_owned() } else { right.to_owned() })
}

impl World {
    fn open(&mut self, query: &str, cookie: Option<&str>) -> Reply {
        let request = AuthRequest { query: Some(query.to_owned()), cookie: cookie.map(str::to_owned), form: None };
        self.rules.auth(self.now, &request)
    }

    fn send(&mut self, query: &str, form: &str) -> Reply {
        let request = AuthRequest { query: Some(query.to_owned()), cookie: None, form: Some(form.into()) };
        self.rules.auth(self.now, &request)
    }

    fn visited(&self) -> Vec<Visited> {
        self.rules.visits().iter().map(|it| it.visited).collect()
    }
}

#[track_caller]
fn assert_shows(reply: &Reply, status: u16, text: &str) {
    let html = String::from_utf8_lossy(&reply.body);
    assert_eq!(reply.status, status, "{html}");
    assert!(html.contains(text), "{text} is not in {html}");
}

/// Name and value of each parameter that the browser brings back.
#[track_caller]
fn brought_back(reply: &Reply) -> Vec<(String, String)> {
    assert_eq!(reply.status, 303);
    let (uri, query) = reply.header("Location").unwrap().split_once('?').unwrap();
    assert_eq!(uri, REDIRECT_URI);
    form::parse(query.as_bytes()).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_person_logs_in_allows_the_app_and_brings_back_a_code() {
    let mut w = world(|_| {});
    let (query, user) = (right(&w), w.rules.config().users[2].clone());
    assert_shows(&w.open(&query, None), 200, &format!("{}, {}", user.full_name, user.company));
    let chosen = format!("user={}", user.id);
    assert_shows(&w.send(&query, &chosen), 200, "authenticator");
    for wrong in ["12345", "1234567", "12345a", ""] {
        assert_shows(&w.send(&query, &format!("{chosen}&digits={wrong}")), 200, "not a code");
    }
    let asked = w.send(&query, &format!("{chosen}&digits=123456"));
    assert_shows(&asked, 200, "Allow");
    assert!(asked.header("Set-Cookie").unwrap().contains(&format!("={}; Path=/api/oauth2; HttpOnly", user.id)));

    let back = w.send(&query, &format!("{chosen}&decision=allow"));
    assert!(back.header("Location").unwrap().contains("%21IAAAA"), "a browser hands it on as it is");
    let back = brought_back(&back);
    let (code, state) = (&back[0], &back[1]);
    assert_eq!((code.0.as_str(), state.0.as_str(), state.1.as_str()), ("code", "state", STATE));
    let pair = pair(&w.at(170).exchange(&code.1));
    let me = w.rules.me(w.now, &MeRequest::bearer(&pair.access_token, "UserID"));
    assert_eq!(json(&me)["d"]["results"][0]["UserID"], user.id);

    assert_eq!(w.visited(), [[Visited::LoginShown; 6].as_slice(), &[Visited::ConsentShown, Visited::Allowed]].concat());
    let last = w.rules.visits().last().unwrap();
    assert_eq!((last.user.as_ref(), last.state), (Some(&user.id), Some(Fingerprint::of(STATE))));
    assert_eq!(w.rules.violations(), []);
}

#[test]
fn a_person_who_denies_brings_back_an_error_and_the_state() {
    let mut w = world(|_| {});
    let (query, user) = (right(&w), w.user());
    let back = brought_back(&w.send(&query, &format!("user={user}&decision=deny")));
    assert_eq!(back, pairs(&[("error", "access_denied"), ("state", STATE)]));
    assert_eq!(w.visited(), [Visited::Denied]);
}

#[test]
fn who_is_logged_in_is_asked_for_the_permission_alone_unless_the_login_is_forced() {
    let mut w = world(|_| {});
    let (forced, user) = (right(&w), w.user());
    let cookie = format!("other=1; SimulatedExactLogin={user}");
    assert_shows(&w.open(&forced, Some(&cookie)), 200, "Next");
    let free = with(&w, "force_login", "0");
    assert_shows(&w.open(&free, Some(&cookie)), 200, "Allow");
    assert_shows(&w.open(&free, Some("SimulatedExactLogin=nobody")), 200, "Next");
    assert_shows(&w.open(&free, None), 200, "Next");
}

#[test]
fn a_redirect_uri_that_is_not_registered_is_told_so() {
    let mut w = world(|c| c.redirect_uris = vec![format!("{REDIRECT_URI}/"), "https://elsewhere.example.test/".to_owned()]);
    let query = right(&w);
    let back = brought_back(&w.open(&query, None));
    assert_eq!(back, pairs(&[("error", "unauthorized_client"), ("state", STATE)]));
    assert_eq!(w.visited(), [Visited::WrongRedirectUri]);
    w.rules.config_mut().redirect_uris.push(REDIRECT_URI.to_owned());
    assert_shows(&w.open(&query, None), 200, "Next");
}

#[test]
fn a_redirect_uri_is_https_or_of_this_machine() {
    let mut w = world(|_| {});
    for uri in ["https://a.example.test/x", "http://localhost:8080/x", "http://127.0.0.1:1/x", "http://[::1]/x"] {
        let query = with(&w, "redirect_uri", uri);
        assert_shows(&w.open(&query, None), 200, "Next");
    }
    for uri in ["http://a.example.test/x", "http://localhost.example.test/", "ftp://localhost/", "/api/ConsentCallback", ""] {
        let query = with(&w, "redirect_uri", uri);
        assert_shows(&w.open(&query, None), 401, "https");
    }
}

#[test]
fn another_countrys_client_is_not_found() {
    let mut w = world(|_| {});
    let query = with(&w, "client_id", "<xxx>");
    assert_shows(&w.open(&query, None), 400, "Client with identifier '&lt;xxx&gt;' not found.");
    let braces = with(&w, "client_id", &format!("{{{}}}", w.rules.config().client_id.to_uppercase()));
    assert_shows(&w.open(&braces, None), 200, "Next");
    assert_eq!(w.visited(), [Visited::UnknownClient, Visited::LoginShown]);
}

#[test]
fn what_a_correct_client_never_puts_into_the_url_is_recorded() {
    let mut w = world(|_| {});
    let query = format!("{}&client_secret=SIMULATED", with(&w, "state", ""));
    w.open(&query, None);
    let odd = with(&w, "response_type", "token");
    assert_eq!(brought_back(&w.open(&odd, None))[0].1, "unsupported_response_type");
    let found: Vec<Violation> = w.rules.violations().iter().map(|(_, it)| *it).collect();
    assert_eq!(found, [Violation::MissingField("state"), Violation::UnknownParameter]);
}
