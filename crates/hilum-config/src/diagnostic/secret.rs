//! Passwords within URLs. A URL is no secret by its key, so the schemas do not find the password that
//! somebody wrote into one; whatever shows text of the folder asks here first.
//!
//! It errs on the side of hiding: an `@` behind the port of a harmless URL hides what is between.

use std::borrow::Cow;

/// What stands for a password.
const MASK: &str = "***";
/// The options of a URL that hold one.
const OPTION: &str = "password=";

/// The text without the passwords of its URLs.
pub(crate) fn without_passwords(text: &str) -> Cow<'_, str> {
    let Some(begin) = text.find("://") else {
        return Cow::Borrowed(text);
    };
    let (before, rest) = text.split_at(begin + "://".len());
    let end = rest.find(|c: char| c.is_whitespace() || "\"'`".contains(c));
    let (url, after) = rest.split_at(end.unwrap_or(rest.len()));
    Cow::Owned(format!(
        "{before}{}{}",
        masked(url),
        without_passwords(after)
    ))
}

/// Whether a password stands in it.
pub(crate) fn has_password(text: &str) -> bool {
    without_passwords(text) != text
}

/// A URL behind its scheme. A password may hold any of the marks, so the last `@` ends it; one with
/// spaces leaves what looks like a port that is no number.
fn masked(url: &str) -> Cow<'_, str> {
    let user = match url.rsplit_once('@') {
        Some((user, place)) => user
            .split_once(':')
            .map(|(name, _)| format!("{name}:{MASK}@{place}")),
        None => url
            .split_once(':')
            .filter(|(host, port)| !host.contains(['[', '/']) && !is_port(port))
            .map(|(host, _)| format!("{host}:{MASK}")),
    };
    let url = user.map_or(Cow::Borrowed(url), Cow::Owned);
    let Some((before, rest)) = url.split_once(OPTION) else {
        return url;
    };
    let after = rest.split_once('&').map_or("", |(_, after)| after);
    let more = if after.is_empty() { "" } else { "&" };
    Cow::Owned(format!("{before}{OPTION}{MASK}{more}{after}"))
}

/// What is behind the colon of a host begins with a number and nothing else.
fn is_port(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let after = end.and_then(|end| text.get(end..));
    end != Some(0) && !after.is_some_and(|after| after.starts_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::{has_password, without_passwords};

    #[test]
    fn passwords_of_urls_are_masked_and_nothing_else() {
        for (text, expected) in [
            (
                "url: postgres://u:pw@h:5432/d",
                "url: postgres://u:***@h:5432/d",
            ),
            (
                "url: \"postgres://u:p@:/w@h/d\" # x@y",
                "url: \"postgres://u:***@h/d\" # x@y",
            ),
            (
                "`http://u:pw@h` and https://v:pw@h",
                "`http://u:***@h` and https://v:***@h",
            ),
            ("pg://h/d?password=pw&x=1", "pg://h/d?password=***&x=1"),
            (
                "`https://u:7pw @h` is no URL",
                "`https://u:*** @h` is no URL",
            ),
        ] {
            assert_eq!(without_passwords(text), expected);
            assert!(has_password(text), "{text}");
        }
        for text in [
            "",
            "a: b@c",
            "postgres://u@h:5432/d",
            "https://h:8443/in and us@example.org",
            "{ url: http://h:80}, http://[::1]:80/, http://h/a:b",
        ] {
            assert_eq!(without_passwords(text), text);
            assert!(!has_password(text), "{text}");
        }
    }
}
