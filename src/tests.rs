//! Defects that the fuzzer has to find. `fuzz/run.sh` searches these first, and fails where one is not found.

mod fuzz {
    use std::time::Duration;

    use fuzzing::Target;

    #[derive(serde::Deserialize)]
    struct Document {
        v: u8,
    }

    /// As they are made: a length that is believed.
    #[test]
    fn planted_panic() {
        Target::new("planted-panic").run(|input| {
            let text = String::from_utf8_lossy(input);
            let at = text.find("\"v\":").map_or(0, |at| at + 4);
            let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
            assert!(at == 0 || digits < 5, "a planted number of {digits} digits");
            String::new()
        });
    }

    #[test]
    fn planted_leak() {
        Target::new("planted-leak").run(|input| match serde_json::from_slice::<Document>(input) {
            Ok(Document { v }) => v.to_string(),
            // serde's own words quote what it found.
            Err(error) => error.to_string(),
        });
    }

    /// Three steps, each a choice of one byte in 256: found only by who sees how far each try came.
    #[test]
    fn planted_maze() {
        Target::new("planted-maze").run(|input| {
            if input.first() == Some(&0x17) {
                if input.get(1) == Some(&0xc8) {
                    assert!(input.get(2) != Some(&0x05), "the end of the planted maze");
                    return "2".to_owned();
                }
                return "1".to_owned();
            }
            String::new()
        });
    }

    #[test]
    fn planted_hang() {
        Target::new("planted-hang").patience(Duration::from_secs(2)).run(|input| {
            while input.contains(&b'!') {
                std::hint::spin_loop();
            }
            String::new()
        });
    }
}
