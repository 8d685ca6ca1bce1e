//! One door: a server on a port of its own, and requests to it over a real socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use hilum_component::{Stop, StopHandle};
use hilum_fhir_server::{
    Fhir, FhirOptions, Limits, SubscriptionOptions, TenantOptions, TopicOptions, TriggerOptions,
    Validate,
};
use hilum_fhir_store::Postgres;
use hilum_net::{ClientTls, ConnectOptions, Connector, HostPort, ListenOptions, Listener};
use hilum_terminology::Shelf;
use hilum_testkit::cluster::shared_postgres;
use hilum_testkit::database::{DATABASE, USER};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

/// A server with an empty store, or with the store of an earlier one.
pub(crate) struct Server {
    pub(crate) address: String,
    stop: Option<StopHandle>,
    serving: Option<tokio::task::JoinHandle<()>>,
    fhir: Option<Arc<Fhir>>,
    folder: Arc<tempfile::TempDir>,
    sources: Sources,
    /// One connection is kept, so that the tests use it over and over.
    kept: Mutex<Option<Sender>>,
}

/// Where it may import from, and the code systems that are loaded.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    pub(crate) from: Vec<String>,
    pub(crate) tls: Option<Arc<ClientTls>>,
    pub(crate) terminology: Arc<Shelf>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// 2026-01-02T03:04:05.000Z
