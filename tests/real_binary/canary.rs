//! Invariant I5: no secret in anything that the program lets out, but for the token that it hands to its caller. Every kind of thing that happens
//! is made to happen here, with recognisable secrets everywhere and every log line switched on.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use simulators::exact_online::{Config, Fault, Loss, MARKER, OddGrant, Reply, bodies};
use simulators::functions_host::{Framing, FunctionsHost, HostOptions, Keys, TimerSample};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::leaks::{Evidence, pieces};
use super::stage::{Answer, Stage, get_with};

const CLIENT_SECRET: &str = "SIMULATED-client-secret/+\"&=%zz";
const FUNCTION_KEY: &str = "SIMULATED-function-key/+==";
/// In query, headers, bodies, settings: what a caller or a person might send.
const FOREIGN: &str = "SIMULATED-foreign-secret-that-somebody-sent";

/// What is made to happen.
#[derive(Clone, Debug)]
enum Scene {
    AllGoesWell,
    Reply(Fault),
    KilledInTheMiddle,
    Interrupted,
    DamagedStore,
    StoreNotWritable,
    WrongSettings,
    WrongImports,
    ForeignRequests,
}

fn scenes() -> Vec<Scene> {
    use Scene::{AllGoesWell, DamagedStore, ForeignRequests, Interrupted, KilledInTheMiddle, StoreNotWritable, WrongImports, WrongSettings};
    let json = ("Content-Type", "application/json");
    let echo = format!(r#"{{"error":"{FOREIGN}","error_description":"{FOREIGN}","refresh_token":7,"trace":"{FOREIGN}"}}"#);
    let mut scenes = vec![AllGoesWell, KilledInTheMiddle, Interrupted, DamagedStore, StoreNotWritable, WrongSettings, WrongImports, ForeignRequests];
    scenes.extend(
        [
            Fault::Odd(OddGrant::LacksAccessToken),
            Fault::Odd(OddGrant::LacksRefreshToken),
            Fault::Odd(OddGrant::ErrorWithRefreshToken),
            Fault::Odd(OddGrant::UnchangedRefreshToken),
            Fault::CommitThen(Loss::Cut),
            Fault::CommitThen(Loss::Reset),
            Fault::instead(Reply::new(400, &[json, ("Reason", FOREIGN)], echo.clone())),
            Fault::commit_then(Reply::new(200, &[json], echo.clone())),
            Fault::instead(Reply::new(502, &[("Location", FOREIGN), ("Retry-After", FOREIGN)], echo)),
            Fault::instead(Reply::new(302, &[("Location", &format!("http://127.0.0.1:9/?{FOREIGN}"))], FOREIGN)),
            Fault::instead(bodies::OLD_REFRESH_TOKEN),
            Fault::instead(bodies::INVALID_CLIENT),
            Fault::throttled(60),
        ]
        .map(Scene::Reply),
    );
    scenes
}

#[tokio::test]
async fn i5_no_secret_leaves_the_program() {
    let turns = Arc::new(Semaphore::new(3));
    let mut tests = JoinSet::new();
    for scene in scenes() {
        let turns = Arc::clone(&turns);
        tests.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            searched(scene).await;
        });
    }
    tests.join_all().await;
}

