//! Programs that run beside a test, and sites for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::{ends, examples, hilum, text};

/// A program that ends with the test.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(hilum(arguments).stderr(Stdio::null()))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// Waits for its end; gives what it printed.
    pub(crate) fn end(mut self) -> String {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{rest}");
        rest
    }

    /// Its number as a process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.unwrap().success());
    }
}

impl Running {
    /// SIGKILL: nothing is flushed, closed or said.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where all went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Copies a site, with other ports on loopback.
pub(crate) fn copy(from: &Path, folder: &SiteFolder, at: &str, ports: &[(&str, u16)]) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        let below = format!("{at}/{name}");
        if path.is_dir() {
            copy(&path, folder, &below, ports);
            continue;
        }
        // Samples are in whatever character set their system sends.
        let mut content = match String::from_utf8(std::fs::read(&path).unwrap()) {
            Ok(content) => content,
            Err(other) => {
                folder.file(&below, other.into_bytes()).unwrap();
                continue;
            }
        };
        for (known, port) in ports {
            content = content.replace(&format!("127.0.0.1:{known}"), &format!("127.0.0.1:{port}"));
        }
        folder.file(&below, content).unwrap();
    }
}

/// The value that a command prints.
pub(crate) fn json(arguments: &[&str]) -> Value {
    let values = json_lines(arguments);
    match <[Value; 1]>::try_from(values) {
        Ok([value]) => value,
        Err(values) => panic!("hilum {arguments:?} printed {} values", values.len()),
    }
}

/// The values that a command prints, one a line.
pub(crate) fn json_lines(arguments: &[&str]) -> Vec<Value> {
    let (out, told) = ends(arguments, 0);
    let lines = out.lines().map(serde_json::from_str);
    let values = lines.collect::<Result<_, _>>();
    values.unwrap_or_else(|error| panic!("hilum {arguments:?}: {error}\n{out}\n{told}"))
}

/// What the management API answers to a question, head and body.
pub(crate) fn get(at: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The relay of the examples on ports of its own.
pub(crate) struct Relay {
    pub(crate) folder: SiteFolder,
    pub(crate) site: PathBuf,
    pub(crate) data: PathBuf,
    /// The management API.
    pub(crate) at: String,
    /// Where messages go in and out.
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Relay {
    pub(crate) fn new() -> Self {
        let [admin, from, to] = [(); 3].map(|()| free_port().unwrap());
        let folder = SiteFolder::new().unwrap();
        let ports = [("26600", admin), ("26610", from), ("26611", to)];
        copy(&examples().join("relay"), &folder, "site", &ports);
        Self {
            site: folder.path().join("site"),
            data: folder.path().join("data"),
            at: format!("127.0.0.1:{admin}"),
            from: format!("mllp://127.0.0.1:{from}"),
            to: format!("mllp://127.0.0.1:{to}"),
            folder,
        }
    }

    pub(crate) fn run(&self) -> Running {
        let mut node = Running::start(&["run", text(&self.site), "--data", text(&self.data)]);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        node
    }

    pub(crate) fn sample(&self) -> PathBuf {
        self.site.join("samples/a01.hl7")
    }

    /// The first destination as `hilum status` shows it.
    pub(crate) fn destination(&self) -> Value {
        let status = json(&["status", "--at", &self.at, "--json"]);
        status["channels"][0]["destinations"][0].clone()
    }
}
