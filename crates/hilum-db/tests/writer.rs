//! A writer whose operations may fail.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's door is a failure of the test"
)]

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use hilum_db::rusqlite::Connection;
use hilum_db::{
    Cancel, DbClass, DbError, DbFile, Doing, Handler, Readers, RealFiles, Recovery, Schema, Writer,
    WriterLimits,
};

const SCHEMA: Schema = Schema {
    application_id: 7,
    steps: &["CREATE TABLE t (n INTEGER PRIMARY KEY)"],
};

struct Insert {
    n: i64,
    done: SyncSender<(i64, Result<(), DbClass>)>,
}

struct Inserts;

impl Handler for Inserts {
    type Op = Insert;

    fn opened(&mut self, _: &Connection, _: Recovery) -> Result<(), DbError> {
        Ok(())
    }

    fn begin(&mut self) {}

    fn apply(&mut self, conn: &Connection, op: &mut Insert) -> Result<(), DbError> {
        conn.execute("INSERT INTO t VALUES (?1)", [op.n])
            .map(drop)
            .doing("insert into", "test.db")
    }

    fn mark(&mut self) {}

    fn rewind(&mut self) {}

    fn closing(&mut self, _: &Connection) -> Result<(), DbError> {
        Ok(())
    }

    fn committed(&mut self, _: &Connection, ops: Vec<Insert>) {
        for op in ops {
            op.done.send((op.n, Ok(()))).unwrap();
        }
    }

    fn refused(&mut self, op: Insert, error: &DbError) {
        op.done.send((op.n, Err(error.class()))).unwrap();
    }

    fn failed(&mut self, ops: Vec<Insert>, error: &DbError) {
        for op in ops {
            self.refused(op, error);
        }
    }
}

#[test]
fn an_operation_that_fails_does_not_fail_its_neighbours_and_reads_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let file = DbFile::new(dir.path().join("test.db"), Arc::new(RealFiles), SCHEMA);
    let writer = Writer::start(file.clone(), WriterLimits::default(), Inserts).unwrap();
    let (done, outcomes) = sync_channel(100);
    // Handed in while the first group is synced, so that most share a group.
    let numbers = [1, 2, 2, 3, 1, 4, 4, 4, 5];
    for n in numbers {
        let done = done.clone();
        assert!(writer.submit(0, 1, 10, Insert { n, done }).is_ok());
    }
    let (mut good, mut refused) = (Vec::new(), 0);
    for _ in numbers {
        match outcomes.recv().unwrap() {
            (n, Ok(())) => good.push(n),
            (_, Err(class)) => {
                assert_eq!(class, DbClass::Constraint);
                refused += 1;
            }
        }
    }
    assert_eq!((good, refused), (vec![1, 2, 3, 4, 5], 4));

    let readers = Readers::new(file, 2);
    let number = |sql: &'static str| {
        move |conn: &Connection| {
            conn.query_row(sql, [], |row| row.get::<_, i64>(0))
                .doing("count", "test.db")
        }
    };
    let count = "SELECT count(*) FROM t";
    let endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) \
                   SELECT max(n) FROM r";
    let limit = std::time::Duration::from_millis(20);
    let stopped = readers.read_within(limit, &Cancel::new(), number(endless));
    assert_eq!(stopped.unwrap_err().class(), DbClass::Cancelled);
    let again = readers.read(&Cancel::new(), number(count));
    assert_eq!(again.unwrap(), 5, "the connection can be used again");
}
