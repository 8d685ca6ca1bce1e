//! Database servers of the distribution, each test's own, on a free loopback port.
//!
//! A server that is not installed fails the test with the command that installs it; with
//! `HILUM_SKIP_SERVERS=1` the test is left out instead. Servers refuse to run as root, so a test
//! that does runs them as the user that the distribution made for them.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::CertificateFiles;
use crate::ports::free_port;

/// How long a server may take to start.
const START_WITHIN: Duration = Duration::from_secs(60);
/// The user of the tests.
pub const USER: &str = "hilum";
/// The password of the user.
pub const PASSWORD: &str = "not-a-secret";
/// The database of the tests.
pub const DATABASE: &str = "hospital";

/// A running server; stopped when dropped.
#[derive(Debug)]
pub struct Database {
    kind: Kind,
    /// The port on loopback.
    pub port: u16,
    child: Child,
    /// What started it.
    server: Command,
    folder: TempDir,
    programs: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Postgres,
    MariaDb,
}

/// Starts PostgreSQL, with TLS if there is a certificate; `None` if servers are to be left out. It
/// does not sync.
pub fn postgres(tls: Option<&CertificateFiles>) -> io::Result<Option<Database>> {
    start_postgres(tls, &["-F"])
}

/// Starts PostgreSQL as it is for measuring: it syncs, and has the memory of a small server.
pub fn postgres_measured() -> io::Result<Option<Database>> {
    let settings = ["-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB"];
    start_postgres(None, &settings)
}

fn start_postgres(
    tls: Option<&CertificateFiles>,
    settings: &[&str],
) -> io::Result<Option<Database>> {
    let Some(programs) = programs("initdb", &["/usr/lib/postgresql/*/bin"])? else {
        return Ok(None);
    };
    let (folder, user) = home("postgres")?;
    let data = folder.path().join("data");
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD)?;
    give(&password, user.as_ref())?;
    let mut init = as_user(user.as_ref(), &programs.join("initdb"));
    init.arg("-D")
        .arg(&data)
        .arg("--pwfile")
        .arg(&password)
        .args(["-U", USER, "-A", "scram-sha-256"]);
    checked(init.args(["--no-sync", "-E", "UTF8", "--locale=C"]))?;
    let port = free_port()?;
    let mut server = as_user(user.as_ref(), &programs.join("postgres"));
    server
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(folder.path())
        .args(["-h", "127.0.0.1"])
        .args(settings)
        .args(["-p", &port.to_string()]);
    if let Some(files) = tls {
        for (name, file) in [
            ("ssl_cert_file", &files.certificate),
            ("ssl_key_file", &files.key),
        ] {
            let copy = handed_over(file, &folder.path().join(name), user.as_ref())?;
            server.arg("-c").arg(format!("{name}={}", copy.display()));
        }
        server.args(["-c", "ssl=on"]);
    }
    let child = quiet(&mut server).spawn()?;
    let mut database = Database {
        kind: Kind::Postgres,
        port,
        child,
        server,
        folder,
        programs,
    };
    database.answers("select 1", "postgres")?;
    database.run(&format!("create database {DATABASE}"), "postgres")?;
    Ok(Some(database))
}

/// Starts MariaDB, with TLS if there is a certificate; `None` if servers are to be left out.
pub fn mariadb(tls: Option<&CertificateFiles>) -> io::Result<Option<Database>> {
    let Some(programs) = programs("mariadb-install-db", &["/usr/bin", "/usr/local/bin"])? else {
        return Ok(None);
    };
    let server = [
        "/usr/sbin/mariadbd",
        "/usr/local/sbin/mariadbd",
        "/usr/bin/mariadbd",
    ];
    let server = server.iter().map(Path::new).find(|path| path.exists());
    let server = server.ok_or_else(|| missing("mariadbd"))?;
    let (folder, user) = home("mysql")?;
    let data = folder.path().join("data");
    let mut init = as_user(user.as_ref(), &programs.join("mariadb-install-db"));
    init.arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()));
    checked(init.args(["--skip-test-db", "--auth-root-authentication-method=normal"]))?;
    let port = free_port()?;
    let mut server = as_user(user.as_ref(), server);
    server
        .arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()));
    server.arg(format!(
        "--socket={}",
        folder.path().join("socket").display()
    ));
    server.arg(format!(
        "--pid-file={}",
        folder.path().join("pid").display()
    ));
    server.args([
        &format!("--port={port}"),
        "--bind-address=127.0.0.1",
        "--skip-log-bin",
    ]);
    // What is committed survives the end of the server, though not that of the machine.
    server.args([
        "--innodb-flush-log-at-trx-commit=2",
        "--innodb-buffer-pool-size=16M",
    ]);
    if let Some(files) = tls {
        for (name, file) in [("ssl-cert", &files.certificate), ("ssl-key", &files.key)] {
            let copy = handed_over(file, &folder.path().join(name), user.as_ref())?;
            server.arg(format!("--{name}={}", copy.display()));
        }
    }
    let child = quiet(&mut server).spawn()?;
    let mut database = Database {
        kind: Kind::MariaDb,
        port,
        child,
        server,
        folder,
        programs,
    };
    database.answers("select 1", "mysql")?;
    for statement in [
        format!("create database {DATABASE}"),
        format!("create user {USER}@'%' identified by '{PASSWORD}'"),
        format!("grant all on {DATABASE}.* to {USER}@'%'"),
    ] {
        database.run(&statement, "mysql")?;
    }
    Ok(Some(database))
}

