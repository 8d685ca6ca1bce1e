//! The door that all tests go through: a store in a folder of its own, a clock that the test turns,
//! and short ways to write resources and ask for them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hilum_fhir_store::{
    Body, Change, Clock, Commit, Committed, Criterion, IndexRow, IndexValue, Limits, Method, Page,
    ParamKey, ParamKind, ParamSpec, Place, Postgres, Query, ResourceType, Store, StoreConfig,
    StoreError,
};
use hilum_net::{ConnectOptions, Connector, HostPort};
use hilum_testkit::cluster::shared_postgres;
use hilum_testkit::database::{DATABASE, PASSWORD, USER};

/// The parameters of the tests: type, code, kind.
pub(crate) const PARAMS: &[(&str, &str, ParamKind)] = &[
    ("Patient", "identifier", ParamKind::Token),
    ("Patient", "gender", ParamKind::Token),
    ("Patient", "name", ParamKind::String),
    ("Patient", "birthdate", ParamKind::Date),
    ("Patient", "link", ParamKind::Reference),
    ("Patient", "profile", ParamKind::Uri),
    ("Patient", "_text", ParamKind::String),
    ("Patient", "_content", ParamKind::String),
    ("Observation", "code", ParamKind::Token),
    ("Observation", "subject", ParamKind::Reference),
    ("Observation", "date", ParamKind::Date),
    ("Observation", "value", ParamKind::Quantity),
    ("Observation", "score", ParamKind::Number),
    ("Observation", "code-value", ParamKind::Composite),
];

/// The start of the tests' clock.
pub(crate) const NOON: i64 = 1_795_262_400_000;

/// A store under test.
pub(crate) struct Door {
    pub(crate) store: Store,
    now: Arc<AtomicI64>,
    folder: tempfile::TempDir,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(NOON));
        let store = Store::open(config(&folder, &now, limits)).unwrap();
        Self { store, now, folder }
    }

    /// The folder of the store.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(self) -> Self {
        let Self { store, now, folder } = self;
        store.close();
        drop(store);
        let store = Store::open(config(&folder, &now, Limits::default())).unwrap();
        Self { store, now, folder }
    }

    pub(crate) fn tick(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, name: &str) -> ResourceType {
        self.store.catalog().resource_type(name).unwrap()
    }

    pub(crate) fn param(&self, name: &str) -> ParamKey {
        let (of, code) = name.split_once('.').unwrap();
        self.store.catalog().param(self.of(of), code).unwrap().key
    }

    pub(crate) async fn put(&self, name: &str, rows: &[(&str, IndexValue)]) -> Committed {
        self.commit(vec![self.update(name, rows)]).await.unwrap()
    }

    pub(crate) fn update(&self, name: &str, rows: &[(&str, IndexValue)]) -> Change {
        self.change(
            name,
            |rows| Method::Update {
                body: body(name),
                rows,
            },
            rows,
        )
    }

    pub(crate) fn create(&self, name: &str, rows: &[(&str, IndexValue)]) -> Change {
        self.change(
            name,
            |rows| Method::Create {
                body: body(name),
                rows,
            },
            rows,
        )
    }

    pub(crate) fn delete(&self, name: &str) -> Change {
        self.change(name, |_| Method::Delete, &[])
    }

    fn change(
        &self,
        name: &str,
        method: impl FnOnce(Vec<IndexRow>) -> Method,
        rows: &[(&str, IndexValue)],
    ) -> Change {
        let (of, id) = name.split_once('/').unwrap();
        let row = |(code, value): &(&str, IndexValue)| IndexRow {
            param: self.param(&format!("{of}.{code}")),
            value: value.clone(),
        };
        Change {
            resource_type: self.of(of),
            id: id.to_owned(),
            method: method(rows.iter().map(row).collect()),
        }
    }

    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<Committed, StoreError> {
        let commit = Commit {
            changes,
            ..Commit::default()
        };
        self.store.commit(commit).await
    }

    pub(crate) fn query(&self, of: &str, criteria: Vec<Criterion>) -> Query {
        Query {
            types: vec![self.of(of)],
            criteria,
            count: 100,
            ..Query::default()
        }
    }

    /// Ids of all matches, page by page; the way back shows the same pages.
    pub(crate) async fn ids(&self, query: &Query) -> Vec<String> {
        let mut query = query.clone();
        let mut pages: Vec<Vec<String>> = Vec::new();
        let sealed = |cursor| {
            let text = self.store.seal_cursor(&cursor);
            Some(self.store.open_cursor(&text).unwrap())
        };
        let mut page = self.store.search(query.clone()).await.unwrap();
        assert!(page.prev.is_none(), "{query:?}");
        let shown = |page: &Page| {
            let ids = page.found.iter();
            ids.map(|found| found.stored.id.to_string()).collect()
        };
        pages.push(shown(&page));
        while let Some(next) = page.next {
            query.after = sealed(next);
            page = self.store.search(query.clone()).await.unwrap();
            pages.push(shown(&page));
        }
        for (at, earlier) in pages.iter().enumerate().rev().skip(1) {
            let prev = page.prev.unwrap();
            query.after = sealed(prev);
            page = self.store.search(query.clone()).await.unwrap();
            assert_eq!(&shown(&page), earlier, "page {at} from behind: {query:?}");
            assert!(page.next.is_some(), "page {at} from behind: {query:?}");
        }
        assert!(page.prev.is_none(), "{query:?}");
        pages.concat()
    }
}

