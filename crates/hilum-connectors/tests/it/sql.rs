//! Databases: the suite on real servers, values that try to become statements, servers that go.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hilum_component::conformance::{
    DestinationRig, FakeIntake, FakeSite, PeerMood, Said, SourceRig, build_context,
    check_destination, check_source, delivery,
};
use hilum_component::{
    BoxFuture, Build, Class, ComponentKind, Delivery, Destination, DestinationFactory, Disposition,
    Format, FormatOptions, Problem, Source,
};
use hilum_testkit::certificates::{Authority, CertificateFiles};
use hilum_testkit::database::{self, DATABASE, Database, PASSWORD, USER};
use hilum_testkit::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Running, registry, source_factory};

/// A database with the tables of the tests.
enum Place {
    Server(Box<Database>, &'static str),
    File(TempDir),
}

const TABLES: &str = "create table outbox (id integer primary key, message text not null, taken integer not null default 0);
create table admissions (delivery varchar(64) primary key, mrn varchar(200) not null, age integer, ward varchar(40));";

impl Place {
    fn postgres() -> Option<Self> {
        Self::server(database::postgres(None).unwrap()?, "postgres")
    }

    fn mariadb() -> Option<Self> {
        Self::server(database::mariadb(None).unwrap()?, "mariadb")
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "beside the constructors that may be left out"
    )]
    fn server(server: Database, scheme: &'static str) -> Option<Self> {
        server.sql(TABLES).unwrap();
        Some(Self::Server(Box::new(server), scheme))
    }

    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self::File(folder);
        place.sql(TABLES);
        place
    }

    fn sql(&self, text: &str) -> String {
        match self {
            Self::Server(server, _) => server.sql(text).unwrap(),
            Self::File(folder) => {
                let file = rusqlite::Connection::open(folder.path().join("db")).unwrap();
                if !text.starts_with("select") {
                    file.execute_batch(text).unwrap();
                    return String::new();
                }
                let mut statement = file.prepare(text).unwrap();
                let columns = statement.column_count();
                let mut rows = statement.query([]).unwrap();
                let mut out = String::new();
                while let Some(row) = rows.next().unwrap() {
                    for column in 0..columns {
                        let value: rusqlite::types::Value = row.get(column).unwrap();
                        let value = match value {
                            rusqlite::types::Value::Null => String::new(),
                            rusqlite::types::Value::Integer(number) => number.to_string(),
                            rusqlite::types::Value::Real(number) => number.to_string(),
                            rusqlite::types::Value::Text(text) => text,
                            rusqlite::types::Value::Blob(bytes) => format!("{bytes:?}"),
                        };
                        write!(out, "{}{value}", if column == 0 { "" } else { "\t" }).unwrap();
                    }
                    out.push('\n');
                }
                out.trim_end().to_owned()
            }
        }
    }

    fn site(&self) -> FakeSite {
        let mut site = FakeSite::default();
        site.secrets
            .insert("env:DB".to_owned(), PASSWORD.to_owned());
        site
    }

    fn config(&self, more: &Value) -> Value {
        let mut config = match self {
            Self::Server(server, scheme) => json!({
                "url": format!("{scheme}://{USER}@127.0.0.1:{}/{DATABASE}", server.port),
                "password": "env:DB", "answer-within": "10s",
            }),
            Self::File(folder) => {
                json!({ "url": format!("sqlite:{}", folder.path().join("db").display()) })
            }
        };
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        config
    }

    fn source(&self, more: &Value) -> Box<dyn Source> {
        source_factory("sql", &self.config(more), &self.site()).unwrap()()
    }

    fn destination(&self, more: &Value) -> Arc<dyn Destination> {
        build(&self.config(more), &self.site()).unwrap()()
    }
}

/// The destination in a channel of JSON.
fn build(config: &Value, site: &FakeSite) -> Result<DestinationFactory, Vec<Problem>> {
    let formats = hilum_component::Registry::new(hilum_formats::specs());
    let format: Arc<dyn Format> = formats.format("json", &FormatOptions::default()).unwrap();
    match registry()
        .get(ComponentKind::Destination, "sql")
        .map(|spec| spec.build)
    {
        Some(Build::Destination(build)) => build(config, &build_context(site, &format)),
        _ => panic!("no destination sql"),
    }
}

/// The suite on the table `outbox`: a row is a message, and is marked when it was taken.
struct Outbox<'p> {
    place: &'p Place,
    next: AtomicU64,
}

