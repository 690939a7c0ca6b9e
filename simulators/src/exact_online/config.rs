//! The switches: where sources contradict one another, or where a test wants a shorter day.

use std::time::Duration;

/// How this Exact Online behaves. [`Default`] is what a live one most likely does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The registered app's identifier, a GUID. `{…}` around it is accepted, and any letter case.
    pub client_id: String,
    /// The registered app's secret. Live ones are about 12 letters and digits.
    pub client_secret: String,
    /// The people who can authorize the app. The first one owns what [`Rules::issue_chain`](super::Rules::issue_chain) makes.
    pub users: Vec<User>,
    /// The redirect URIs that the app is registered with, compared letter by letter. None: whatever is asked for is right.
    pub redirect_uris: Vec<String>,
    /// Life of an access token from its issue, independent of its use. Live: 600 s; a demo may take 60 s.
    pub access_token_lifetime: Duration,
    /// A refresh is too early until this much of the access token's life is left. Live: 30 s, so 570 s after the grant
    /// (websmurf/laravel-exact-online#31).
    pub gate_margin: Duration,
    /// Whether the too-early rule comes before or after the look at the token.
    pub gate: Gate,
    /// What a request that is too early gets.
    pub too_early: TooEarly,
    /// Whether a code exchange is refused as well within the gate of the same user's last grant. Nobody has reported it.
    pub gate_covers_codes: bool,
    /// Requests with one token that arrive within this time of one another are both answered with a pair, whatever gate and grace say; the first
    /// pair's refresh token is dead from then on. Zero: they are not.
    pub both_answered: Duration,
    /// How long a refresh token works after it was used.
    pub grace: Grace,
    /// What a refresh token gets that was rotated away.
    pub old_token: OldToken,
    /// Life of a refresh token from its issue. Live: 30 days since July 2021.
    pub refresh_token_lifetime: Duration,
    /// Whether earlier access tokens of a chain die when a newer one is granted. Assumed not, until their own end.
    pub rotation_ends_access_tokens: bool,
    /// Life of an authorization code. Live: 180 s.
    pub code_lifetime: Duration,
    /// How `expires_in` is written.
    pub expires_in: ExpiresIn,
    /// How `token_type` is written. On the wire `bearer`, in the documentation `Bearer`.
    pub token_type: &'static str,
    /// The body under a data API's 401.
    pub dead_token: DeadToken,
    /// Where the filler of made-up tokens begins. Equal seeds and equal requests give equal tokens.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            client_id: "3b7c1f52-90ad-4c26-8e4b-6d1f0a2c7e95".to_owned(),
            client_secret: "SIMULATEDs3c".to_owned(),
            users: vec![User::first(), User::second(), User::colleague()],
            redirect_uris: Vec::new(),
            access_token_lifetime: Duration::from_mins(10),
            gate_margin: Duration::from_secs(30),
            gate: Gate::BeforeTokenCheck,
            too_early: TooEarly::AccessDenied400,
            gate_covers_codes: false,
            both_answered: Duration::ZERO,
            grace: Grace::None,
            old_token: OldToken::OldRefreshTokenUsed,
            refresh_token_lifetime: Duration::from_hours(30 * 24),
            rotation_ends_access_tokens: false,
            code_lifetime: Duration::from_mins(3),
            expires_in: ExpiresIn::Text,
            token_type: "bearer",
            dead_token: DeadToken::Empty,
            seed: 1,
        }
    }
}

impl Config {
    /// Time from a grant to the first moment at which the next one is not too early. Live: 570 s.
    #[must_use]
    pub fn gate_length(&self) -> Duration {
        self.access_token_lifetime.saturating_sub(self.gate_margin)
    }
}

/// A person at Exact Online, and the company that their data API calls begin in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `UserID`, a GUID.
    pub id: String,
    /// `UserName`, what they log in with.
    pub user_name: String,
    /// `FullName`.
    pub full_name: String,
    /// `CurrentDivision`: the number of the company.
    pub division: u32,
    /// `DivisionCustomer`: the company as a customer of Exact's, a GUID.
    pub customer: String,
    /// `DivisionCustomerCode`, without the blanks that fill it up.
    pub customer_code: String,
    /// The company's name.
    pub company: String,
}

impl User {
    /// The first made-up user.
    #[must_use]
    pub fn first() -> Self {
        Self {
            id: "8d2e4a10-5b7f-4f3c-9a61-0c9be1d7f243".to_owned(),
            user_name: "one@example.test".to_owned(),
            full_name: "User One".to_owned(),
            division: 1_402_771,
            customer: "f0c7a9d3-6b18-4e25-8a40-92d1e35b7c06".to_owned(),
            customer_code: "4071825".to_owned(),
            company: "Company One B.V.".to_owned(),
        }
    }

    /// The second made-up user, of another company.
    #[must_use]
    pub fn second() -> Self {
        Self {
            id: "c15f9b7e-2d04-4e88-b3a9-7f60d2ae5c18".to_owned(),
            user_name: "two@example.test".to_owned(),
            full_name: "User Two".to_owned(),
            division: 2_098_345,
            customer: "21e8b6f4-d093-4c7a-b52e-08f3c9a1d674".to_owned(),
            customer_code: "5120366".to_owned(),
            company: "Company Two N.V.".to_owned(),
        }
    }

    /// The third made-up user, of the first one's company.
    #[must_use]
    pub fn colleague() -> Self {
        Self {
            id: "5a93d0e8-17c4-4b6f-a2d8-e6410f7b9c35".to_owned(),
            user_name: "three@example.test".to_owned(),
            full_name: "User Three".to_owned(),
            ..Self::first()
        }
    }
}

/// Where the too-early rule stands. Too-early and chain checks seem to be made by the gateway, the others behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// A token that is old or expired is told "too early" first.
    BeforeTokenCheck,
    /// Only a token that would be granted is told "too early".
    AfterTokenCheck,
    /// No such rule; support can exempt an app (picqer/exact-php-client#523).
    Off,
}

/// The forms in which "too early" was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooEarly {
    /// As seen on the wire (websmurf/laravel-exact-online#31).
    AccessDenied400,
    /// As documented.
    AccessDenied401,
    /// As in one integration's test fixture.
    InvalidRequest400,
}

/// How long the previous refresh token still works. The official text says not at all; users report all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// Not at all (the official text; exactonline/exactonline-api-dotnet-client#152).
    None,
    /// For so many seconds after it was first used; 600 is what was reported (Invantive forum, topics 1419 and 2903).
    Seconds(u32),
    /// Until its successor is used (Invantive forum, topic 1419).
    UntilNewUsed,
}

/// The two answers to a refresh token that was rotated away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldToken {
    /// 401 `unauthorized_client` (picqer/exact-php-client#300, #549, #640).
    OldRefreshTokenUsed,
    /// 400 `invalid_grant` about the chainId (picqer/exact-php-client#471, #573).
    ChainId,
}

/// How a grant writes `expires_in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiresIn {
    /// `"600"`, as Exact does.
    Text,
    /// `600`, as RFC 6749 has it.
    Number,
}

/// What stands under the 401 of a data API call with a dead token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadToken {
    /// Nothing (picqer/exact-php-client#428).
    Empty,
    /// The page of a redirect to the login (picqer/exact-php-client#343).
    Html,
}
