//! One PostgreSQL for all test processes that run at a time.
//!
//! A test that only needs a database of its own need not wait for a server of its own: the first
//! process starts one, those that come while it runs share it, and it ends three seconds after the
//! last of them. The processes hold a lock on a file for as long as they live, so it also ends when
//! they are killed; a shell, detached from them, looks after that.
//!
//! It forgets everything when it ends and does not sync. Tests that stop and start their server take
//! [`crate::database::postgres`].

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::database::{DATABASE, USER, as_user, checked, give, programs, server_user};
use crate::ports::free_port;

/// How long the server may take to start.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Runs the server and ends it when nobody has held the lock for three seconds.
const KEEPER: &str = r#"
folder=$1; shift
"$@" & server=$!
idle=0
while kill -0 "$server"; do
  sleep 1
  if flock -n "$folder/users" true; then idle=$((idle + 1)); else idle=0; fi
  if [ "$idle" -ge 3 ]; then
    exec 8> "$folder/start"
    flock 8
    if flock -n "$folder/users" true; then
      rm -f "$folder/ready"
      kill -INT "$server"
      wait "$server"
      rm -rf "$folder/data"
      exit
    fi
    exec 8>&-
    idle=0
  fi
done
"#;

/// A place on the shared server, held until the process ends.
#[derive(Debug)]
struct Held {
    port: u16,
    _users: File,
}

static HELD: Mutex<Option<Held>> = Mutex::new(None);

/// The port of the shared server; `None` if servers are to be left out. Its user and database
/// are those of [`crate::database`], any password will do; each test makes a schema of its own.
pub fn shared_postgres() -> io::Result<Option<u16>> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(held) = &*held {
        return Ok(Some(held.port));
    }
    let Some(programs) = programs("initdb", &["/usr/lib/postgresql/*/bin"])? else {
        return Ok(None);
    };
    let user = server_user("postgres")?;
    let uid = user
        .as_ref()
        .map_or("own".to_owned(), |(name, ..)| name.clone());
    let folder = std::env::temp_dir().join(format!("hilum-postgres-{uid}"));
    std::fs::create_dir_all(&folder)?;
    // The server's user has to get to its data.
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
    let lock = |name: &str| {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        options.open(folder.join(name))
    };
    let (start, users) = (lock("start")?, lock("users")?);
    start.lock()?;
    users.lock_shared()?;
    let port = match running(&folder) {
        Some(port) => port,
        None => {
            let port = run(&folder, &programs, user.as_ref())?;
            std::fs::write(folder.join("ready"), port.to_string())?;
            port
        }
    };
    start.unlock()?;
    *held = Some(Held {
        port,
        _users: users,
    });
    Ok(Some(port))
}

/// The port of the server that another process started, if it is there.
fn running(folder: &Path) -> Option<u16> {
    let port = std::fs::read_to_string(folder.join("ready")).ok()?;
    let port = port.trim().parse().ok()?;
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(port)
}

fn run(folder: &Path, programs: &Path, user: Option<&(String, u32, u32)>) -> io::Result<u16> {
    let data = folder.join("data");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::create_dir(&data)?;
    give(&data, user)?;
    let mut init = as_user(user, &programs.join("initdb"));
    // Without a password: an unoptimised program takes long to prove that it knows one.
    init.arg("-D").arg(&data).args(["-U", USER, "-A", "trust"]);
    checked(init.args(["--no-sync", "-E", "UTF8", "--locale=C"]))?;
    let port = free_port()?;
    let server = as_user(user, &programs.join("postgres"));
    let mut keeper = Command::new("setsid");
    keeper.args(["sh", "-c", KEEPER, "keeper"]).arg(folder);
    keeper.arg(server.get_program()).args(server.get_args());
    keeper.arg("-D").arg(&data).arg("-k").arg(&data);
    keeper.args(["-h", "127.0.0.1", "-F", "-p", &port.to_string()]);
    for setting in [
        "full_page_writes=off",
        "max_connections=400",
        "autovacuum=off",
        "shared_buffers=64MB",
    ] {
        keeper.args(["-c", setting]);
    }
    keeper.stdin(Stdio::null()).stdout(Stdio::null());
    keeper.stderr(Stdio::null()).current_dir("/").spawn()?;
    make_database(&programs.join("psql"), port)?;
    Ok(port)
}

/// Makes the database as soon as the server answers.
#[expect(
    clippy::disallowed_methods,
    reason = "a server starts in real time, also where a test pauses its clock"
)]
fn make_database(psql: &PathBuf, port: u16) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        let mut create = Command::new(psql);
        create.args(["-X", "-q", "-h", "127.0.0.1", "-U", USER, "-d", "postgres"]);
        create.args(["-p", &port.to_string(), "-c"]);
        create.arg(format!("create database {DATABASE}"));
        match checked(&mut create) {
            Ok(_) => return Ok(()),
            Err(error) if begun.elapsed() > START_WITHIN => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