async fn searched(scene: Scene) {
    let mut stage = Stage::with(Config { client_secret: CLIENT_SECRET.to_owned(), ..Config::default() }).await;
    stage.set("RUST_LOG", "trace");
    stage.set("RUST_BACKTRACE", "1");
    stage.import().await;
    let mut evidence = Evidence::default();
    let host = act(&mut stage, &scene, &mut evidence).await;
    for arguments in [&["status"][..], &["status", "--json"], &["doctor"], &["doctor", "--json"]] {
        let ran = stage.run(arguments).await;
        evidence.add(&arguments.join(" "), &format!("{}{}", ran.stdout, ran.stderr));
    }
    let lock = fs::read(format!("{}.lock", stage.token_file().display())).unwrap_or_default();
    evidence.add("lock file", &String::from_utf8_lossy(&lock));

    let mut secrets = [CLIENT_SECRET, FUNCTION_KEY, FOREIGN].map(str::to_owned).to_vec();
    if let Some(pair) = stage.exact.rules().newest_pair() {
        secrets.extend([pair.access_token.clone(), pair.refresh_token.clone()]);
    }
    let mut pieces = pieces(&secrets);
    pieces.push(MARKER.to_owned());

    // First, that a secret would be found where it is looked for. That the host's search finds them is tested in `leaks`.
    evidence.assert_searchable(&pieces);
    if stage.token_file().is_file() {
        let mut store = Evidence::default();
        store.add("token file", &String::from_utf8_lossy(&fs::read(stage.token_file()).unwrap()));
        assert_eq!(store.find(&pieces), ["token file"], "{scene:?}");
    }

    assert_eq!(evidence.find(&pieces), Vec::<&str>::new(), "{scene:?}: of {:?}", evidence.channels());
    assert!(host.console().len() > 1, "{scene:?}: it has said something");
    let places: Vec<_> = host.search(&pieces).into_iter().map(|place| (place.channel, place.index)).collect();
    assert!(places.is_empty(), "{scene:?}: {places:?}");
}

async fn act(stage: &mut Stage, scene: &Scene, evidence: &mut Evidence) -> FunctionsHost {
    match scene {
        Scene::AllGoesWell => {}
        Scene::Reply(fault) => stage.exact.script(fault.clone()),
        Scene::KilledInTheMiddle => stage.exact.script(Fault::CommitThen(Loss::Never)),
        Scene::Interrupted => stage.exact.script(Fault::CommitThen(Loss::Late(Duration::from_secs(1)))),
        Scene::DamagedStore => {
            let sound = fs::read_to_string(stage.token_file()).unwrap();
            fs::write(stage.token_file(), sound.replacen("\"refresh_token\"", &format!("\"{FOREIGN}\""), 1)).unwrap();
        }
        Scene::StoreNotWritable => fs::create_dir(PathBuf::from(format!("{}.new", stage.token_file().display()))).unwrap(),
        Scene::WrongSettings => {
            for name in ["EXACT_REGION", "EXACT_BASE_URL", "REFRESH_POLICY", "RUST_LOG", "EXACT_CLIENT_ID", "EXACT_REDIRECT_URI", "KEY_VAULT_URL"] {
                stage.set(name, FOREIGN);
            }
            stage.set("EXACT_CLIENT_SECRET", &format!("@Microsoft.KeyVault({FOREIGN}"));
            let broken = format!("{{\"Values\":{{\"EXACT_CLIENT_SECRET\":\"{FOREIGN}\",}}}}");
            fs::write(stage.folder().join("local.settings.json"), broken).unwrap();
        }
        Scene::WrongImports | Scene::ForeignRequests => wrong_imports(stage, evidence).await,
    }
    let host = FunctionsHost::start(options(stage)).await.unwrap();
    match scene {
        Scene::KilledInTheMiddle => {
            tokio::select! {
                answer = call(&host, 60) => panic!("{answer:?}"),
                () = stage.until_requests(1) => host.kill().await.unwrap(),
            }
            host.respawn().await.unwrap();
            host.wait_ready().await.unwrap();
        }
        Scene::Interrupted => {
            let interrupt = async {
                stage.until_requests(1).await;
                let held = fs::read_to_string(format!("{}.lock", stage.token_file().display())).unwrap();
                assert!(held.starts_with("pid "), "the lock is held meanwhile");
                evidence.add("lock file, held", &held);
                host.interrupt().unwrap();
            };
            tokio::join!(call(&host, 60), interrupt).0.token();
            host.wait_ready().await.unwrap();
        }
        Scene::ForeignRequests => foreign_requests(&host).await,
        _ => {}
    }
    for _ in 0..2 {
        let answer = call(&host, 1).await;
        let body = if answer.status == 200 { "" } else { &answer.body };
        evidence.add("front end", &format!("{:?} {body}", answer.headers));
    }
    let status = ask_status(&host).await;
    assert_eq!(status.json()["version"], 1, "{status:?}");
    evidence.add("status", &format!("{:?} {}", status.headers, status.body));
    // A tick that holds is left alone.
    if let Ok(tick) = tokio::time::timeout(Duration::from_secs(1), host.fire_timer(&TimerSample::normal())).await {
        let tick = tick.unwrap();
        evidence.add("tick", &format!("{:?} {:?} {:?} {}", tick.verdict, tick.logs, tick.headers, String::from_utf8_lossy(&tick.body)));
    }
    let ran = stage.run(&["token", "--max-wait", "1"]).await;
    evidence.add("token", &if ran.success { ran.stderr } else { format!("{}{}", ran.stdout, ran.stderr) });
    host
}

