//! How a consent ended.

use expect_test::expect;

use super::*;

fn every_problem() -> Vec<(Problem, u16, &'static str)> {
    let text = || "made-up reason".to_owned();
    vec![
        (Problem::Forged, 400, "info "),
        (Problem::OtherBrowser, 400, "info "),
        (Problem::Expired, 400, "info "),
        (Problem::Used, 400, "info "),
        (Problem::NoCode, 400, "info "),
        (Problem::Denied, 400, "info "),
        (Problem::EndedByExact, 400, "info "),
        (Problem::CodeRefused, 400, "info "),
        (Problem::Overtaken, 409, "info "),
        (Problem::NothingToConfirm, 409, "info "),
        (Problem::TooEarly, 503, "warn "),
        (Problem::Unreachable, 503, "warn "),
        (Problem::Unclear, 503, "warn "),
        (Problem::Budget { until: now() }, 503, "warn "),
        (Problem::Busy, 503, "warn "),
        (Problem::Store(text()), 503, "warn "),
        (Problem::NotThisApp, 500, "error "),
        (Problem::App, 500, "error "),
        (Problem::NotSaved(text()), 500, "error "),
        (Problem::Settings(text()), 500, "error "),
    ]
}

#[tokio::test]
async fn whose_permissions_the_tokens_carry() {
    for (person, replaced, said) in [
        (Some(person("Made Up")), false, ["<bdi>Made Up</bdi>", "division 123456", "first connection"]),
        (Some(person(" ")), true, ["<strong>not told</strong>", "made.up@exact.example", "took the place"]),
        (None, true, ["did not say whose", "lacks the right", "took the place"]),
    ] {
        let connected = Finished::Connected(Connected { person: person.map(Box::new), epoch: 7, replaced, meanwhile: false });
        let got = ask(consent(Ok(connected)), "GET", "/api/ConsentCallback?code=canary&state=canary").await;
        assert!(got.html.contains("<h1>Connected to Exact Online</h1>"));
        assert!(said.iter().all(|said| got.html.contains(said)), "{said:?} {}", got.html);
        let [(_, line)] = &got.lines[..] else { panic!("{:?}", got.lines) };
        assert!(line.starts_with("info ") && line.contains("epoch 7") && line.ends_with("function=ConsentCallback"), "{line}");
        assert!(!line.contains("Made Up") && !line.contains('@'), "{line}");
    }
}

#[tokio::test]
async fn the_whole_page_that_asks_whether_another_user_is_meant() {
    let confirm = Finished::Confirm {
        stored: Some(Box::new(person("Made Up"))),
        new: Some(Box::new(Person { division: 654_321, company: "Other B.V.".to_owned(), ..person("Other One") })),
        confirm: Secret::new("made.up-confirm"),
    };
    let got = ask(consent(Ok(confirm)), "GET", "/api/ConsentCallback?code=canary&state=canary").await;
    assert_eq!(got.status, 200);
    assert!(matches!(&got.lines[..], [(_, line)] if line.starts_with("info ") && !line.contains("made.up-confirm")), "{:?}", got.lines);
    check(
        &got.html,
        &expect![[r#"
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Connect as another user than before? | exact-token-broker</title>
            </head>
            <body>
            <header>exact-token-broker</header>
            <main>
            <h1>Connect as another user than before?</h1>
            <p>Somebody else logged in than before. Nothing was changed: the new tokens are stored and not used yet.</p>
            <table>
            <thead>
            <tr>
            <th scope="col">Detail</th>
            <th scope="col">Connected now</th>
            <th scope="col">Just logged in</th>
            </tr>
            </thead>
            <tbody>
            <tr>
            <th scope="row">Company</th>
            <td>
            <bdi>Made-up Trading B.V.</bdi>
            </td>
            <td>
            <bdi>Other B.V.</bdi>
            </td>
            </tr>
            <tr>
            <th scope="row">User</th>
            <td>
            <bdi>Made Up</bdi>
            </td>
            <td>
            <bdi>Other One</bdi>
            </td>
            </tr>
            <tr>
            <th scope="row">Log-in</th>
            <td>
            <bdi>made.up@exact.example</bdi>
            </td>
            <td>
            <bdi>made.up@exact.example</bdi>
            </td>
            </tr>
            <tr>
            <th scope="row">Division</th>
            <td>123456</td>
            <td>654321</td>
            </tr>
            </tbody>
            </table>
            <p>What is loaded from then on is what the new user may see. These buttons are good for 10 minutes in this browser; later the page Consent asks the same.</p>
            <form method="get">
            <input type="hidden" name="confirm" value="made.up-confirm">
            <button>Connect as this user</button>
            </form>
            <form method="get">
            <input type="hidden" name="discard" value="made.up-confirm">
            <button>Leave it as it was</button>
            </form>
            </main>
            <footer>Build. All times are UTC.</footer>
            </body>
            </html>"#]],
    );

    let nobody = Finished::Confirm { stored: Some(Box::new(person("Made Up"))), new: None, confirm: Secret::new("made.up-confirm") };
    let got = ask(consent(Ok(nobody)), "GET", "/api/ConsentCallback?confirm=canary").await;
    assert_eq!(got.html.matches("<td>not told</td>").count(), 4, "{}", got.html);
}

#[tokio::test]
async fn each_problem_is_a_page_with_its_remedy_its_status_and_one_line() {
    for (problem, status, level) in every_problem() {
        for again in [None, Some("made.up-again")] {
            let got = ask(failed(problem.clone(), again), "GET", "/api/ConsentCallback?code=canary&state=canary").await;
            assert_eq!(got.status, status, "{problem:?}");
            let said = html! { p { (sentence(&problem.to_string())) } }.into_string();
            let remedy = html! { p { (problem.remedy()) } }.into_string();
            assert!(got.html.contains(&said) && got.html.contains(&remedy), "{}", got.html);
            let button = r#"<form method="get"><input type="hidden" name="again" value="made.up-again"><button>Try again</button></form>"#;
            assert_eq!((got.html.contains(button), got.html.contains("<form")), (again.is_some(), again.is_some()), "{}", got.html);
            let [(_, line)] = &got.lines[..] else { panic!("{:?}", got.lines) };
            assert!(line.starts_with(level) && line.contains(&problem.to_string().replace("warn", "w-arn")), "{line}");
            assert!(!line.contains("made.up-again"), "{line}");
        }
        // Where the button itself brought nothing, it is there again.
        let got = ask(failed(problem.clone(), None), "POST", "/api/Consent?code=canary").await;
        assert_eq!((got.status, got.lines.len()), (status, 1));
        assert!(got.html.contains(r#"<form method="post"><button>Try again</button></form>"#), "{}", got.html);
        assert!(got.headers.get("set-cookie").is_none());
    }
    let got = ask(failed(Problem::Budget { until: now() }, None), "POST", "/api/Consent").await;
    assert!(got.html.contains("the next may be sent at 2026-11-23T17:20:00Z"), "{}", got.html);
}