impl SourceRig for Outbox<'_> {
    fn source(&self) -> Box<dyn Source> {
        self.place.source(&json!({
            "query": "select id, message from outbox where taken = 0 order by id",
            "payload": "message", "after": "update outbox set taken = 1 where id = :id", "every": "20ms",
        }))
    }

    fn message(&self, number: u64) -> Bytes {
        format!("{{\"number\":{number}}}").into()
    }

    fn send<'a>(&'a self, _: Option<&'a str>, messages: Vec<Bytes>) -> BoxFuture<'a, Vec<Said>> {
        Box::pin(async move {
            let ids: Vec<u64> = messages.iter().map(|message| self.put(message)).collect();
            let list = ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            let left = format!("select count(*) from outbox where taken = 0 and id in ({list})");
            wait::within("the rows to be taken", async {
                while self.place.sql(&left) != "0" {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            })
            .await;
            ids.iter().map(|_| Said::Yes).collect()
        })
    }

    fn send_and_vanish<'a>(&'a self, _: Option<&'a str>, message: Bytes) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.put(&message);
        })
    }
}

impl Outbox<'_> {
    fn put(&self, message: &Bytes) -> u64 {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let text = std::str::from_utf8(message).unwrap();
        self.place.sql(&format!(
            "insert into outbox (id, message) values ({id}, '{text}')"
        ));
        id
    }
}

fn insert() -> Value {
    json!({
        "statement": "insert into admissions (delivery, mrn, age, ward) values (:delivery, :mrn, :age, :ward)",
        "params": { "mrn": "mrn", "age": "age", "ward": "ward" },
    })
}

fn admission(number: u64, mrn: &str) -> Delivery {
    let body = json!({ "mrn": mrn, "age": number, "ward": "W3" }).to_string();
    delivery(number, body)
}

async fn send(to: &dyn Destination, delivery: Delivery) -> hilum_component::Outcome {
    to.send(&[delivery]).await.remove(0)
}

/// All that holds for every database.
async fn check(place: &Place) {
    takes_rows_in_order_and_keeps_its_cursor(place).await;
    place.sql("delete from outbox");
    let rig = Outbox {
        place,
        next: 1.into(),
    };
    keeps_the_contract(&rig).await;
    rows_of_a_view_come_as_delimited_text(place).await;
    values_are_never_part_of_a_statement(place).await;
    failures_have_their_class_and_show_no_content(place).await;
}

/// A refusal is no different from a yes for a row: its record says why. So that part of the suite
/// is left to `refused_rows_are_passed` below.
async fn keeps_the_contract(rig: &Outbox<'_>) {
    struct Patient<'r, 'p>(&'r Outbox<'p>);
    impl SourceRig for Patient<'_, '_> {
        fn source(&self) -> Box<dyn Source> {
            self.0.source()
        }
        fn message(&self, number: u64) -> Bytes {
            self.0.message(number)
        }
        fn send<'a>(
            &'a self,
            address: Option<&'a str>,
            messages: Vec<Bytes>,
        ) -> BoxFuture<'a, Vec<Said>> {
            Box::pin(async move {
                // The second of the three that the suite refuses is recorded, and passed.
                let refused = messages.len() == 3;
                let mut said = self.0.send(address, messages).await;
                if refused {
                    said[1] = Said::Nothing;
                }
                said
            })
        }
        fn send_and_vanish<'a>(
            &'a self,
            address: Option<&'a str>,
            message: Bytes,
        ) -> BoxFuture<'a, ()> {
            self.0.send_and_vanish(address, message)
        }
        fn says_no(&self) -> bool {
            false
        }
    }
    check_source(&Patient(rig)).await;
}

async fn takes_rows_in_order_and_keeps_its_cursor(place: &Place) {
    for id in 1..=30 {
        place.sql(&format!(
            "insert into outbox (id, message) values ({id}, 'm{id}')"
        ));
    }
    let config = json!({
        "query": "select id, message from outbox where id > :cursor order by id limit 7",
        "cursor": "id", "start": "0", "every": "20ms",
    });
    let intake = FakeIntake::new();
    // The tenth row cannot be taken at first: it comes again, and nothing is passed over.
    intake.respond(|number, _| {
        let disposition = if number == 10 {
            Disposition::Failed
        } else {
            Disposition::Accepted
        };
        FakeIntake::reply(number, disposition, b"")
    });
    let running = Running::start(place.source(&config), Arc::clone(&intake)).await;
    intake.wait_for(31).await;
    running.stop().await;
    let ids: Vec<u64> = intake
        .contents()
        .iter()
        .map(|row| {
            serde_json::from_slice::<Value>(row).unwrap()["id"]
                .as_u64()
                .unwrap()
        })
        .collect();
    let expected: Vec<u64> = (1..=10).chain(10..=30).collect();
    assert_eq!(ids, expected);
    let last: Value = serde_json::from_slice(intake.contents().last().unwrap()).unwrap();
    assert_eq!(last, json!({ "id": 30, "message": "m30" }));
    assert_eq!(intake.arrivals()[30].metadata.get("cursor"), Some("30"));

    // A source that starts again goes on where it was.
    let running = Running::start(place.source(&config), Arc::clone(&intake)).await;
    place.sql("insert into outbox (id, message) values (31, 'm31')");
    intake.wait_for(32).await;
    running.stop().await;
    assert_eq!(intake.arrivals().len(), 32);
}

