//! Which addresses a subscription may name: a server that calls any URL on a client's wish would be
//! the client's way into the hospital's network.

use http::Uri;

/// Reads an endpoint; the error says what is wrong with it.
pub(super) fn endpoint(text: &str, allowed: &[String]) -> Result<Uri, &'static str> {
    let uri = plain(text)?;
    let local = uri.host().is_some_and(loopback);
    if local || allowed.iter().any(|prefix| covers(prefix, &uri)) {
        return Ok(uri);
    }
    Err(
        "this server may not call the endpoint: it is neither on loopback nor below a URL of \
         `fhir: subscriptions: allow:`",
    )
}

/// Reads a URL that means what it shows: no credentials, no fragment, no way up.
pub(crate) fn plain(text: &str) -> Result<Uri, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "the endpoint is no URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("the endpoint is no URL of http or https");
    }
    let Some(authority) = uri.authority() else {
        return Err("the endpoint names no host");
    };
    if authority.as_str().contains('@') {
        return Err("the endpoint holds credentials; write them as a header");
    }
    if text.contains('#') {
        return Err("the endpoint has a fragment");
    }
    let climbs = uri.path().split('/').any(|part| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == "." || part == ".."
    });
    if climbs {
        return Err("the endpoint climbs in its path");
    }
    Ok(uri)
}

/// A literal address or the one name that means the machine itself.
fn loopback(host: &str) -> bool {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let ip = plain.parse::<std::net::IpAddr>();
    plain.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Scheme, host and port are the same, and the path lies below that of the prefix.
pub(crate) fn covers(prefix: &str, uri: &Uri) -> bool {
    let Ok(prefix) = prefix.parse::<Uri>() else {
        return false;
    };
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    let above = prefix.path().trim_end_matches('/');
    let below = uri.path().strip_prefix(above);
    prefix.scheme() == uri.scheme()
        && host(&prefix) == host(uri)
        && port(&prefix) == port(uri)
        && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The port of a URL.
pub(crate) fn port(uri: &Uri) -> u16 {
    let usual = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    uri.port_u16().unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_what_the_site_names_may_be_called() {
        let allowed = [
            "https://app.example/hooks".to_owned(),
            "http://ehr:8080/".to_owned(),
        ];
        for (url, fine) in [
            ("http://127.0.0.1:9000/in", true),
            ("http://[::1]:9000", true),
            ("http://localhost/in", true),
            ("http://127.0.0.1.evil.example/in", false),
            ("http://localhost@evil.example/", false),
            ("http://10.0.0.1/in", false),
            ("https://app.example/hooks", true),
            ("https://APP.example:443/hooks/7?k=1", true),
            ("https://app.example/hooksome", false),
            ("https://app.example/hooks/../admin", false),
            ("https://app.example/hooks/%2E%2e/admin", false),
            ("http://app.example/hooks", false),
            ("https://app.example:8443/hooks", false),
            ("https://app.example.evil/hooks", false),
            ("http://ehr:8080/any", true),
            ("ftp://127.0.0.1/", false),
            ("/in", false),
        ] {
            assert_eq!(endpoint(url, &allowed).is_ok(), fine, "{url}");
        }
    }
}
