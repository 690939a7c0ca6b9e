//! What was asked and what came of it. No value and no token in it.

use jiff::Timestamp;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When it arrived.
    pub at: Timestamp,
    /// What it asked for.
    pub operation: Operation,
    /// The version that it named.
    pub version: Option<String>,
    /// Whether it came with a bearer token.
    pub authorized: bool,
    /// The status code of the reply, even if it never arrives.
    pub status: u16,
    /// Whether something was changed by the time that the reply was made.
    pub effect: bool,
    /// The number of the connection that it came on, from 0.
    pub connection: u64,
}

/// What requests ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `PUT /secrets/{name}`.
    Set,
    /// `GET /secrets/{name}/{version}`.
    Get,
    /// `GET /secrets/{name}/`, whose answer is whatever landed last.
    GetLatest,
    /// `GET /secrets/{name}/versions`.
    ListVersions,
    /// `PATCH /secrets/{name}/{version}`.
    Update,
    /// `DELETE /secrets/{name}`.
    Delete,
    /// `GET /deletedsecrets/{name}`.
    GetDeleted,
    /// `POST /deletedsecrets/{name}/recover`.
    Recover,
    /// Anything else.
    Other,
}

impl Operation {
    /// The RBAC data action that it needs (Microsoft Learn, "Azure permissions for Security", `Microsoft.KeyVault/vaults/secrets/…`).
    #[must_use]
    pub fn action(self) -> Action {
        match self {
            Self::Set => Action::Set,
            Self::Get | Self::GetLatest => Action::Get,
            Self::ListVersions | Self::GetDeleted | Self::Other => Action::ReadMetadata,
            Self::Update => Action::Update,
            Self::Delete => Action::Delete,
            Self::Recover => Action::Recover,
        }
    }
}

/// RBAC data actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// `setSecret/action`.
    Set,
    /// `getSecret/action`.
    Get,
    /// `readMetadata/action`.
    ReadMetadata,
    /// `update/action`.
    Update,
    /// `delete`.
    Delete,
    /// `recover/action`.
    Recover,
}

impl Action {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Set => "setSecret/action",
            Self::Get => "getSecret/action",
            Self::ReadMetadata => "readMetadata/action",
            Self::Update => "update/action",
            Self::Delete => "delete",
            Self::Recover => "recover/action",
        }
    }
}

/// What a careful client never sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A body without a token: a secret for whoever answered, before the challenge was checked.
    BodyBeforeChallenge,
    /// No `api-version`, or one that is not served.
    ApiVersion,
    /// A path that does not exist.
    UnknownPath,
    /// A body that is not the JSON which the operation takes.
    Body,
    /// More than the service takes: value, content type, tags.
    TooLarge,
    /// A page size out of range.
    PageSize,
}
