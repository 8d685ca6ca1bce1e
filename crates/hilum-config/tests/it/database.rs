//! The database of the FHIR server, written wrongly.

use crate::broken::check;

#[test]
fn wrong_urls_of_the_fhir_servers_database_are_told_with_what_to_write() {
    let check_url = |url: &str, more: &str, expected: &str| {
        let node = format!("site: s\nfhir:\n  database:\n    url: {url}\n{more}");
        check(&[("hilum.yaml", &node)], expected);
    };
    check_url(
        "postgres://hilum@db.example:5432",
        "",
        "E0103 hilum.yaml:4:10 «postgres://hilum@db.example:5432» the address names no database => write postgres://USER@HOST:5432/DATABASE",
    );
    check_url(
        "postgres://hilum@db.example/hospital?sslmode=require",
        "",
        "E0103 hilum.yaml:4:10 «postgres://hilum@db.example/hospital?sslmode=require» the address takes no option `sslmode` => write `tls: {}` beside the URL; a certificate is always verified",
    );
    for url in [
        "postgres://hilum:hunter2@db.example/hospital",
        "postgres://hilum:hun/?ter2@db.example/hospital",
        "postgres://hilum@db.example/hospital?password=hunter2",
    ] {
        check_url(
            url,
            "",
            "E0116 hilum.yaml:4:10 «» a secret stands here in clear text => write postgres://USER@HOST:5432/DATABASE and `password: env:NAME`; change the password, and remove it from the folder's history",
        );
    }
    check_url(
        "postgres://hilum@db.example/hospital",
        "    password: hunter2\n",
        "E0116 hilum.yaml:5:15 «» a secret stands here in clear text => write env:NAME or file:PATH, change the secret, and remove it from the folder's history",
    );
    check_url(
        "postgres://hilum@db.example/hospital",
        "    password: file:nowhere\n",
        "E0117 hilum.yaml:5:15 «file:nowhere» the secret `file:nowhere` is not there: there is no such file => provide it to the program, or correct the reference",
    );
    check_url(
        "postgres://hilum@db.example/hospital",
        "    schema: Fhir\n    sslmode: require\n",
        "E0101 hilum.yaml:6:5 «sslmode» unknown key `sslmode` => known keys: url, password, schema, tls",
    );
}