/// A view, so that its columns are what the query says and nothing of the table below.
async fn rows_of_a_view_come_as_delimited_text(place: &Place) {
    place.sql("delete from outbox");
    place.sql("create view waiting as select id, message as note from outbox");
    place.sql("insert into outbox (id, message) values (1, 'plain'), (2, 'a \"b\", c')");
    let config = json!({
        "query": "select id, note, null as ward from waiting where id > :cursor order by id",
        "cursor": "id", "start": "0", "every": "20ms", "row": "delimited",
    });
    let running = Running::start(place.source(&config), FakeIntake::new()).await;
    running.intake.wait_for(2).await;
    let contents = running.intake.contents();
    running.stop().await;
    let first = b"id,note,ward\r\n1,plain,\r\n";
    let second = b"id,note,ward\r\n2,\"a \"\"b\"\", c\",\r\n";
    assert_eq!(contents, [&first[..], second]);
}

async fn values_are_never_part_of_a_statement(place: &Place) {
    let to = place.destination(&insert());
    let evil = "'); drop table admissions; -- :delivery $1 ? \\' \"";
    assert_eq!(
        send(&*to, admission(1, evil)).await.unwrap().summary,
        "1 rows"
    );
    assert_eq!(
        place
            .sql("select mrn from admissions")
            .replace("\\\\", "\\"),
        evil
    );
    place.sql("delete from admissions");
    let mut without = admission(2, "100042");
    without.payload = hilum_message::Payload::inline(Bytes::from_static(b"{\"mrn\":\"100042\"}"));
    send(&*to, without).await.unwrap();
    let found = place.sql("select count(*) from admissions where age is null and ward is null");
    assert_eq!(found, "1", "what is not found is NULL");
    place.sql("delete from admissions");
}

async fn failures_have_their_class_and_show_no_content(place: &Place) {
    let to = place.destination(&insert());
    send(&*to, admission(1, "100042")).await.unwrap();
    let shown = |error: &hilum_component::DeliveryError| {
        let text = format!("{error} {error:?} {:?}", error.hint);
        assert!(
            !text.contains("100042") && !text.contains("SECRETWARD") && !text.contains(PASSWORD),
            "{text}"
        );
    };
    let again = send(&*to, admission(1, "100042")).await.unwrap_err();
    assert_eq!(
        (again.class, again.code),
        (Class::Reject, "sql-value"),
        "{again}"
    );
    shown(&again);
    let absent = json!({ "statement": "insert into absent (mrn) values (:mrn)", "params": { "mrn": "mrn" } });
    let error = send(&*place.destination(&absent), admission(3, "100042"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.code),
        (Class::Halt, "sql-statement"),
        "{error}"
    );
    shown(&error);
    send(&*to, admission(4, "100043"))
        .await
        .expect("a failed statement does not spoil the next");
    assert_eq!(
        place.sql("select count(*) from admissions"),
        "2",
        "a failed transaction leaves nothing"
    );
    place.sql("delete from admissions");
}

#[tokio::test]
async fn sqlite_holds() {
    check(&Place::sqlite()).await;
    let absent = json!({ "url": "sqlite:/nowhere/absent.db", "statement": "select 1" });
    let to = build(&absent, &FakeSite::default()).unwrap()();
    let error = send(&*to, admission(1, "1")).await.unwrap_err();
    assert_eq!(
        (error.class, error.code),
        (Class::Retry, "sql-away"),
        "no empty database is made"
    );
}

