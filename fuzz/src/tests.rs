//! That a corpus is tried, and what fails is told.

use super::*;

/// What comes of a corpus with these inputs.
fn replayed(inputs: &[&str], execute: impl Fn(&[u8]) -> String) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    for (at, input) in inputs.iter().enumerate() {
        fs::write(folder.path().join(at.to_string()), input).unwrap();
    }
    panic::catch_unwind(AssertUnwindSafe(|| replay(folder.path(), &execute))).map_err(|panic| *panic.downcast::<String>().unwrap())
}

#[test]
fn a_corpus_that_is_well_passes() {
    assert_eq!(replayed(&["one", "two"], |input| String::from_utf8_lossy(input).into_owned()), Ok(()));
}

#[test]
fn a_panic_in_any_file_fails_and_is_told() {
    let why = replayed(&["one", "two"], |input| {
        assert_ne!(input, b"two", "planted");
        String::new()
    });
    assert!(why.as_ref().is_err_and(|why| why.contains("/1: it panicked: ") && why.contains("planted")), "{why:?}");
}

#[test]
fn a_leak_fails_whatever_the_letter_case() {
    let why = replayed(&["one"], |_| "so: madeupCANARY".to_owned());
    assert!(why.as_ref().is_err_and(|why| why.contains("/0: it printed what stands for a secret: so: ")), "{why:?}");
}

#[test]
fn an_empty_corpus_fails() {
    let why = replayed(&[], |_| String::new());
    assert!(why.as_ref().is_err_and(|why| why.starts_with("there is nothing in ")), "{why:?}");
}

#[test]
fn a_dictionary_holds_bytes() {
    assert_eq!(dictionary(&["a\"\n", "\u{e9}"]), "\"\\x61\\x22\\x0a\"\n\"\\xc3\\xa9\"\n");
}
