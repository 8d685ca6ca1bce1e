//! What only a store in a file does: copies of it. The lists of tests are compared as well.

use hilum_db::Cancel;
use hilum_fhir_store::{Clock, Place, Store, StoreConfig};

use crate::door::{Door, token};

#[tokio::test]
async fn a_backup_is_a_whole_store_of_one_moment() {
    let door = Door::new();
    for n in 0..20 {
        door.put(&format!("Patient/p{n}"), &[("gender", token("", "male"))])
            .await;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    door.store.backup(&copy, &Cancel::new()).unwrap();
    door.put("Patient/later", &[]).await;
    let clock = Clock::new(|| 0);
    let store = Store::open(StoreConfig::new(Place::Sqlite(copy), clock)).unwrap();
    assert_eq!(store.verify(&Cancel::new()).unwrap(), Vec::<String>::new());
    let patient = store.catalog().resource_type("Patient").unwrap();
    assert!(store.read(patient, "p19").await.unwrap().is_some());
    assert!(store.read(patient, "later").await.unwrap().is_none());
}

#[test]
fn what_is_tested_in_a_file_is_tested_in_postgresql() {
    let modules = |text: &'static str| -> Vec<&str> {
        let lines = text.lines().filter(|line| line.starts_with("mod "));
        let own = ["mod file;", "mod power;", "mod server;"];
        lines.filter(|line| !own.contains(line)).collect()
    };
    let (file, postgres) = (include_str!("main.rs"), include_str!("postgres.rs"));
    assert_eq!(modules(file), modules(postgres));
}