fn config(folder: &tempfile::TempDir, now: &Arc<AtomicI64>, limits: Limits) -> StoreConfig {
    let mut config = config_at(folder.path(), now, limits);
    if crate::POSTGRES
        && let Some(place) = postgres(folder.path())
    {
        config.place = place;
    }
    config
}

/// A schema that belongs to a folder, on the server that the tests share.
pub(crate) fn postgres(folder: &Path) -> Option<Place> {
    let Some(port) = shared_postgres().unwrap() else {
        println!("not run: on PostgreSQL (no servers)");
        return None;
    };
    let name = folder.file_name().unwrap().as_encoded_bytes();
    let schema = name.iter().map(|byte| format!("{byte:02x}"));
    let schema = format!("t{}", schema.collect::<String>());
    Some(Place::Postgres(Box::new(server_at(port, &schema))))
}

/// A schema of a server of the tests.
pub(crate) fn server_at(port: u16, schema: &str) -> Postgres {
    let address = HostPort::listen(&format!("127.0.0.1:{port}")).unwrap();
    Postgres {
        connector: Connector::new(ConnectOptions::new(address)).unwrap(),
        tls: None,
        user: USER.to_owned(),
        password: Some(PASSWORD.to_owned()),
        database: DATABASE.to_owned(),
        schema: schema.to_owned(),
    }
}

/// How every test opens a store.
pub(crate) fn config_at(folder: &Path, now: &Arc<AtomicI64>, limits: Limits) -> StoreConfig {
    let now = now.clone();
    let clock = Clock::new(move || now.load(Ordering::Relaxed));
    let mut config = StoreConfig::new(Place::Sqlite(folder.join("fhir.db")), clock);
    config.types = vec!["Patient".into(), "Observation".into()];
    let spec = |(of, code, kind): &(&str, &str, ParamKind)| ParamSpec {
        resource_type: (*of).into(),
        code: (*code).into(),
        kind: *kind,
    };
    config.params = PARAMS.iter().map(spec).collect();
    config.limits = limits;
    config
}

pub(crate) fn body(name: &str) -> Body {
    let text = format!("{{\"id\":\"{name}\"}}");
    Body {
        bytes: text.into(),
        splice: 1,
        wrap: true,
        comma: true,
        ..Body::default()
    }
}

pub(crate) fn token(system: &str, code: &str) -> IndexValue {
    IndexValue::Token {
        system: (!system.is_empty()).then(|| system.to_owned()),
        code: Some(code.to_owned()),
    }
}

pub(crate) fn reference(name: &str) -> IndexValue {
    let (of, id) = name.split_once('/').unwrap();
    IndexValue::Reference {
        resource_type: of.to_owned(),
        id: id.to_owned(),
    }
}
