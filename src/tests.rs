//! That the loop of `fuzz/` finds what is planted, in code that is counted as the product's is.

mod fuzz {
    use fuzzing::{MARKER, Seen, Target};

    const SEED: &str = r#"{"v":1,"token":"MADEUPcanary-x"}"#;

    #[derive(serde::Deserialize)]
    struct Document {
        v: u8,
    }

    fn why(target: Target, execute: impl Fn(&[u8]) -> Seen) -> Option<String> {
        target.search(None, &execute).err().map(|found| format!("{} {}", found.why, found.input.escape_ascii()))
    }

    #[test]
    fn a_planted_panic_is_found_and_made_small() {
        let found = why(Target::new("planted").only(100_000, &[SEED]), |input| {
            // A defect as they are made: a length that is believed.
            let text = String::from_utf8_lossy(input);
            let at = text.find("\"v\":").map_or(0, |at| at + 4);
            let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
            assert!(at == 0 || digits < 5, "a number of {digits} digits");
            Seen::default()
        });
        let found = found.expect("it was planted");
        assert!(found.starts_with("it panicked: a number of ") && found.len() < 80, "{found}");
    }

    #[test]
    fn a_planted_leak_is_found() {
        let found = why(Target::new("planted").only(100_000, &[SEED]), |input| match serde_json::from_slice::<Document>(input) {
            Ok(Document { v }) => Seen::new("read", v.to_string()),
            // serde's own words quote what it found.
            Err(error) => Seen::new("none", error.to_string()),
        });
        let found = found.expect("it was planted");
        assert!(found.contains(MARKER) && found.starts_with("it printed"), "{found}");
    }

    /// Three steps, each a choice of one byte in 256: found only by who sees how far each try came.
    #[test]
    fn a_defect_behind_a_maze_is_found_where_branches_are_counted() {
        let most = if fuzzing::is_guided() { 2_000_000 } else { 20_000 };
        let found = why(Target::new("planted").only(most, &["start"]), |input| {
            if input.first() == Some(&0x17) {
                if input.get(1) == Some(&0xc8) {
                    assert!(input.get(2) != Some(&0x05), "the end of the maze");
                    return Seen::new("", "2");
                }
                return Seen::new("", "1");
            }
            Seen::default()
        });
        assert_eq!(found.is_some(), fuzzing::is_guided(), "{found:?}");
    }
}