pub(crate) const BEGIN_MS: i64 = 1_767_323_045_000;

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default(), Validate::Enforce).await
    }

    pub(crate) async fn with(limits: Limits, validate: Validate) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::on(folder, limits, validate, Sources::default()).await
    }

    /// A server that may import from elsewhere.
    pub(crate) async fn importing(sources: Sources, limits: Limits) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::on(folder, limits, Validate::Enforce, sources).await
    }

    async fn on(
        folder: Arc<tempfile::TempDir>,
        limits: Limits,
        validate: Validate,
        sources: Sources,
    ) -> Self {
        Self::open(folder, limits, validate, sources, &|_| {}).await
    }

    /// A server whose first tenant is opened in another way.
    pub(crate) async fn tuned(tune: &dyn Fn(&mut TenantOptions)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let (limits, sources) = (Limits::default(), Sources::default());
        Self::open(folder, limits, Validate::Enforce, sources, tune).await
    }

    async fn open(
        folder: Arc<tempfile::TempDir>,
        limits: Limits,
        validate: Validate,
        sources: Sources,
        tune: &dyn Fn(&mut TenantOptions),
    ) -> Self {
        // Every look at the clock takes a second, so that versions differ in what HTTP can say.
        let now = AtomicI64::new(BEGIN_MS);
        let tenant = |name: &str, file: PathBuf| TenantOptions {
            name: name.to_owned(),
            jobs: file.with_extension("jobs"),
            postgres: postgres(&file),
            file,
            validate,
            ..TenantOptions::default()
        };
        let mut first = tenant("", folder.path().join("fhir.db"));
        tune(&mut first);
        let options = FhirOptions {
            terminology: Arc::clone(&sources.terminology),
            tenants: vec![
                first,
                tenant("second", folder.path().join("fhir-second.db")),
            ],
            url: None,
            origins: vec!["https://app.example".to_owned()],
            import_folder: Some(folder.path().join("import")),
            import_from: sources.from.clone(),
            import_tls: sources.tls.clone(),
            limits,
            subscriptions: SubscriptionOptions {
                topics: vec![TopicOptions {
                    url: "http://hilum.example/topics/result".to_owned(),
                    triggers: vec![TriggerOptions {
                        resource: "Observation".to_owned(),
                        ..TriggerOptions::default()
                    }],
                    filters: vec!["Observation?status".to_owned()],
                    ..TopicOptions::default()
                }],
                ..SubscriptionOptions::default()
            },
            clock: Arc::new(move || now.fetch_add(1_000, Ordering::Relaxed)),
        };
        let fhir = Fhir::open(options).await.unwrap();
        let address = HostPort::listen("127.0.0.1:0").unwrap();
        let listener = Listener::bind(ListenOptions::new(address)).await.unwrap();
        let address = listener.local_address().to_string();
        let (stop, stopped) = Stop::new();
        Self {
            address,
            stop: Some(stop),
            serving: Some(tokio::spawn(Arc::clone(&fhir).serve(listener, stopped))),
            fhir: Some(fhir),
            folder,
            sources,
            kept: Mutex::new(None),
        }
    }

    /// The door to a server that another value holds.
    pub(crate) fn client(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            stop: None,
            serving: None,
            fhir: None,
            folder: Arc::new(tempfile::tempdir().unwrap()),
            sources: Sources::default(),
            kept: Mutex::new(None),
        }
    }

    /// Sends these very bytes and reads until the server closes.
    pub(crate) async fn raw(&self, text: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Stops it and starts another one on the same store.
    pub(crate) async fn again(self) -> Self {
        self.again_with(Limits::default()).await
    }

    /// The folder below which files may be imported.
    pub(crate) fn import_folder(&self) -> PathBuf {
        self.folder.path().join("import")
    }

    /// Folders of jobs of the first tenant.
    pub(crate) fn job_folders(&self) -> usize {
        let folder = self.folder.path().join("fhir.jobs");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// As [`Server::again`], with other limits.
    pub(crate) async fn again_with(mut self, limits: Limits) -> Self {
        let folder = Arc::clone(&self.folder);
        self.stop.take().unwrap().request();
        drop(self.kept.get_mut().take());
        drop(self.fhir.take());
        self.serving.take().unwrap().await.unwrap();
        let sources = self.sources.clone();
        Self::on(folder, limits, Validate::Enforce, sources).await
    }

    /// The way of channels to it.
    pub(crate) fn port(&self) -> Arc<dyn hilum_component::FhirPort> {
        self.fhir.as_ref().unwrap().port()
    }

    /// The URL of the first tenant.
    pub(crate) fn base(&self) -> String {
        format!("http://{}/fhir", self.address)
    }

    async fn connect(&self) -> Sender {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Sends a request to a path below `/fhir` and reads the whole answer. Without a
    /// `content-type` among the headers a body is FHIR JSON.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let body: Bytes = body.into();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/fhir{path}"))
            .header("host", &self.address);
        let named = |wanted: &str| headers.iter().any(|(name, _)| *name == wanted);
        if !body.is_empty() && !named("content-type") {
            request = request.header("content-type", "application/fhir+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let mut kept = self.kept.lock().await;
        let mut sender = match kept.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect().await,
        };
        if sender.ready().await.is_err() {
            sender = self.connect().await;
        }
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        *kept = Some(sender);
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &[], body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.request("PUT", path, &[], body.to_string()).await
    }

    /// Begins work that is answered later; the path of its status.
    pub(crate) async fn begin(&self, method: &str, path: &str, body: impl Into<Bytes>) -> String {
        let headers = [("prefer", "respond-async")];
        let begun = self.request(method, path, &headers, body).await;
        assert_eq!(begun.status, 202, "{path}: {}", begun.told());
        let status = begun.header("content-location");
        status.split_once("/fhir").unwrap().1.to_owned()
    }

    /// The answer of work when it is done.
    pub(crate) async fn ended(&self, status: &str) -> Answer {
        let deadline = tokio::time::Instant::now() + 2 * hilum_testkit::wait::PATIENCE;
        while tokio::time::Instant::now() < deadline {
            let answer = self.get(status).await;
            if answer.status != 202 {
                return answer;
            }
            assert_ne!(answer.header("retry-after"), "");
            assert_ne!(answer.header("x-progress"), "");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{status} does not end");
    }

    /// The lines of the files of a part of a manifest, in the order of their types and text.
    pub(crate) async fn lines(&self, manifest: &Value, part: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        for file in manifest[part].as_array().unwrap() {
            let path = file["url"].as_str().unwrap().split_once("/fhir").unwrap().1;
            let answer = self.get(path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.told());
            assert_eq!(answer.header("content-type"), "application/fhir+ndjson");
            let text = answer.text();
            assert_eq!(text.lines().count() as u64, file["count"], "{path}");
            lines.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
        }
        lines.sort_by_key(|line: &Value| format!("{}/{}", line["resourceType"], line["id"]));
        lines
    }

    /// Stores a resource under its id.
    pub(crate) async fn store(&self, body: Value) {
        let path = format!(
            "/{}/{}",
            body["resourceType"].as_str().unwrap(),
            body["id"].as_str().unwrap()
        );
        let answer = self.put(&path, &body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The codes of the issues of an OperationOutcome.
    pub(crate) fn issues(&self) -> Vec<String> {
        let json = self.json();
        assert_eq!(json["resourceType"], "OperationOutcome", "{json}");
        json["issue"]
            .as_array()
            .unwrap()
            .iter()
            .map(|issue| issue["code"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Status and diagnostics, for messages of tests.
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.status, self.text())
    }

    /// The resources of a page, as `Type/id`, with those that were included behind a `+`.
    pub(crate) fn found(&self) -> Vec<String> {
        let json = self.json();
        assert_eq!(json["resourceType"], "Bundle", "{}", self.told());
        json["entry"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| {
                let resource = &entry["resource"];
                let kind = resource["resourceType"].as_str().unwrap_or("?");
                let id = resource["id"].as_str().unwrap_or("");
                match entry["search"]["mode"].as_str() {
                    Some("include") => format!("+{kind}/{id}"),
                    Some("outcome") => "outcome".to_owned(),
                    _ => format!("{kind}/{id}"),
                }
            })
            .collect()
    }

    /// The URL of a link of a page, below `/fhir`.
    pub(crate) fn link(&self, relation: &str) -> Option<String> {
        let json = self.json();
        let links = json["link"].as_array()?;
        let link = links.iter().find(|link| link["relation"] == relation)?;
        let url = link["url"].as_str()?;
        Some(url.split_once("/fhir")?.1.to_owned())
    }
}

/// The schema that stands for a file, where the tests run on PostgreSQL.
fn postgres(file: &Path) -> Option<Box<Postgres>> {
    if !crate::POSTGRES {
        return None;
    }
    let Some(port) = shared_postgres().unwrap() else {
        println!("not run: on PostgreSQL (no servers)");
        return None;
    };
    // Folder and file are those of one test.
    let name = file.with_extension("");
    let mut name = name.iter().rev().map(|part| part.as_encoded_bytes());
    let tenant = name.next().unwrap().len();
    let folder = name.next().unwrap().iter();
    let folder = folder.map(|byte| format!("{byte:02x}"));
    let schema = format!("s{}_{tenant}", folder.collect::<String>());
    let address = HostPort::listen(&format!("127.0.0.1:{port}")).unwrap();
    Some(Box::new(Postgres {
        connector: Connector::new(ConnectOptions::new(address)).unwrap(),
        tls: None,
        user: USER.to_owned(),
        password: None,
        database: DATABASE.to_owned(),
        schema,
    }))
}

/// The folder with test material, if it is there.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("HILUM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    folder.is_dir().then_some(folder)
}

/// What `bzip2` unpacks; none where it is not installed.
pub(crate) fn unpacked(path: &Path) -> Option<Vec<u8>> {
    let output = std::process::Command::new("bzip2")
        .arg("-dc")
        .arg(path)
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

/// Bundles of Synthea: first those of hospitals and practitioners, which the others refer to, then
/// so many patients, the smallest first.
pub(crate) fn synthea(shared: &Path, patients: usize) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(shared.join("suites/synthea-r4"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".json.bz2"))
        .collect();
    // The names of the first two begin with `0-`.
    files.sort();
    let mut rest = files.split_off(2);
    rest.sort_by_key(|path| std::fs::metadata(path).unwrap().len());
    files.extend(rest.into_iter().take(patients));
    files
}

/// A text as a part of a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// All at once.
pub(crate) async fn at_once<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut open: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, output) in &mut open {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => *output = Some(done),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    open.into_iter().filter_map(|(_, output)| output).collect()
}
