//! The limit program: MLLP in, one SQLite group commit, MLLP out, and nothing else.
//!
//! It shows what this machine, its disk and SQLite allow. It does not parse, transform, index,
//! compress, recognise resends, keep order by keys, retry or recover: it is what is left of a hub
//! when everything that makes it one is taken away. It shares no code with the product.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Args;
use hilum_testkit::messages::answer;
use hilum_testkit::mllp::Client;
use rusqlite::Connection;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Connections to the receiver, each one message at a time.
const LANES: usize = 8;
/// Operations that wait for the writer, and messages that wait for a lane.
const QUEUE: usize = 4_096;
/// Operations in one commit.
const GROUP: usize = 512;

/// `hilum-rig limit-engine`
#[derive(Debug, Args)]
pub(crate) struct LimitEngine {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Where to deliver to
    #[arg(long)]
    forward: SocketAddr,
    /// The folder of the database
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
}

/// What the writer is asked to do.
enum Op {
    Accept {
        body: Bytes,
        done: oneshot::Sender<i64>,
    },
    Settle {
        id: i64,
    },
}

impl LimitEngine {
    pub(crate) async fn run(self) -> Result<()> {
        let database = open(&self.data)?;
        let (ops, waiting) = mpsc::channel(QUEUE);
        thread::spawn(move || {
            if let Err(error) = write(database, waiting) {
                println!("error: {error:#}");
            }
        });
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            let (lane, queue) = mpsc::channel(QUEUE);
            lanes.push(lane);
            let client = Client::connect(self.forward)
                .await
                .with_context(|| format!("connect to {}", self.forward))?;
            tokio::spawn(deliver(client, queue, ops.clone()));
        }
        let listener = TcpListener::bind(self.listen).await?;
        println!("ready at {}", self.listen);
        let mut terminated =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        for number in 0_usize.. {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted?.0,
                _ = terminated.recv() => return Ok(()),
            };
            stream.set_nodelay(true)?;
            let Some(lane) = lanes.get(number % LANES).cloned() else {
                continue;
            };
            tokio::spawn(receive(Client::over(stream), lane, ops.clone()));
        }
        Ok(())
    }
}

/// One connection of a sender: commit, answer, hand over.
async fn receive(
    mut peer: Client,
    lane: mpsc::Sender<(i64, Bytes)>,
    ops: mpsc::Sender<Op>,
) -> Option<()> {
    while let Some(body) = peer.receive().await.ok()? {
        let (done, committed) = oneshot::channel();
        let op = Op::Accept {
            body: body.clone(),
            done,
        };
        ops.send(op).await.ok()?;
        let id = committed.await.ok()?;
        peer.send(&answer(&body, "AA", None)).await.ok()?;
        lane.send((id, body)).await.ok()?;
    }
    Some(())
}

/// One connection to the receiver.
async fn deliver(
    mut peer: Client,
    mut queue: mpsc::Receiver<(i64, Bytes)>,
    ops: mpsc::Sender<Op>,
) -> Option<()> {
    while let Some((id, body)) = queue.recv().await {
        peer.exchange(&body).await.ok()?;
        ops.send(Op::Settle { id }).await.ok()?;
    }
    Some(())
}

fn open(folder: &Path) -> Result<Connection> {
    let database = Connection::open(folder.join("limit.db"))?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 8000;
         PRAGMA cache_size = -16384;
         CREATE TABLE message (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
         CREATE TABLE delivery (message INTEGER PRIMARY KEY, state INTEGER NOT NULL);",
    )?;
    Ok(database)
}

/// The one writer: everybody who waits shares a commit.
fn write(database: Connection, mut waiting: mpsc::Receiver<Op>) -> Result<()> {
    let mut accept = database.prepare("INSERT INTO message (body) VALUES (?1)")?;
    let mut queue = database.prepare("INSERT INTO delivery (message, state) VALUES (?1, 0)")?;
    let mut settle = database.prepare("UPDATE delivery SET state = 1 WHERE message = ?1")?;
    let mut committed = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        database.execute_batch("BEGIN IMMEDIATE")?;
        let mut next = Some(first);
        let mut group = 0;
        while let Some(op) = next {
            match op {
                Op::Accept { body, done } => {
                    let id = accept.insert([&body[..]])?;
                    queue.execute([id])?;
                    committed.push((id, done));
                }
                Op::Settle { id } => {
                    settle.execute([id])?;
                }
            }
            group += 1;
            next = (group < GROUP).then(|| waiting.try_recv().ok()).flatten();
        }
        database.execute_batch("COMMIT")?;
        for (id, done) in committed.drain(..) {
            if done.send(id).is_err() {
                // The sender went away and no longer waits.
            }
        }
    }
    Ok(())
}
