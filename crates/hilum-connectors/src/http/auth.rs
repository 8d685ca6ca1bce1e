//! Who may call. Secrets are compared by their digests, so that the time tells nothing of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// What a caller has to show; each that is set must fit.
#[derive(Clone, Default)]
pub(super) struct Callers {
    /// Header and digest of the key.
    pub(super) key: Option<(http::HeaderName, [u8; 32])>,
    /// Digest of `user:password`.
    pub(super) basic: Option<[u8; 32]>,
}

impl Callers {
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let key = self.key.as_ref().is_none_or(|(name, expected)| {
            headers
                .get(name)
                .is_some_and(|shown| same(&digest(shown.as_bytes()), expected))
        });
        let basic = self.basic.as_ref().is_none_or(|expected| {
            shown_basic(headers).is_some_and(|shown| same(&digest(&shown), expected))
        });
        key && basic
    }

    /// What a response says that the caller should show.
    pub(super) const fn challenge(&self) -> &'static str {
        if self.basic.is_some() {
            "Basic realm=\"hilum\", charset=\"UTF-8\""
        } else {
            "Key"
        }
    }
}

fn shown_basic(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("basic")
        .then(|| STANDARD.decode(value.trim()).ok())
        .flatten()
}

pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The value of an `Authorization` header.
pub(super) fn basic_header(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_show_what_is_asked() {
        let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect()
        };
        let callers = Callers {
            key: Some((http::HeaderName::from_static("x-key"), digest(b"secret"))),
            basic: Some(digest(b"lis:pass:word")),
        };
        let basic = basic_header("lis", "pass:word");
        assert!(callers.admit(&headers(&[("x-key", "secret"), ("authorization", &basic)])));
        assert!(!callers.admit(&headers(&[("x-key", "secret")])));
        assert!(!callers.admit(&headers(&[("x-key", "secreT"), ("authorization", &basic)])));
        assert!(!callers.admit(&headers(&[
            ("x-key", "secret"),
            ("authorization", "Basic !!!")
        ])));
        assert!(!callers.admit(&headers(&[
            ("x-key", "secret"),
            ("authorization", "Bearer x")
        ])));
        assert!(Callers::default().admit(&HeaderMap::new()));
    }
}
