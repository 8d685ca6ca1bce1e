//! Folders: the suite, many files, names that try to leave, disks that fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hilum_component::conformance::{
    DestinationRig, FakeIntake, FakeSite, MemoryBlobs, PeerMood, Said, SourceRig,
    check_destination, check_source, delivery,
};
use hilum_component::{BoxFuture, Class, Delivery, Destination, Disposition, Source};
use hilum_message::{BlobRange, BlobRef, Cut, Payload};
use hilum_testkit::messages::{Event, Synthetic};
use hilum_testkit::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Running, destination, destination_factory, source, source_factory};

fn message(number: u64) -> Bytes {
    Synthetic::new(Event::Admit, number, number).build().into()
}

/// The folders `in`, `done` and `error` of a test.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        let folders = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folders.path("in")).unwrap();
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, more: &Value) -> Value {
        let mut config = json!({
            "folder": self.path("in"), "done": self.path("done"), "error": self.path("error"),
            "stable-for": "0ms", "every": "50ms",
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    }

    fn put(&self, name: &str, content: &[u8]) {
        let part = self.0.path().join("part");
        fs::write(&part, content).unwrap();
        fs::rename(part, self.path("in").join(name)).unwrap();
    }

    fn names(&self, folder: &str) -> Vec<String> {
        names(&self.path(folder))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

struct Inbox {
    folders: Folders,
    count: std::sync::atomic::AtomicU64,
}

impl Inbox {
    fn put(&self, message: &[u8]) -> String {
        let number = self.count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let name = format!("{number:05}.hl7");
        self.folders.put(&name, message);
        name
    }
}

impl SourceRig for Inbox {
    fn source(&self) -> Box<dyn Source> {
        source("file", &self.folders.config(&json!({})))
    }

    fn message(&self, number: u64) -> Bytes {
        message(number)
    }

    fn send<'a>(&'a self, _: Option<&'a str>, messages: Vec<Bytes>) -> BoxFuture<'a, Vec<Said>> {
        Box::pin(async move {
            let names: Vec<String> = messages.iter().map(|message| self.put(message)).collect();
            wait::until("the files to be taken", || {
                names
                    .iter()
                    .all(|name| !self.folders.path("in").join(name).exists())
            })
            .await;
            let said = |name: &String| {
                if self.folders.path("done").join(name).exists() {
                    Said::Yes
                } else {
                    Said::Nothing
                }
            };
            names.iter().map(said).collect()
        })
    }

    fn send_and_vanish<'a>(&'a self, _: Option<&'a str>, message: Bytes) -> BoxFuture<'a, ()> {
        Box::pin(async move { drop(self.put(&message)) })
    }

    fn says_no(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    check_source(&Inbox {
        folders: Folders::new(),
        count: 0.into(),
    })
    .await;
}

struct Outbox(TempDir);

impl DestinationRig for Outbox {
    fn destination(&self) -> Arc<dyn Destination> {
        destination("file", &json!({ "folder": self.0.path().join("out") }))
    }

    fn message(&self, number: u64) -> Bytes {
        message(number)
    }

    fn mood(&self, mood: PeerMood) -> BoxFuture<'_, ()> {
        let (home, away) = (self.0.path().join("out"), self.0.path().join("away"));
        Box::pin(async move {
            match mood {
                PeerMood::Away => fs::rename(home, away).unwrap(),
                _ if away.exists() => fs::rename(away, home).unwrap(),
                _ => fs::create_dir_all(home).unwrap(),
            }
        })
    }

    fn moods(&self) -> Vec<PeerMood> {
        vec![PeerMood::Accepts, PeerMood::Away]
    }

    fn received(&self) -> BoxFuture<'_, Vec<Bytes>> {
        Box::pin(async move {
            let home = self.0.path().join("out");
            names(&home)
                .iter()
                .map(|name| fs::read(home.join(name)).unwrap().into())
                .collect()
        })
    }
}

#[tokio::test]
async fn the_destination_keeps_the_contract() {
    check_destination(&Outbox(tempfile::tempdir().unwrap())).await;
}

#[tokio::test]
async fn ten_thousand_waiting_files_are_taken_in_order() {
    let folders = Folders::new();
    for number in (0..10_000).rev() {
        fs::write(
            folders.path("in").join(format!("{number:05}.hl7")),
            number.to_string(),
        )
        .unwrap();
    }
    fs::write(folders.path("in").join("readme.txt"), "not for us").unwrap();
    fs::write(folders.path("in").join(".hidden.hl7"), "not for us").unwrap();
    let config = folders.config(&json!({ "match": "*.hl7", "delete": true, "done": null }));
    let running = Running::start(source("file", &config), FakeIntake::new()).await;
    running.intake.wait_for(10_000).await;
    let contents = running.intake.contents();
    assert!(
        contents
            .iter()
            .enumerate()
            .all(|(n, content)| *content == n.to_string().as_bytes())
    );
    running.stop().await;
    assert_eq!(folders.names("in"), [".hidden.hl7", "readme.txt"]);
}

#[tokio::test]
async fn the_oldest_file_comes_first_where_time_is_the_order() {
    let folders = Folders::new();
    for name in ["c", "a", "b"] {
        folders.put(name, name.as_bytes());
        let file = fs::File::options()
            .write(true)
            .open(folders.path("in").join(name))
            .unwrap();
        let hours = u64::from(b'z' - name.as_bytes()[0]);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(hours * 3600);
        file.set_modified(time).unwrap();
    }
    let config = folders.config(&json!({ "order": "time" }));
    let running = Running::start(source("file", &config), FakeIntake::new()).await;
    running.intake.wait_for(3).await;
    assert_eq!(running.intake.contents(), [b"c", b"b", b"a"]);
    running.stop().await;
}

#[tokio::test]
async fn a_closed_file_is_noticed_without_waiting_for_the_next_look() {
    let folders = Folders::new();
    let config = folders.config(&json!({ "every": "1h" }));
    let running = Running::start(source("file", &config), FakeIntake::new()).await;
    folders.put("one.hl7", &message(1));
    running.intake.wait_for(1).await;
    folders.put("two.hl7", &message(2));
    running.intake.wait_for(2).await;
    running.stop().await;
}

#[tokio::test]
async fn a_file_that_grows_is_not_taken_until_it_rests() {
    let folders = Folders::new();
    let config = folders.config(&json!({ "stable-for": "150ms" }));
    let running = Running::start(source("file", &config), FakeIntake::new()).await;
    let path = folders.path("in").join("slow.hl7");
    let mut content = Vec::new();
    for part in message(1).chunks(60) {
        content.extend_from_slice(part);
        fs::write(&path, &content).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    running.intake.wait_for(1).await;
    assert!(running.intake.contents() == [message(1)]);
    running.stop().await;
}

#[tokio::test]
async fn a_refused_file_lies_with_its_reason_and_one_that_failed_stays() {
    let folders = Folders::new();
    let intake = FakeIntake::new();
    intake.respond(|number, _| match number {
        1 => FakeIntake::reply(1, Disposition::Rejected, b"no"),
        2 => FakeIntake::reply(2, Disposition::Failed, b"no"),
        _ => FakeIntake::reply(number, Disposition::Accepted, b"yes"),
    });
    let running = Running::start(
        source("file", &folders.config(&json!({}))),
        Arc::clone(&intake),
    )
    .await;
    folders.put("a.hl7", b"bad");
    intake.wait_for(1).await;
    folders.put("b.hl7", b"good");
    // The first attempt fails, the file stays, and is taken at the next look.
    intake.wait_for(3).await;
    wait::until("the move", || folders.names("done") == ["b.hl7"]).await;
    assert_eq!(folders.names("error"), ["a.hl7", "a.hl7.why"]);
    let why = fs::read_to_string(folders.path("error").join("a.hl7.why")).unwrap();
    assert!(
        why.starts_with("rejected: told to refuse\nmessage "),
        "{why}"
    );
    assert_eq!(running.intake.contents(), [&b"bad"[..], b"good", b"good"]);
    running.stop().await;
}

#[tokio::test]
async fn a_file_over_the_limit_is_put_aside_and_a_large_one_goes_to_a_blob() {
    let folders = Folders::new();
    let config = folders.config(&json!({ "file-bytes-max": "700kB" }));
    let running = Running::start(source("file", &config), FakeIntake::new()).await;
    folders.put("large.hl7", &vec![b'A'; 700_000]);
    running.intake.wait_for(1).await;
    assert_eq!(running.intake.arrivals()[0].payload.cuts().len(), 1);
    assert!(running.intake.contents()[0] == vec![b'A'; 700_000]);
    folders.put("larger.hl7", &vec![b'A'; 700_001]);
    wait::until("the move", || {
        folders
            .names("error")
            .contains(&"larger.hl7.why".to_owned())
    })
    .await;
    assert_eq!(running.intake.refused()[0].total, 700_000);
    assert_eq!(running.intake.arrivals().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_name_that_is_taken_in_the_done_folder_gets_a_number() {
    let folders = Folders::new();
    let running = Running::start(
        source("file", &folders.config(&json!({}))),
        FakeIntake::new(),
    )
    .await;
    for round in 1..=3 {
        folders.put("same.hl7", &message(round));
        wait::until("the move", || folders.names("done").len() as u64 == round).await;
    }
    assert_eq!(
        folders.names("done"),
        ["same.1.hl7", "same.2.hl7", "same.hl7"]
    );
    running.stop().await;
}

async fn send(to: &dyn Destination, delivery: Delivery) -> hilum_component::Outcome {
    to.send(&[delivery]).await.remove(0)
}

#[tokio::test]
async fn a_repeat_does_not_make_a_second_file() {
    let folder = tempfile::tempdir().unwrap();
    for exists in ["number", "replace"] {
        let to = destination(
            "file",
            &json!({ "folder": folder.path(), "exists": exists }),
        );
        for attempt in 1..=3 {
            send(
                &*to,
                Delivery {
                    attempt,
                    ..delivery(1, message(1))
                },
            )
            .await
            .unwrap();
        }
    }
    assert_eq!(names(folder.path()).len(), 1);
}

#[tokio::test]
async fn names_come_from_values_and_collisions_follow_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    let config = |exists: &str| json!({ "folder": folder.path(), "name": "{date}-{time}-{meta.ward}.hl7", "exists": exists });
    let with = |ward: &str, content: &'static [u8]| {
        let mut one = delivery(1, content);
        one.metadata.set("ward", ward);
        one
    };
    let to = destination("file", &config("number"));
    assert_eq!(
        send(&*to, with("W/../3", b"a")).await.unwrap().summary,
        "20260101-000000-W_.._3.hl7"
    );
    assert_eq!(
        send(&*to, with("W/../3", b"b")).await.unwrap().summary,
        "20260101-000000-W_.._3.1.hl7"
    );
    let to = destination("file", &config("reject"));
    let error = send(&*to, with("W/../3", b"c")).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Reject, "file-exists"));
    let to = destination("file", &config("replace"));
    send(&*to, with("W/../3", b"d")).await.unwrap();
    assert_eq!(
        fs::read(folder.path().join("20260101-000000-W_.._3.hl7")).unwrap(),
        b"d"
    );
    assert_eq!(names(folder.path()).len(), 2, "no temporary file is left");
    let to = destination(
        "file",
        &json!({ "folder": folder.path(), "name": "{meta.absent}" }),
    );
    assert_eq!(
        send(&*to, delivery(1, &b"x"[..])).await.unwrap_err().code,
        "file-name"
    );
}

#[tokio::test]
async fn messages_may_be_added_to_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({ "folder": folder.path(), "name": "{date}.txt", "append": true });
    let to = destination("file", &config);
    for content in [&b"one"[..], b"two"] {
        send(&*to, delivery(1, content)).await.unwrap();
    }
    assert_eq!(
        fs::read(folder.path().join("20260101.txt")).unwrap(),
        b"one\ntwo\n"
    );
}

