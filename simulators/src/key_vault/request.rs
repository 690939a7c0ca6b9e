//! A request as plain data, and what it asks for.

use std::fmt;

use super::log::Operation;

/// A request to the vault.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// The host that it was sent to.
    pub host: String,
    /// As it came.
    pub path: String,
    /// Decoded.
    pub query: Vec<(String, String)>,
    /// The bearer token.
    pub bearer: Option<String>,
    /// As it came.
    pub body: Vec<u8>,
    /// The number of its connection.
    pub connection: u64,
}

/// Says nothing of token and body.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

impl Request {
    /// The value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// What it asks for, of which secret, and of which version of it.
    #[must_use]
    pub fn asks(&self) -> (Operation, String, Option<String>) {
        let segments: Vec<&str> = self.path.split('/').skip(1).collect();
        let (operation, name, version) = match (self.method.as_str(), segments.as_slice()) {
            ("GET", ["secrets", name, "versions"]) => (Operation::ListVersions, *name, None),
            ("GET", ["secrets", name] | ["secrets", name, ""]) => (Operation::GetLatest, *name, None),
            ("GET", ["secrets", name, version]) => (Operation::Get, *name, Some(*version)),
            ("PUT", ["secrets", name]) => (Operation::Set, *name, None),
            ("PATCH", ["secrets", name, ""]) => (Operation::Update, *name, None),
            ("PATCH", ["secrets", name, version]) => (Operation::Update, *name, Some(*version)),
            ("DELETE", ["secrets", name]) => (Operation::Delete, *name, None),
            ("GET", ["deletedsecrets", name]) => (Operation::GetDeleted, *name, None),
            ("POST", ["deletedsecrets", name, "recover"]) => (Operation::Recover, *name, None),
            _ => (Operation::Other, "", None),
        };
        (operation, name.to_owned(), version.map(str::to_owned))
    }
}
