//! Databases: PostgreSQL, MariaDB (and MySQL), SQLite.

mod config;
mod destination;
#[cfg(feature = "mariadb")]
mod mariadb;
mod postgres;
mod session;
mod source;
mod sqlite;
mod statement;

use hilum_component::{Build, ComponentSpec, Example, Limit};

use crate::endpoint;

/// The source.
pub(crate) fn source_spec() -> ComponentSpec {
    ComponentSpec {
        name: "sql",
        summary: "Reads a view or calls a procedure on a schedule, one message for each row",
        schema: endpoint::schema::<config::SourceConfig>,
        shorthand: None,
        examples: &[
            Example {
                title: "New rows of a view, as JSON",
                yaml: "sql:\n  url: postgres://hilum@db.example:5432/lab\n  password: env:LAB_DB\n  query: select id, mrn, code, value from results where id > :cursor order by id limit 500\n  cursor: id\n  start: '0'\n  every: 10s\n",
                effect: None,
            },
            Example {
                title: "New rows as delimited text, for a channel of `format: delimited`",
                yaml: "sql:\n  url: sqlite:wards.db\n  query: select id, mrn, bed from bed_changes where id > :cursor order by id\n  cursor: id\n  start: '0'\n  row: delimited\n",
                effect: None,
            },
            Example {
                title: "A procedure that hands out messages, marked when they are taken",
                yaml: "sql:\n  url: mariadb://hilum@db.example/outbox\n  password: env:OUTBOX_DB\n  query: call next_messages()\n  payload: message\n  after: update outbox set taken = 1 where id = :id\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "rows",
                value: "10,000 of a look",
                beyond: "they are read by the next look, so the query orders by its cursor",
            },
            Limit {
                name: "answer-within",
                value: "30s",
                beyond: "the look failed, and is made again",
            },
            Limit {
                name: "repeats",
                value: "a row whose message is durable when the machine stops before the cursor is kept",
                beyond: "it is read again",
            },
            Limit {
                name: "databases",
                value: "PostgreSQL, MariaDB and MySQL, SQLite",
                beyond: "SQL Server and Oracle are not supported; MariaDB and MySQL can be left out of a build (feature `mariadb`)",
            },
            Limit {
                name: "procedures",
                value: "MariaDB; in PostgreSQL a function in `select * from f(:cursor)`",
                beyond: "a procedure of PostgreSQL returns no rows",
            },
        ],
        build: Build::Source(source::build),
    }
}

/// The destination.
pub(crate) fn destination_spec() -> ComponentSpec {
    ComponentSpec {
        name: "sql",
        summary: "Writes values of each message with one statement in one transaction",
        schema: endpoint::schema::<config::DestinationConfig>,
        shorthand: None,
        examples: &[
            Example {
                title: "One row for each admission, once for each delivery",
                yaml: "sql:\n  url: postgres://hilum@db.example:5432/ward\n  password: env:WARD_DB\n  statement: insert into admissions (delivery, mrn, ward) values (:delivery, :mrn, :ward) on conflict (delivery) do nothing\n  params: { mrn: 'PID-3.1', ward: 'PV1-3.1' }\n",
                effect: None,
            },
            Example {
                title: "A file of SQLite in the site's folder",
                yaml: "sql:\n  url: sqlite:board.db\n  statement: insert into board (mrn, name) values (:mrn, :name)\n  params: { mrn: 'PID-3[1].1', name: 'PID-5[1].1' }\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "connections",
                value: "1",
                beyond: "deliveries wait for a connection",
            },
            Limit {
                name: "answer-within",
                value: "30s",
                beyond: "the attempt failed and its connection is closed; the destination tries again",
            },
            Limit {
                name: "values",
                value: "the first value of each expression, as text",
                beyond: "the database converts it to the type of its column",
            },
            Limit {
                name: "repeats",
                value: "at least once",
                beyond: "`:delivery` is the same on every attempt: let a unique column hold it",
            },
        ],
        build: Build::Destination(destination::build),
    }
}