fn options(stage: &Stage) -> HostOptions {
    let mut options = stage.options();
    options.keys = Keys { function: FUNCTION_KEY.to_owned(), ..Keys::default() };
    options
}

async fn call(host: &FunctionsHost, max_wait: u32) -> Answer {
    ask_for(host, "/api/GetToken", &format!("&max_wait={max_wait}")).await
}

async fn ask_status(host: &FunctionsHost) -> Answer {
    ask_for(host, "/api/Status", "").await
}

/// With the key in the query and in a header, and other people's secrets wherever they fit.
async fn ask_for(host: &FunctionsHost, path: &str, more: &str) -> Answer {
    let key: String = form_urlencoded::byte_serialize(FUNCTION_KEY.as_bytes()).collect();
    let target = format!("{path}?code={key}&state={FOREIGN}&{FOREIGN}=1&refresh_token={FOREIGN}{more}");
    let bearer = format!("Bearer {FOREIGN}");
    let headers = [
        ("x-functions-key", FUNCTION_KEY),
        ("cookie", FOREIGN),
        ("authorization", &bearer),
        ("traceparent", FOREIGN),
        ("x-azure-functions-invocationid", FOREIGN),
        ("user-agent", FOREIGN),
        (FOREIGN, FOREIGN),
    ];
    get_with(host, &target, &headers).await
}

/// What people paste where a refresh token is asked for.
async fn wrong_imports(stage: &Stage, evidence: &mut Evidence) {
    let token = stage.exact.issue_chain();
    let pasted = [
        format!(r#"{{"access_token":"{FOREIGN}","refresh_token":"{token}"}}"#),
        format!("\"{token}\""),
        token.replace('!', "%21"),
        token.repeat(20),
        format!("{token} {FOREIGN}"),
        MARKER.to_owned(),
        token,
    ];
    for input in pasted {
        let ran = stage.run_with(&["import"], &input).await;
        assert!(!ran.success, "{}", ran.stdout);
        evidence.add("import", &format!("{}{}", ran.stdout, ran.stderr));
    }
}

/// Secrets in path, method, headers and body, for both protocols.
async fn foreign_requests(host: &FunctionsHost) {
    let timer = TimerSample::normal().body("RefreshToken", "timer");
    let bodies = [
        FOREIGN.to_owned(),
        format!("{{\"Data\":{{\"timer\":\"{FOREIGN}\"}}}}"),
        format!("{timer}{FOREIGN}"),
        timer.replacen("false", &format!("\"{FOREIGN}\""), 1),
        timer.replacen("\"Metadata\"", &format!("\"{FOREIGN}\""), 1),
    ];
    let headers = [("X-Azure-Functions-InvocationId", FOREIGN), ("traceparent", FOREIGN), ("Content-Type", FOREIGN), (FOREIGN, FOREIGN)];
    for body in bodies {
        let body = Some((body.into_bytes(), Framing::Chunked));
        let reply = host.send_raw("POST", "/RefreshToken", &headers, body).await.unwrap();
        assert_eq!(reply.status, 400);
    }
    for target in [
        format!("/{FOREIGN}"),
        format!("/api/GetToken/{FOREIGN}"),
        format!("/api/GetToken?min_validity={FOREIGN}"),
        format!("/api/Status/{FOREIGN}"),
        format!("/api/ConsentCallback?code={FOREIGN}&code={FOREIGN}"),
        format!("/api/ConsentCallback?confirm={FOREIGN}&again={FOREIGN}"),
        format!("/%{FOREIGN}"),
    ] {
        for method in ["GET", FOREIGN] {
            let reply = host.send_raw(method, &target, &headers, None).await.unwrap();
            assert!((400..500).contains(&reply.status), "{method} {target}: {}", reply.status);
        }
    }
}
