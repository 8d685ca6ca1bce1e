//! The program from the outside, as people and scripts use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod codes;
mod convert;
mod convert_refused;
mod disk;
mod doctor;
mod fhir;
mod fhir_bulk;
mod fhir_care;
mod fhir_channels;
mod fhir_kill;
mod fhir_server;
mod fhir_tls;
mod flows;
mod folder;
mod interface;
mod journal;
mod kit;
mod life;
mod marks;
mod node;
mod operate;
mod peers;
mod plans;
mod power;
mod reading;
mod ready;
mod relay;
mod right_patient;
mod subscription_nodes;
mod subscription_sockets;
mod subscriptions;
mod terminology;
mod terminology_breaks;

use std::path::PathBuf;
use std::process::{Command, Output};

/// The program with these arguments; no colour, no settings from around.
fn hilum(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hilum"));
    command.args(arguments).env("NO_COLOR", "1");
    for name in ["HILUM_AT", "HILUM_DATA", "HILUM_ENVIRONMENT", "HILUM_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Runs the program to its end; checks its exit code.
fn ends(arguments: &[&str], code: i32) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = hilum(arguments).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (stdout, stderr) = (text(stdout), text(stderr));
    assert_eq!(
        status.code(),
        Some(code),
        "hilum {arguments:?}\n{stdout}\n{stderr}"
    );
    (stdout, stderr)
}

/// The repository's folder of examples.
fn examples() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../config/examples"
    ))
}

/// The text of a path.
fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A file of the material beside the tree, if it is there.
fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var("HILUM_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let file = PathBuf::from(folder).join(path);
    file.exists().then_some(file)
}
