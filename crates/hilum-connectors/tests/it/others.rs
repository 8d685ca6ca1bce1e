//! Peers that others made: the MLLP client of python-hl7, the HTTP clients of Python and curl.
//!
//! A program that is not installed fails the test with the command that installs it; with
//! `HILUM_SKIP_SERVERS=1` the test is left out instead.

use hilum_component::conformance::FakeIntake;
use serde_json::json;
use tokio::process::Command;

use super::mllp::message;
use crate::{Running, source};

/// The Python of the distribution, which has the distribution's packages.
const PYTHON: &str = "/usr/bin/python3";

/// What a program says on its standard output; `None` if it is to be left out.
async fn said(program: &str, arguments: &[&str]) -> Option<String> {
    if std::env::var_os("HILUM_SKIP_SERVERS").is_some_and(|value| value == "1") {
        println!("not run: {program} (HILUM_SKIP_SERVERS)");
        return None;
    }
    let run = Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = hilum_testkit::wait::within("the other program", run).await;
    let remedy = "run `cargo xtask setup`, or set HILUM_SKIP_SERVERS=1";
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: {remedy}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}\n{remedy}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

fn port(running: &Running) -> String {
    let place = running.address.trim_start_matches("http://");
    let place = place.split('/').next().unwrap();
    place.rsplit(':').next().unwrap().to_owned()
}

const MLLP: &str = "
import sys
from hl7.client import MLLPClient
port, message = int(sys.argv[1]), sys.argv[2]
with MLLPClient('127.0.0.1', port) as client:
    for one in [message, message + 'ZZZ|' + 'x' * 2000 + '\\r', message]:
        print(client.send_message(one).strip(b'\\x0b\\x1c\\r').decode())
";

#[tokio::test]
async fn the_mllp_client_of_python_hl7_is_answered() {
    let config = json!({ "listen": "0", "frame-bytes-max": "2kB" });
    let running = Running::start(source("mllp", &config), FakeIntake::new()).await;
    let text = String::from_utf8(message(1).to_vec()).unwrap();
    let Some(answers) = said(PYTHON, &["-c", MLLP, &port(&running), &text]).await else {
        return;
    };
    assert_eq!(answers, "yes\nno\nyes");
    assert!(running.intake.contents() == [message(1), message(1)]);
    running.stop().await;
}

const HTTP: &str = "
import http.client, sys
client = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=20)
for body in [b'one', b'x' * 3000, b'two']:
    client.request('POST', '/in', body)
    response = client.getresponse()
    print(response.status)
    response.read()
";

#[tokio::test]
async fn the_http_clients_of_python_and_curl_are_answered() {
    let config = json!({ "listen": "0", "path": "/in", "body-max": "2kB" });
    let running = Running::start(source("http", &config), FakeIntake::new()).await;
    let port = port(&running);
    let Some(statuses) = said(PYTHON, &["-c", HTTP, &port]).await else {
        return;
    };
    assert_eq!(statuses, "200\n413\n200");
    let url = format!("http://127.0.0.1:{port}/in");
    for (body, expected) in [
        ("three".to_owned(), "yes 200"),
        ("x".repeat(3000), "no 413"),
    ] {
        let arguments = ["-sS", "-w", " %{http_code}", "--data-binary", &body, &url];
        assert_eq!(said("curl", &arguments).await.unwrap(), expected);
    }
    assert_eq!(running.intake.contents(), [&b"one"[..], b"two", b"three"]);
    running.stop().await;
}
