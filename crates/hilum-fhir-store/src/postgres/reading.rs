//! Several statements that see one state, within a time.

use std::cell::RefCell;
use std::time::Duration;

use hilum_db::{Cancel, DbClass, DbError};
use tokio::time::Instant;
use tokio_postgres::Row;

use super::link::{Link, Values, is_passing};
use crate::error::StoreError;

/// How often a read is done anew when its connection turns out to be closed or the server says
/// that it should be.
const TRIES_MAX: usize = 4;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A snapshot that is being read. It begins with its first statement, in the same round trip.
pub(super) struct Reading<'a> {
    link: &'a mut Link,
    cancel: &'a Cancel,
    until: Instant,
    begun: bool,
}

impl Reading<'_> {
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.link.batch(sql)
    }
}

impl Ask for Reading<'_> {
    fn query(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        if self.begun {
            return self.link.query(sql, values);
        }
        self.begun = true;
        let mut rows = self.link.together(&[(BEGIN, &[]), (sql, values)])?;
        Ok(rows.pop().unwrap_or_default())
    }

    fn goes_on(&self) -> Result<(), StoreError> {
        if self.cancel.is_cancelled() || Instant::now() >= self.until {
            let name = self.link.name().clone();
            return Err(DbError::new(DbClass::Cancelled, "read from", name).into());
        }
        Ok(())
    }
}

/// What searches ask: a snapshot, or the transaction of the writer.
pub(super) trait Ask {
    fn query(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError>;

    /// Fails when nobody waits any more or the time is over.
    fn goes_on(&self) -> Result<(), StoreError>;

    /// The number in the first column of the only row.
    fn number(&mut self, sql: &'static str, values: Values<'_>) -> Result<i64, StoreError> {
        let rows = self.query(sql, values)?;
        let number = rows.first().and_then(|row| row.try_get(0).ok());
        number.ok_or(StoreError::Invalid("a statement without its row"))
    }
}

impl<A: Ask> Ask for &mut A {
    fn query(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        (**self).query(sql, values)
    }

    fn goes_on(&self) -> Result<(), StoreError> {
        (**self).goes_on()
    }
}

/// For several searches of one snapshot, one after the other.
impl<A: Ask> Ask for &RefCell<A> {
    fn query(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        self.borrow_mut().query(sql, values)
    }

    fn goes_on(&self) -> Result<(), StoreError> {
        self.borrow().goes_on()
    }
}

/// The writer's own transaction, whose searches are bounded by the rows they look at.
pub(super) struct Unbounded<'a>(pub(super) &'a mut Link);

impl Ask for Unbounded<'_> {
    fn query(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        self.0.query(sql, values)
    }

    fn goes_on(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Runs a read; once more if its connection had been closed meanwhile.
pub(super) fn read<T>(
    link: &mut Link,
    within: Duration,
    cancel: &Cancel,
    mut work: impl FnMut(&mut Reading<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let until = Instant::now() + within;
    let mut tries = 0;
    loop {
        tries += 1;
        let was_open = link.is_open();
        let mut reading = Reading {
            link,
            cancel,
            until,
            begun: false,
        };
        let outcome = work(&mut reading);
        let begun = reading.begun;
        let again = match &outcome {
            Ok(_) => false,
            Err(StoreError::Away { .. }) => was_open,
            Err(error) => is_passing(error),
        };
        if begun && link.is_open() {
            // The read has its outcome, whatever becomes of its end.
            link.roll_back();
        }
        if !again || tries >= TRIES_MAX {
            return outcome;
        }
    }
}
