//! axe-core, which finds what keeps people out: missing names, weak contrasts, a wrong order of headings.

use std::path::Path;

use serde_json::Value;

use crate::browser::Browser;

/// Pinned in `tests/all.sh`.
const SCRIPT: &str = "target/tools/node_modules/axe-core/axe.min.js";

/// What axe-core finds on the page as it is: the rule, the element, what to do.
pub(crate) async fn violations(page: &Browser) -> Vec<String> {
    let script = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT));
    let script = script.unwrap_or_else(|error| panic!("{SCRIPT}: {error}: install it with `npm install --prefix target/tools axe-core@4.14.1`"));
    let run = "return axe.run(document).then(it => ({ passed: it.passes.length, found: it.violations.flatMap(rule => \
               rule.nodes.map(node => rule.id + ': ' + node.html + ': ' + node.failureSummary)) }))";
    let result = page.script(&format!("{script};\n{run}")).await;
    // An empty result may mean that it did not run.
    assert!(result["passed"].as_u64().unwrap() > 0, "axe-core looked at nothing: {result}");
    result["found"].as_array().unwrap().iter().map(|it| Value::as_str(it).unwrap().to_owned()).collect()
}

/// Asserts that there is nothing to find.
pub(crate) async fn axe(page: &Browser) {
    let found = violations(page).await;
    assert!(found.is_empty(), "{}: {found:#?}", page.url().await);
}