impl Database {
    /// Runs a statement as the owner of the server; columns are separated by tabs.
    pub fn sql(&self, statement: &str) -> io::Result<String> {
        self.run(statement, DATABASE)
    }

    /// Stops the server at once, as a machine does that loses power; [`Drop`] cleans up.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Starts the server that was killed, at its port and with its data.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.child = self.server.spawn()?;
        self.answers("select 1", DATABASE)
    }

    fn run(&self, statement: &str, database: &str) -> io::Result<String> {
        let mut command = match self.kind {
            Kind::Postgres => {
                let mut command = Command::new(self.programs.join("psql"));
                command
                    .env("PGPASSWORD", PASSWORD)
                    .args(["-X", "-q", "-A", "-t", "-F", "\t"]);
                command.args(["-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", USER]);
                command.args([
                    "-p",
                    &self.port.to_string(),
                    "-d",
                    database,
                    "-c",
                    statement,
                ]);
                command
            }
            Kind::MariaDb => {
                let socket = self.folder.path().join("socket");
                let mut command = Command::new(self.programs.join("mariadb"));
                command
                    .arg("--no-defaults")
                    .arg(format!("--socket={}", socket.display()));
                command.args(["-u", "root", "-N", "-B", "-D", database, "-e", statement]);
                command
            }
        };
        let output = checked(&mut command)?;
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }

    /// Waits until the server answers. One that ends meanwhile is started anew: what its last run
    /// left in memory may still be there for a moment.
    #[expect(
        clippy::disallowed_methods,
        reason = "a server starts in real time, also where a test pauses its clock"
    )]
    fn answers(&mut self, statement: &str, database: &str) -> io::Result<()> {
        let start = Instant::now();
        loop {
            match self.run(statement, database) {
                Ok(_) => return Ok(()),
                Err(error) if start.elapsed() > START_WITHIN => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
            if self.child.try_wait()?.is_some() {
                self.child = self.server.spawn()?;
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Only the process that was started here, by its id; nothing of it is to be kept.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The user that a server runs as: name, uid and gid.
pub(crate) type ServerUser = (String, u32, u32);

/// A folder for a server, and the user it runs as if this is root.
fn home(name: &str) -> io::Result<(TempDir, Option<ServerUser>)> {
    let folder = tempfile::Builder::new().prefix("hilum-db-").tempdir()?;
    let user = server_user(name)?;
    give(folder.path(), user.as_ref())?;
    Ok((folder, user))
}

/// The user that a server runs as, if this is root.
pub(crate) fn server_user(name: &str) -> io::Result<Option<ServerUser>> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let id = |flag: &str| -> io::Result<u32> {
        let output = checked(Command::new("id").args([flag, name]))?;
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .map_err(io::Error::other)
    };
    Ok(Some((name.to_owned(), id("-u")?, id("-g")?)))
}

pub(crate) fn give(path: &Path, user: Option<&ServerUser>) -> io::Result<()> {
    user.map_or(Ok(()), |(_, uid, gid)| chown(path, Some(*uid), Some(*gid)))
}

/// A copy of a file that only the server's user reads.
fn handed_over(file: &Path, copy: &Path, user: Option<&ServerUser>) -> io::Result<PathBuf> {
    std::fs::copy(file, copy)?;
    std::fs::set_permissions(copy, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    give(copy, user)?;
    Ok(copy.to_path_buf())
}

pub(crate) fn as_user(user: Option<&ServerUser>, program: &Path) -> Command {
    match user {
        None => Command::new(program),
        Some((_, uid, gid)) => {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={uid}"))
                .arg(format!("--regid={gid}"));
            command.arg("--clear-groups").arg(program);
            // The folder of a test may not be readable for the user.
            command.current_dir("/");
            command
        }
    }
}

/// The folder of a program; a `*` in it stands for a version, the newest first.
pub(crate) fn programs(name: &str, places: &[&str]) -> io::Result<Option<PathBuf>> {
    if std::env::var_os("HILUM_SKIP_SERVERS").is_some_and(|value| value == "1") {
        return Ok(None);
    }
    for place in places {
        let found = match place.split_once('*') {
            None => vec![PathBuf::from(place)],
            Some((before, after)) => {
                let versions = std::fs::read_dir(before).into_iter().flatten().flatten();
                let mut found: Vec<PathBuf> = versions
                    .map(|entry| entry.path().join(after.trim_start_matches('/')))
                    .collect();
                found.sort();
                found.reverse();
                found
            }
        };
        if let Some(folder) = found.into_iter().find(|folder| folder.join(name).exists()) {
            return Ok(Some(folder));
        }
    }
    Err(missing(name))
}

fn missing(name: &str) -> io::Error {
    let text =
        format!("{name} is not installed: run `cargo xtask setup`, or set HILUM_SKIP_SERVERS=1");
    io::Error::new(io::ErrorKind::NotFound, text)
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

pub(crate) fn checked(command: &mut Command) -> io::Result<Output> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!(
        "{:?}: {}: {said}",
        command.get_program(),
        output.status
    )))
}
