//! Refusals of vault and storage, for the fuzzer: the status, headers, an empty line, the body.

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{RawResponse, StatusCode};
use fuzzing::Target;

use super::super::problem::{Operation, Problem};
use crate::azure::storage_error::StorageError;
use crate::ports::VaultError;

/// As the crates make one of an answer.
fn error(status: u16, headers: Headers, body: &[u8]) -> Error {
    let code = headers.iter().find(|(name, _)| name.as_str() == "x-ms-error-code").map(|(_, value)| value.as_str().to_owned());
    let raw_response = Some(Box::new(RawResponse::from_bytes(StatusCode::from(status), headers, body.to_vec())));
    let kind = ErrorKind::HttpResponse { status: StatusCode::from(status), error_code: code, raw_response };
    Error::with_message(kind, String::from_utf8_lossy(body).into_owned())
}

#[test]
fn azure_error() {
    let words = [
        "error",
        "innererror",
        "code",
        "message",
        "ForbiddenByRbac",
        "SecretNotFound",
        "ObjectIsDeletedButRecoverable",
        "BlobNotFound",
        "AuthorizationPermissionMismatch",
        "x-ms-error-code: ",
        "retry-after: ",
        "www-authenticate: Bearer error=\"invalid_token\"",
        "403",
        "404",
        "401",
        "429",
        "503",
        "\n\n",
        "18446744073709551615",
    ];
    Target::new("azure-error").words(&words).run(|input| {
        let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
        let (head, body) = (String::from_utf8_lossy(&input[..end]).into_owned(), input.get(end + 2..).unwrap_or_default());
        let status = head.lines().next().and_then(|line| line.parse().ok()).unwrap_or(400);
        let made = || {
            let mut headers = Headers::new();
            for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(':')) {
                // Others do not get through the HTTP client.
                if let Ok(name) = reqwest::header::HeaderName::from_bytes(name.trim().as_bytes()) {
                    headers.insert(name.as_str().to_owned(), value.trim().to_owned());
                }
            }
            error(status, headers, body)
        };
        let problem = Problem::of(&made());
        let mut said = format!("{problem:?}");
        for operation in [Operation::Set, Operation::Get, Operation::List, Operation::Update] {
            let (reading, writing) = (problem.clone().reading(operation, None), problem.clone().writing(operation, None));
            // What may have been written is never called "not written".
            assert!(!(500..600).contains(&status) || matches!(writing, VaultError::Unclear));
            said.extend([reading, writing].map(|problem| format!(" {problem} {problem:?}")));
        }
        let storage = StorageError::from(made());
        assert!(!((500..600).contains(&status) || status == 408) || !storage.spared());
        format!("{said} {storage} {storage:?}")
    });
}