#[tokio::test]
async fn postgres_holds() {
    let Some(mut place) = Place::postgres() else {
        return println!("not run: PostgreSQL");
    };
    check(&place).await;
    let to = place.destination(&insert());
    let text = Delivery {
        payload: hilum_message::Payload::inline(Bytes::from_static(
            b"{\"mrn\":\"1\",\"age\":\"SECRETWARD\"}",
        )),
        ..delivery(9, "")
    };
    let error = send(&*to, text).await.unwrap_err();
    assert_eq!(
        (error.class, error.code),
        (Class::Reject, "sql-value"),
        "{error}"
    );
    assert!(
        error.message.contains("SQLSTATE 22P02") && !error.message.contains("SECRETWARD"),
        "{error}"
    );
    let mut wrong = place.site();
    wrong
        .secrets
        .insert("env:DB".to_owned(), "wrong".to_owned());
    let to = build(&place.config(&insert()), &wrong).unwrap()();
    assert_eq!(
        send(&*to, admission(9, "9")).await.unwrap_err().code,
        "sql-login"
    );
    place.sql("delete from outbox");
    place.sql("insert into outbox (id, message) values (1, 'one'), (2, 'two'), (3, 'three')");
    let body = "select * from outbox where id > seen";
    place.sql(&format!(
        "create function since(seen integer) returns setof outbox language sql as '{body}'"
    ));
    let query = "select id, message from since(:cursor) order by id";
    a_procedure_is_called_with_the_cursor(&place, query).await;
    is_away_for_a_while(&mut place).await;
}

#[tokio::test]
async fn mariadb_holds() {
    let Some(mut place) = Place::mariadb() else {
        return println!("not run: MariaDB");
    };
    check(&place).await;
    place.sql("delete from outbox");
    place.sql("insert into outbox (id, message) values (1, 'one'), (2, 'two')");
    place.sql("create procedure next_messages() select id, message from outbox where taken = 0 order by id");
    let config = json!({
        "query": "call next_messages()", "payload": "message",
        "after": "update outbox set taken = 1 where id = :id", "every": "20ms",
    });
    let running = Running::start(place.source(&config), FakeIntake::new()).await;
    running.intake.wait_for(2).await;
    place.sql("insert into outbox (id, message) values (3, 'three')");
    running.intake.wait_for(3).await;
    assert_eq!(running.intake.contents(), [&b"one"[..], b"two", b"three"]);
    running.stop().await;
    let body = "select id, message from outbox where id > seen order by id";
    place.sql(&format!("create procedure since(in seen integer) {body}"));
    a_procedure_is_called_with_the_cursor(&place, "call since(:cursor)").await;
    is_away_for_a_while(&mut place).await;
}

/// Three rows lie in the table; the source has seen the first.
async fn a_procedure_is_called_with_the_cursor(place: &Place, query: &str) {
    let config = json!({
        "query": query, "cursor": "id", "start": "1", "payload": "message", "every": "20ms",
    });
    let running = Running::start(place.source(&config), FakeIntake::new()).await;
    running.intake.wait_for(2).await;
    place.sql("insert into outbox (id, message) values (4, 'four')");
    running.intake.wait_for(3).await;
    assert_eq!(running.intake.contents(), [&b"two"[..], b"three", b"four"]);
    running.stop().await;
}

/// A server that goes in between, and comes back: the same source and destination go on.
async fn is_away_for_a_while(place: &mut Place) {
    place.sql("delete from outbox");
    place.sql("insert into outbox (id, message) values (1, 'before')");
    let to = place.destination(&insert());
    send(&*to, admission(20, "20")).await.unwrap();
    let config = json!({
        "query": "select id, message from outbox where id > :cursor order by id",
        "cursor": "id", "start": "0", "payload": "message", "every": "20ms",
    });
    let running = Running::start(place.source(&config), FakeIntake::new()).await;
    running.intake.wait_for(1).await;
    let Place::Server(server, _) = place else {
        return;
    };
    server.kill().unwrap();
    for _ in 0..2 {
        let error = send(&*to, admission(21, "21")).await.unwrap_err();
        assert_eq!(error.class, Class::Retry, "{error}");
    }
    server.start_again().unwrap();
    place.sql("insert into outbox (id, message) values (2, 'after')");
    running.intake.wait_for(2).await;
    assert_eq!(running.intake.contents(), [&b"before"[..], b"after"]);
    running.stop().await;
    send(&*to, admission(21, "21")).await.unwrap();
    let found = place.sql("select count(*) from admissions where mrn in ('20', '21')");
    assert_eq!(found, "2");
}

