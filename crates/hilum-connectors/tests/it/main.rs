//! Every connector against the suite of the contract and against real peers that fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it left out"
)]

mod fhir;
mod fhir_large;
mod file;
mod followed;
mod http;
mod mllp;
mod others;
mod specs;
mod sql;

use std::sync::Arc;

use hilum_component::conformance::{FakeIntake, FakeSite, Opaque, build_context};
use hilum_component::{
    Build, ComponentKind, Destination, DestinationFactory, Problem, Registry, Source, SourceError,
    SourceFactory, Stop, StopHandle,
};
use serde_json::Value;
use tokio::task::JoinHandle;

fn registry() -> Registry {
    Registry::new(hilum_connectors::specs())
}

fn source_factory(
    name: &str,
    config: &Value,
    site: &FakeSite,
) -> Result<SourceFactory, Vec<Problem>> {
    match registry()
        .get(ComponentKind::Source, name)
        .map(|spec| spec.build)
    {
        Some(Build::Source(build)) => build(config, &build_context(site, &Opaque::shared())),
        _ => panic!("no source {name}"),
    }
}

fn destination_factory(
    name: &str,
    config: &Value,
    site: &FakeSite,
) -> Result<DestinationFactory, Vec<Problem>> {
    match registry()
        .get(ComponentKind::Destination, name)
        .map(|spec| spec.build)
    {
        Some(Build::Destination(build)) => build(config, &build_context(site, &Opaque::shared())),
        _ => panic!("no destination {name}"),
    }
}

fn source(name: &str, config: &Value) -> Box<dyn Source> {
    source_factory(name, config, &FakeSite::default()).unwrap()()
}

fn destination(name: &str, config: &Value) -> Arc<dyn Destination> {
    destination_factory(name, config, &FakeSite::default()).unwrap()()
}

/// A source that runs until it is stopped.
struct Running {
    address: String,
    intake: Arc<FakeIntake>,
    stop: StopHandle,
    task: JoinHandle<Result<(), SourceError>>,
}

impl Running {
    async fn start(mut source: Box<dyn Source>, intake: Arc<FakeIntake>) -> Self {
        let address = source.open().await.unwrap().unwrap_or_default();
        let (stop, requested) = Stop::new();
        let door = intake.door();
        let task = tokio::spawn(async move { source.run(door, requested).await });
        Self {
            address,
            intake,
            stop,
            task,
        }
    }

    async fn stop(self) {
        self.stop.request();
        hilum_testkit::wait::within("the stop", self.task)
            .await
            .unwrap()
            .unwrap();
    }
}
