//! The pages of the login. They stand for somebody else's: plain, and only as good as a test needs them.

use std::fmt::Write;

use super::super::config::User;
use super::super::reply::Reply;

/// Whom to log in as.
pub(super) fn choose(users: &[User]) -> Reply {
    let mut choices = String::new();
    for (place, user) in users.iter().enumerate() {
        let checked = if place == 0 { " checked" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            choices,
            "<p><label><input type=\"radio\" name=\"user\" value=\"{}\"{checked}> {}, {}</label></p>",
            escape(&user.id),
            escape(&user.full_name),
            escape(&user.company)
        );
    }
    page(200, "Log in", &format!("<form method=\"post\">\n{choices}<p><button>Next</button></p>\n</form>"))
}

/// The second factor: any six digits are right.
pub(super) fn digits(user: &User, wrong: bool) -> Reply {
    let complaint = if wrong { "<p role=\"alert\">That is not a code of six digits.</p>\n" } else { "" };
    let body = format!(
        "<p>{}</p>\n{complaint}<form method=\"post\">\n<input type=\"hidden\" name=\"user\" value=\"{}\">\n\
         <p><label>Code of your authenticator <input name=\"digits\" inputmode=\"numeric\" autocomplete=\"off\"></label></p>\n\
         <p><button>Log in</button></p>\n</form>",
        escape(&user.user_name),
        escape(&user.id)
    );
    page(200, "Two-step verification", &body)
}

/// May the app have it?
pub(super) fn consent(user: &User) -> Reply {
    let body = format!(
        "<p>{} of {}</p>\n<p>An app asks for permission to read and change your data.</p>\n\
         <form method=\"post\">\n<input type=\"hidden\" name=\"user\" value=\"{}\">\n\
         <p><button name=\"decision\" value=\"allow\">Allow</button> <button name=\"decision\" value=\"deny\">Deny</button></p>\n</form>",
        escape(&user.full_name),
        escape(&user.company),
        escape(&user.id)
    );
    page(200, "Permissions", &body)
}

/// The wrong country's Exact Online, or a wrong identifier (picqer/exact-php-client#617). Its status is not known.
pub(super) fn unknown_client(id: &str) -> Reply {
    page(400, "Error", &format!("<p>Client with identifier '{}' not found.</p>", escape(id)))
}

/// Neither https nor this machine: the documentation says 401.
pub(super) fn unacceptable_redirect_uri() -> Reply {
    page(401, "Error", "<p>The redirect URI must be an https address.</p>")
}

fn page(status: u16, title: &str, body: &str) -> Reply {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title} - simulated Exact Online</title></head>\n\
         <body>\n<main>\n<p>Simulated Exact Online</p>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    );
    // Nothing forbids the browser to keep it: else the back button would show no page, but ask whether to send the form again.
    Reply::new(status, &[("Content-Type", "text/html; charset=utf-8")], html)
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
        escaped
    })
}