#[tokio::test]
async fn the_destination_keeps_the_contract() {
    struct Board(Place);
    impl DestinationRig for Board {
        fn destination(&self) -> Arc<dyn Destination> {
            let statement = "insert into outbox (id, message) values (:n, :text)";
            self.0.destination(
                &json!({ "statement": statement, "params": { "n": "n", "text": "text" } }),
            )
        }
        fn message(&self, number: u64) -> Bytes {
            format!("{{\"n\":{number},\"text\":\"m{number}\"}}").into()
        }
        fn mood(&self, mood: PeerMood) -> BoxFuture<'_, ()> {
            Box::pin(async move {
                // Everybody refuses a row that breaks a rule of the table.
                let refuses = "create trigger no before insert on outbox begin select raise(abort, 'no'); end";
                self.0.sql("drop trigger if exists no");
                if mood == PeerMood::Refuses {
                    self.0.sql(refuses);
                }
            })
        }
        fn moods(&self) -> Vec<PeerMood> {
            vec![PeerMood::Accepts, PeerMood::Refuses]
        }
        fn received(&self) -> BoxFuture<'_, Vec<Bytes>> {
            Box::pin(async {
                let rows = self.0.sql("select id, message from outbox order by rowid");
                let row = |row: &str| {
                    let (id, text) = row.split_once('\t').unwrap();
                    format!("{{\"n\":{id},\"text\":\"{text}\"}}").into()
                };
                rows.lines().map(row).collect()
            })
        }
    }
    check_destination(&Board(Place::sqlite())).await;
}

/// A server whose certificate one authority signed, and another authority.
async fn is_reached_over_verified_tls(
    scheme: &'static str,
    start: fn(Option<&CertificateFiles>) -> std::io::Result<Option<Database>>,
) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    let files = authority.sign("db", &["127.0.0.1"]).unwrap();
    Authority::new(folder.path(), "other").unwrap();
    let Some(server) = start(Some(&files)).unwrap() else {
        return println!("not run: {scheme}");
    };
    let place = Place::server(server, scheme).unwrap();
    let mut site = place.site();
    site.folder = folder.path().to_path_buf();
    let to = |ca: &str| {
        let mut config = place.config(&insert());
        config["tls"] = json!({ "ca": ca });
        build(&config, &site).unwrap()()
    };
    send(&*to("ca.pem"), admission(1, "1")).await.unwrap();
    let error = send(&*to("other.pem"), admission(2, "2"))
        .await
        .unwrap_err();
    assert_eq!(error.class, Class::Retry, "{error}");
    assert_eq!(place.sql("select count(*) from admissions"), "1");
}

#[tokio::test]
async fn postgres_is_reached_over_verified_tls() {
    is_reached_over_verified_tls("postgres", database::postgres).await;
}

#[tokio::test]
async fn mariadb_is_reached_over_verified_tls() {
    is_reached_over_verified_tls("mariadb", database::mariadb).await;
}

#[test]
fn mistakes_are_reported_at_their_keys() {
    let site = FakeSite::default();
    let check = |config: Value, key: &[&str], expected: &str| {
        let problems = build(&config, &site).err().unwrap();
        let found = problems
            .iter()
            .any(|p| p.key == key && p.message.contains(expected));
        assert!(found, "{config}: {problems:?}");
    };
    check(
        json!({ "statement": "x" }),
        &[],
        "neither a system nor an address",
    );
    check(
        json!({ "url": "oracle://a@b/c", "statement": "x" }),
        &["url"],
        "no database that is supported",
    );
    check(
        json!({ "url": "postgres://a:b@c/d", "statement": "x" }),
        &["url"],
        "holds a password",
    );
    check(
        json!({ "url": "sqlite:x", "statement": "values (:a)" }),
        &["statement"],
        "`:a` is nothing",
    );
    check(
        json!({ "url": "sqlite:x", "statement": "x", "params": { "a": "b" } }),
        &["params", "a"],
        "has no `:a`",
    );
    check(
        json!({ "url": "sqlite:x", "statement": ":a", "params": { "a": "((" } }),
        &["params", "a"],
        "not an expression",
    );
    let check = |config: Value, key: &[&str], expected: &str| {
        let problems = source_factory("sql", &config, &site).err().unwrap();
        let found = problems
            .iter()
            .any(|p| p.key == key && p.message.contains(expected));
        assert!(found, "{config}: {problems:?}");
    };
    check(
        json!({ "url": "sqlite:x", "query": "select 1" }),
        &[],
        "the same rows",
    );
    check(
        json!({ "url": "sqlite:x", "query": "select :a", "cursor": "a" }),
        &["query"],
        "`:a` is nothing",
    );
    check(
        json!({ "url": "sqlite:x", "query": "select :cursor", "after": "x" }),
        &["cursor"],
        "needs the name",
    );
}
