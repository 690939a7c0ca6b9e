//! Made-up tokens and codes in the shape of real ones.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

/// Stands in every made-up secret, so that a search for leaks finds it and nobody takes one for real.
pub const MARKER: &str = "SIMULATED";

/// Seen on codes, access tokens and refresh tokens from 2023 on.
const STAMP: &str = "stampNL001.";

/// Characters of an access token with its stamp, as of 2025.
const ACCESS_LENGTH: usize = 945;
/// Characters of a refresh token with its stamp; live ones have 480 to 720.
const REFRESH_LENGTH: usize = 600;
/// Characters of an authorization code with its stamp; live ones have 670 to 710.
const CODE_LENGTH: usize = 700;

/// Makes tokens out of a seed and a counter, never the same twice.
#[derive(Clone)]
pub(super) struct Mint {
    state: u64,
    serial: u64,
}

impl Mint {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed, serial: 0 }
    }

    /// Opaque and encrypted at Exact's; `gAAAA` is the length of an RSA signature in base64url.
    pub(super) fn access_token(&mut self) -> String {
        self.fill(format!("{STAMP}gAAAA"), "access", ACCESS_LENGTH)
    }

    /// A key handle of four characters, `!`, and a payload that begins with the length of an HMAC.
    pub(super) fn refresh_token(&mut self) -> String {
        let handle = self.handle();
        self.fill(format!("{STAMP}{handle}!IAAAA"), "refresh", REFRESH_LENGTH)
    }

    /// As it is after decoding: in a redirect URL its `!` stands as `%21`.
    pub(super) fn code(&mut self) -> String {
        let handle = self.handle();
        self.fill(format!("{STAMP}{handle}!IAAAA"), "code", CODE_LENGTH)
    }

    fn handle(&mut self) -> String {
        let draw = self.draw();
        (0..4).map(|place| char::from(b'a' + ((draw >> (8 * place)) % 26) as u8)).collect()
    }

    fn fill(&mut self, mut token: String, kind: &str, length: usize) -> String {
        const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.serial += 1;
        // Writing to a string cannot fail.
        let _ = write!(token, "{MARKER}-{kind}-{:06}-", self.serial);
        token.reserve(length - token.len());
        while token.len() < length {
            let mut draw = self.draw();
            for _ in 0..(length - token.len()).min(10) {
                token.push(char::from(BASE64URL[(draw % 64) as usize]));
                draw /= 64;
            }
        }
        token
    }

    /// Splitmix64: no quality is asked of it but that it repeats.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The first 8 bytes of a token's SHA-256: enough to tell tokens apart, of no use to anybody else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of a token or a code.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let digest = Sha256::digest(token.as_bytes());
        Self(digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
