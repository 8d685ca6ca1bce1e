//! The URL of a PostgreSQL database, read strictly: nothing in it is ignored, and each mistake says
//! what to write instead.

use std::borrow::Cow;

use crate::check::parse_address;
use crate::diagnostic::Draft;
use crate::yaml::Span;

/// The port where none is written.
const PORT: u16 = 5432;
/// The form that is meant.
const FORM: &str = "write postgres://USER@HOST:5432/DATABASE";

/// A database without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DatabaseUrl {
    /// Host and port.
    pub(super) address: String,
    pub(super) user: String,
    pub(super) database: String,
}

/// What is wrong with a URL. It holds none of its text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WrongUrl {
    /// There is no `://`, or it is not that of PostgreSQL.
    Scheme,
    /// A password stands in it, before the host or as an option.
    Password,
    NoUser,
    /// Host and port cannot be read.
    Host,
    NoDatabase,
    /// What is behind the database; its name, where it is one that PostgreSQL's programs know.
    Option(Option<&'static str>),
}

/// Options that other programs take in a URL, and where they stand here.
const OPTIONS: &[(&str, &str)] = &[
    (
        "sslmode",
        "write `tls: {}` beside the URL; a certificate is always verified",
    ),
    ("sslrootcert", "write `tls: { ca: FILE }` beside the URL"),
    (
        "sslcert",
        "write `tls: { certificate: FILE, key: FILE }` beside the URL",
    ),
    (
        "sslkey",
        "write `tls: { certificate: FILE, key: FILE }` beside the URL",
    ),
    ("currentSchema", "write `schema: NAME` beside the URL"),
    (
        "options",
        "a schema is written as `schema: NAME` beside the URL; other options are not taken",
    ),
];

impl DatabaseUrl {
    pub(super) fn read(url: &str) -> Result<Self, WrongUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(WrongUrl::Scheme)?;
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(WrongUrl::Scheme);
        }
        // A password may hold any of the marks, so it is looked for first.
        let user = rest.split_once('@').map(|(user, _)| user);
        if user.is_some_and(|user| user.contains(':')) {
            return Err(WrongUrl::Password);
        }
        let (rest, options) = match rest.split_once(['?', '#']) {
            Some((rest, options)) => (rest, Some(options)),
            None => (rest, None),
        };
        if let Some(options) = options {
            return Err(option(options));
        }
        let (user, rest) = rest.split_once('@').ok_or(WrongUrl::NoUser)?;
        if user.is_empty() || user.contains('/') {
            return Err(WrongUrl::NoUser);
        }
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let address = match parse_address(place) {
            Some(_) => place.to_owned(),
            None => format!("{place}:{PORT}"),
        };
        if place.is_empty() || parse_address(&address).is_none() {
            return Err(WrongUrl::Host);
        }
        if database.is_empty() || database.contains(['/', ':']) {
            return Err(WrongUrl::NoDatabase);
        }
        Ok(Self {
            address,
            user: user.to_owned(),
            database: database.to_owned(),
        })
    }
}

/// The first option that is none of this program's.
fn option(options: &str) -> WrongUrl {
    let names = options.split('&').map(|one| one.split('=').next());
    let names: Vec<&str> = names.map(Option::unwrap_or_default).collect();
    if names.contains(&"password") {
        return WrongUrl::Password;
    }
    let known = OPTIONS.iter().find(|(name, _)| names.contains(name));
    WrongUrl::Option(known.map(|(name, _)| *name))
}

impl WrongUrl {
    pub(super) fn draft(&self, span: Span) -> Draft {
        let (text, remedy): (Cow<'static, str>, Cow<'static, str>) = match self {
            Self::Password => {
                let remedy = "write postgres://USER@HOST:5432/DATABASE and `password: env:NAME`; \
                              change the password, and remove it from the folder's history";
                return Draft::clear_secret(span).remedy(remedy);
            }
            Self::Scheme => (
                "not an address of a PostgreSQL database".into(),
                FORM.into(),
            ),
            Self::NoUser => ("the address names no user".into(), FORM.into()),
            Self::Host => ("the address names no host and port".into(), FORM.into()),
            Self::NoDatabase => ("the address names no database".into(), FORM.into()),
            Self::Option(known) => {
                let of = OPTIONS.iter().find(|(name, _)| Some(*name) == *known);
                let text = match known {
                    Some(name) => format!("the address takes no option `{name}`").into(),
                    None => "the address takes no options".into(),
                };
                let remedy =
                    of.map_or("end it with the name of the database", |(_, remedy)| remedy);
                (text, remedy.into())
            }
        };
        Draft::error("E0103", span, text).remedy(remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_strictly() {
        let good = DatabaseUrl {
            address: "db.example:5432".to_owned(),
            user: "hilum".to_owned(),
            database: "hospital".to_owned(),
        };
        for (url, expected) in [
            (
                "postgres://hilum@db.example:5432/hospital",
                Ok(good.clone()),
            ),
            ("postgresql://hilum@db.example/hospital", Ok(good)),
            ("mysql://hilum@db.example/hospital", Err(WrongUrl::Scheme)),
            ("db.example/hospital", Err(WrongUrl::Scheme)),
            ("postgres://db.example/hospital", Err(WrongUrl::NoUser)),
            ("postgres://@db.example/hospital", Err(WrongUrl::NoUser)),
            ("postgres://hilum@/hospital", Err(WrongUrl::Host)),
            ("postgres://hilum@db.example", Err(WrongUrl::NoDatabase)),
            ("postgres://hilum@db.example/", Err(WrongUrl::NoDatabase)),
            ("postgres://hilum@db.example/a/b", Err(WrongUrl::NoDatabase)),
            (
                "postgres://hilum:secret@db.example/hospital",
                Err(WrongUrl::Password),
            ),
            (
                "postgres://hilum:a@b/c?d@db.example/hospital",
                Err(WrongUrl::Password),
            ),
            (
                "postgres://hilum@db.example/hospital?password=x",
                Err(WrongUrl::Password),
            ),
            (
                "postgres://hilum@db.example/hospital?sslmode=require",
                Err(WrongUrl::Option(Some("sslmode"))),
            ),
            (
                "postgres://hilum@db.example/hospital?a=b",
                Err(WrongUrl::Option(None)),
            ),
        ] {
            assert_eq!(DatabaseUrl::read(url), expected, "{url}");
        }
    }
}
