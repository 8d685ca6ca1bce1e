//! MariaDB and MySQL. The driver opens its own connection, with the address and the TLS files that
//! were checked here.

use std::path::Path;

use hilum_component::Class;
use hilum_net::HostPort;
use mysql_async::consts::ColumnFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, SslOpts, TxOpts, Value as Field};
use serde_json::{Map, Value};

use super::session::{Failure, ROWS_MAX, Row, Server, Values, bound};
use super::statement::{Places, Statement};
use crate::endpoint::Tls;

pub(super) struct MariaDb {
    conn: Conn,
}

impl MariaDb {
    pub(super) async fn open(
        server: &Server,
        address: &HostPort,
        tls: Option<&Tls>,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let options = OptsBuilder::default()
            .ip_or_hostname(address.host.clone())
            .tcp_port(address.port)
            .user(Some(server.user.clone()))
            .pass(server.password.clone())
            .db_name(Some(server.database.clone()))
            .prefer_socket(false)
            .ssl_opts(tls.map(|tls| ssl(tls, folder)));
        let conn = Conn::new(Opts::from(options))
            .await
            .map_err(|error| failure(&error))?;
        Ok(Self { conn })
    }

    pub(super) async fn query(
        &mut self,
        query: &Statement,
        values: &Values,
    ) -> Result<Vec<Row>, Failure> {
        let (text, names) = query.render(Places::Bare);
        let mut result = self
            .conn
            .exec_iter(text, params(&names, values))
            .await
            .map_err(|error| failure(&error))?;
        let mut rows = Vec::new();
        while let Some(row) = result.next().await.map_err(|error| failure(&error))? {
            let columns = row.columns();
            let fields = row.unwrap().into_iter();
            let mut json = Map::new();
            for (column, field) in columns.iter().zip(fields) {
                let binary = column.flags().contains(ColumnFlags::BINARY_FLAG);
                json.insert(column.name_str().into_owned(), value(field, binary));
            }
            rows.push(Row { json });
            if rows.len() >= ROWS_MAX {
                break;
            }
        }
        // Further results of a procedure, and rows beyond the limit, are read off the connection.
        result
            .drop_result()
            .await
            .map_err(|error| failure(&error))?;
        Ok(rows)
    }

    pub(super) async fn execute(
        &mut self,
        statement: &Statement,
        values: &Values,
    ) -> Result<u64, Failure> {
        let (text, names) = statement.render(Places::Bare);
        let failed = |error: mysql_async::Error| failure(&error);
        let mut transaction = self
            .conn
            .start_transaction(TxOpts::default())
            .await
            .map_err(failed)?;
        transaction
            .exec_drop(text, params(&names, values))
            .await
            .map_err(failed)?;
        let changed = transaction.affected_rows();
        transaction.commit().await.map_err(failed)?;
        Ok(changed)
    }
}

fn ssl(tls: &Tls, folder: &Path) -> SslOpts {
    let mut ssl = SslOpts::default();
    if let Some(ca) = &tls.ca {
        ssl = ssl
            .with_root_certs(vec![folder.join(ca).into()])
            .with_disable_built_in_roots(true);
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        let identity = mysql_async::ClientIdentity::new(
            folder.join(certificate).into(),
            folder.join(key).into(),
        );
        ssl = ssl.with_client_identity(Some(identity));
    }
    ssl
}

fn params(names: &[&str], values: &Values) -> Params {
    if names.is_empty() {
        return Params::Empty;
    }
    let bind = |value: Option<&str>| {
        value.map_or(Field::NULL, |text| Field::Bytes(text.as_bytes().to_vec()))
    };
    Params::Positional(bound(names, values).into_iter().map(bind).collect())
}

/// Decimals stay text, so that they stay exact; dates are written as ISO 8601 does.
fn value(field: Field, _binary: bool) -> Value {
    match field {
        Field::NULL => Value::Null,
        Field::Bytes(bytes) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        Field::Int(number) => number.into(),
        Field::UInt(number) => number.into(),
        Field::Float(number) => f64::from(number).into(),
        Field::Double(number) => number.into(),
        Field::Date(year, month, day, 0, 0, 0, 0) => {
            format!("{year:04}-{month:02}-{day:02}").into()
        }
        Field::Date(year, month, day, hour, minute, second, micros) => {
            let fraction = if micros == 0 {
                String::new()
            } else {
                format!(".{micros:06}")
            };
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}")
                .into()
        }
        Field::Time(negative, days, hours, minutes, seconds, micros) => {
            let hours = days * 24 + u32::from(hours);
            let (sign, fraction) = (
                if negative { "-" } else { "" },
                if micros == 0 {
                    String::new()
                } else {
                    format!(".{micros:06}")
                },
            );
            format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}").into()
        }
    }
}

fn failure(error: &mysql_async::Error) -> Failure {
    match error {
        mysql_async::Error::Server(said) => {
            let detail = format!(", error {}", said.code);
            match said.code {
                // Lock wait time-out, deadlock, too many connections, shutdown under way.
                1205 | 1213 | 1040 | 1053 => Failure::new(
                    Class::Retry,
                    "sql-away",
                    format!("SQLSTATE {}{detail}", said.state),
                ),
                // No default for a field, data too long, wrong value: the message's fault.
                1364 | 1406 | 1366 | 1292 | 4025 => Failure::new(
                    Class::Reject,
                    "sql-value",
                    format!("SQLSTATE {}{detail}", said.state),
                ),
                _ => Failure::state(&said.state, &detail),
            }
        }
        mysql_async::Error::Io(mysql_async::IoError::Io(error)) => {
            Failure::new(Class::Retry, "sql-away", hilum_net::io_reason(error))
        }
        mysql_async::Error::Io(_) => {
            Failure::new(Class::Retry, "sql-away", "TLS could not be set up")
        }
        mysql_async::Error::Driver(_)
        | mysql_async::Error::Other(_)
        | mysql_async::Error::Url(_) => Failure::new(
            Class::Retry,
            "sql-away",
            "the connection ended or its protocol was not kept",
        ),
    }
}
