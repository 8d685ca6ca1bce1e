//! The stores of the FHIR server in a PostgreSQL that is reached over TLS: its certificate is
//! verified, with its name, unless nothing is said of TLS.

use hilum_testkit::certificates::Authority;
use hilum_testkit::database::{DATABASE, Database, PASSWORD, USER, postgres};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;

use crate::kit::Running;
use crate::{ends, text};

/// A site whose database is reached with these settings of TLS.
fn site(database: &Database, authority: &str, tls: &str) -> SiteFolder {
    let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let port = database.port;
    let node = format!(
        "site: secured\nadmin: 127.0.0.1:{admin}\nfhir:\n  listen: 127.0.0.1:{fhir}\n  database:\n    \
         url: postgres://{USER}@127.0.0.1:{port}/{DATABASE}\n    password: file:password\n    tls: {tls}\n"
    );
    folder.file("site/hilum.yaml", node).unwrap();
    folder.file("site/password", PASSWORD).unwrap();
    folder.file("site/ca.pem", authority).unwrap();
    folder
}

/// Runs it; what it told if it did not become ready.
fn told(folder: &SiteFolder) -> Option<String> {
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    let run = ["run", text(&site), "--data", text(&data)];
    let mut node = Running::start(&run);
    if node.line().contains("ready") {
        node.terminate();
        node.end();
        return None;
    }
    drop(node);
    Some(ends(&run, 3).1)
}

#[test]
fn the_certificate_of_a_database_is_verified_with_its_name() {
    let folder = SiteFolder::new().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    let files = authority.sign("db", &["127.0.0.1", "db.example"]).unwrap();
    let own = std::fs::read_to_string(&authority.ca).unwrap();
    let other = Authority::new(folder.path(), "other").unwrap();
    let other = std::fs::read_to_string(&other.ca).unwrap();
    let Some(database) = postgres(Some(&files)).unwrap() else {
        println!("not run: PostgreSQL over TLS (no servers)");
        return;
    };
    assert_eq!(told(&site(&database, &own, "{ ca: ca.pem }")), None);
    let named = "{ ca: ca.pem, server-name: db.example }";
    assert_eq!(told(&site(&database, &own, named)), None);

    let unknown = told(&site(&database, &other, "{ ca: ca.pem }")).unwrap();
    assert!(unknown.contains("certificate"), "{unknown}");
    // The authorities of the operating system do not know ours.
    let system = told(&site(&database, &own, "{}")).unwrap();
    assert!(system.contains("certificate"), "{system}");
    let named = "{ ca: ca.pem, server-name: elsewhere.example }";
    let wrong = told(&site(&database, &own, named)).unwrap();
    assert!(wrong.contains("certificate"), "{wrong}");
    let absent = told(&site(&database, &own, "{ ca: none.pem }")).unwrap();
    assert!(absent.contains("none.pem"), "{absent}");
}

#[test]
fn a_database_without_tls_is_not_spoken_to_where_tls_is_asked_for() {
    let folder = SiteFolder::new().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    let own = std::fs::read_to_string(&authority.ca).unwrap();
    let Some(database) = postgres(None).unwrap() else {
        println!("not run: PostgreSQL without TLS (no servers)");
        return;
    };
    let plain = told(&site(&database, &own, "{ ca: ca.pem }")).unwrap();
    assert!(plain.contains("no TLS"), "{plain}");
}