#[tokio::test]
async fn blobs_are_copied_to_their_places_and_a_broken_one_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let to = destination("file", &json!({ "folder": folder.path(), "name": "x" }));
    let blob = BlobRef {
        partition: "p".into(),
        name: "b".into(),
    };
    let range = BlobRange {
        blob,
        offset: 0,
        length: 600_000,
    };
    let large = |bytes: usize| Delivery {
        payload: Payload::with_cuts(
            Bytes::from_static(b"head-tail"),
            vec![Cut {
                at: 5,
                range: range.clone(),
            }],
        ),
        blobs: Arc::new(MemoryBlobs([("b".to_owned(), vec![b'A'; bytes])].into())),
        ..delivery(1, &b""[..])
    };
    assert_eq!(
        send(&*to, large(1000)).await.unwrap_err().class,
        Class::Retry
    );
    assert!(names(folder.path()).is_empty());
    send(&*to, large(600_000)).await.unwrap();
    let expected = [b"head-".to_vec(), vec![b'A'; 600_000], b"tail".to_vec()].concat();
    assert!(fs::read(folder.path().join("x")).unwrap() == expected);
}

#[test]
fn mistakes_are_reported_at_their_keys() {
    let site = FakeSite::default();
    let check = |config: Value, key: &[&str], expected: &str| {
        let problems = source_factory("file", &config, &site).err().unwrap();
        assert!(
            problems
                .iter()
                .any(|p| p.key == key && p.message.contains(expected)),
            "{config}: {problems:?}"
        );
    };
    let base = |more: Value| {
        let mut config = json!({ "folder": "in", "error": "error" });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    };
    check(base(json!({})), &[], "either `done` or `delete`");
    check(
        base(json!({ "done": "d", "delete": true })),
        &[],
        "either `done` or `delete`",
    );
    check(
        base(json!({ "done": "in" })),
        &["folder"],
        "folders of their own",
    );
    check(base(json!({ "done": "d", "match": "[" })), &["match"], "");
    let problems = destination_factory(
        "file",
        &json!({ "folder": "out", "name": "../{id}" }),
        &site,
    )
    .err()
    .unwrap();
    assert_eq!(problems[0].key, ["name"]);
}

#[tokio::test]
async fn a_file_that_replaces_one_under_way_is_taken_as_well() {
    let folders = Folders::new();
    let intake = FakeIntake::new();
    intake.hold();
    let running = Running::start(
        source("file", &folders.config(&json!({}))),
        Arc::clone(&intake),
    )
    .await;
    folders.put("same.hl7", b"first");
    intake.wait_for(1).await;
    folders.put("same.hl7", b"second");
    intake.release();
    intake.wait_for(2).await;
    assert_eq!(intake.contents(), [&b"first"[..], b"second"]);
    running.stop().await;
    assert_eq!(
        folders.names("done"),
        ["same.hl7"],
        "the writer itself replaced the first"
    );
}
