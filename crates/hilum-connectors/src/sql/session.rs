//! One connection to a database, whichever it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hilum_component::{
    BuildContext, Class, DeliveryError, Problem, Secret, SystemInfo, SystemName,
};
#[cfg(feature = "mariadb")]
use hilum_net::HostPort;
use hilum_net::{ClientTls, Connector, NetError};

#[cfg(feature = "mariadb")]
use super::mariadb;
use super::statement::Statement;
use super::{postgres, sqlite};
use crate::endpoint::{self, Tls};

/// Rows of one look.
pub(super) const ROWS_MAX: usize = 10_000;

/// Values by name; `None` is NULL.
pub(super) type Values = BTreeMap<String, Option<String>>;

/// Where a database is.
#[derive(Clone)]
pub(super) enum Target {
    Postgres {
        server: Server,
        connector: Connector,
    },
    #[cfg(feature = "mariadb")]
    MariaDb {
        server: Server,
        address: HostPort,
        tls: Option<Tls>,
        folder: PathBuf,
    },
    Sqlite(PathBuf),
}

/// What a server is told.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) database: String,
    /// For those that begin plain and ask for TLS on the way.
    pub(super) tls: Option<Arc<ClientTls>>,
}

/// One row.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The row as JSON.
    pub(super) json: serde_json::Map<String, serde_json::Value>,
}

impl Row {
    /// The row as delimited text (RFC 4180): the columns' names, then their values.
    pub(super) fn delimited(&self) -> String {
        let names = self.json.keys().map(|name| Some(name.clone()));
        let values = self.json.keys().map(|name| self.text(name));
        format!("{}\r\n{}\r\n", delimited(names), delimited(values))
    }

    /// A column as text.
    pub(super) fn text(&self, column: &str) -> Option<String> {
        match self.json.get(column)? {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

fn delimited(cells: impl Iterator<Item = Option<String>>) -> String {
    let mut line = String::new();
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            line.push(',');
        }
        let cell = cell.unwrap_or_default();
        if cell.contains(['"', ',', '\r', '\n']) {
            line.extend(["\"", &cell.replace('"', "\"\""), "\""]);
        } else {
            line.push_str(&cell);
        }
    }
    line
}

/// Why a statement failed, without content: databases repeat values in their messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) class: Class,
    pub(super) code: &'static str,
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(class: Class, code: &'static str, text: impl Into<String>) -> Self {
        Self {
            class,
            code,
            text: text.into(),
            hint: None,
        }
    }

    /// By the class of an SQLSTATE; `detail` names a constraint, column or number, no value.
    pub(super) fn state(state: &str, detail: &str) -> Self {
        let (class, code) = match (state, state.get(..2).unwrap_or_default()) {
            ("55P03" | "57014", _) | (_, "08" | "40" | "53" | "57" | "58") => {
                (Class::Retry, "sql-away")
            }
            (_, "22" | "23" | "44" | "21") => (Class::Reject, "sql-value"),
            (_, "28") => (Class::Halt, "sql-login"),
            _ => (Class::Halt, "sql-statement"),
        };
        Self::new(class, code, format!("SQLSTATE {state}{detail}"))
    }

    pub(super) fn late(within: Duration) -> Self {
        let text = format!("no answer within {} s", within.as_secs_f64());
        Self {
            hint: Some("`answer-within` sets the time".to_owned()),
            ..Self::new(Class::Retry, "answer-timeout", text)
        }
    }

    pub(super) fn net(error: &NetError) -> Self {
        Self {
            hint: error.hint(),
            ..Self::new(Class::Retry, error.code(), error.chain())
        }
    }

    pub(super) fn delivery(self, address: &str) -> DeliveryError {
        let mut error =
            DeliveryError::new(self.class, self.code, format!("{address}: {}", self.text));
        error.hint = self.hint;
        error
    }
}

/// What a user wrote of a database.
pub(super) struct Written<'w> {
    pub(super) system: Option<&'w SystemName>,
    pub(super) url: Option<&'w str>,
    pub(super) password: Option<&'w Secret>,
    pub(super) tls: Option<&'w Tls>,
}

impl Target {
    /// The database, or what is wrong with it among the problems.
    pub(super) fn noting(
        problems: &mut Vec<Problem>,
        context: &BuildContext<'_>,
        written: &Written<'_>,
    ) -> Option<Self> {
        let system = endpoint::noting(problems, endpoint::system(context, written.system));
        let system = system.flatten();
        let target = Self::new(context, system.as_deref(), written);
        endpoint::noting(problems, target)
    }

    fn new(
        context: &BuildContext<'_>,
        system: Option<&SystemInfo>,
        written: &Written<'_>,
    ) -> Result<Self, Problem> {
        let Written {
            url: own,
            password,
            tls,
            ..
        } = *written;
        let written = own;
        let url = endpoint::peer_text("sql", "url", own, system)?;
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(endpoint::path(context, path)));
        }
        let problem = |text: &str| {
            let problem = Problem::at(&["url"], text).hint("write postgres://user@host:5432/database, mariadb://user@host:3306/database or sqlite:PATH");
            endpoint::of_peer("sql", written, system, problem)
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| problem("not an address of a database"))?;
        let (user, rest) = rest
            .split_once('@')
            .ok_or_else(|| problem("the address names no user"))?;
        let (place, database) = rest
            .split_once('/')
            .ok_or_else(|| problem("the address names no database"))?;
        if user.contains(':') || database.contains("password=") {
            let hint = "write `password: env:NAME`, and change the password";
            return Err(problem("the address holds a password").hint(hint).secret());
        }
        let password = password.map(|secret| {
            context
                .site
                .secret(secret.as_str())
                .map_err(|text| Problem::at(&["password"], text))
        });
        let (tls_ready, password) = (
            endpoint::connect_tls(context, "sql", tls, system)?,
            password.transpose()?,
        );
        let port = if scheme.starts_with("postgres") {
            5432
        } else {
            3306
        };
        let place = if place
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        {
            place.to_owned()
        } else {
            format!("{place}:{port}")
        };
        let address = endpoint::host_port("url", &place)?;
        let server = Server {
            user: user.to_owned(),
            password,
            database: database.to_owned(),
            tls: tls_ready,
        };
        match scheme {
            "postgres" | "postgresql" => {
                let connector = endpoint::connector(address, None, None, None)?;
                Ok(Self::Postgres { server, connector })
            }
            #[cfg(feature = "mariadb")]
            "mariadb" | "mysql" => Ok(Self::MariaDb {
                server,
                address,
                tls: tls.cloned(),
                folder: context.site.folder().to_path_buf(),
            }),
            #[cfg(not(feature = "mariadb"))]
            "mariadb" | "mysql" => {
                let problem = Problem::at(&["url"], "this program was built without MariaDB");
                Err(problem.hint("build it with the feature `mariadb`, which is on by default"))
            }
            _ => Err(problem("no database that is supported")),
        }
    }

    /// For people; without user and password.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Postgres { server, connector } => {
                format!("postgres://{}/{}", connector.address(), server.database)
            }
            #[cfg(feature = "mariadb")]
            Self::MariaDb {
                server, address, ..
            } => format!("mariadb://{address}/{}", server.database),
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
        }
    }

    pub(super) async fn open(&self) -> Result<Session, Failure> {
        match self {
            Self::Postgres { server, connector } => postgres::Postgres::open(server, connector)
                .await
                .map(Session::Postgres),
            #[cfg(feature = "mariadb")]
            Self::MariaDb {
                server,
                address,
                tls,
                folder,
            } => {
                let opened = mariadb::MariaDb::open(server, address, tls.as_ref(), folder);
                opened.await.map(Box::new).map(Session::MariaDb)
            }
            Self::Sqlite(path) => sqlite::Sqlite::open(path.clone())
                .await
                .map(Session::Sqlite),
        }
    }
}

/// An open connection. One whose work failed or was given up is dropped.
pub(super) enum Session {
    Postgres(postgres::Postgres),
    #[cfg(feature = "mariadb")]
    MariaDb(Box<mariadb::MariaDb>),
    Sqlite(sqlite::Sqlite),
}

impl Session {
    /// The first [`ROWS_MAX`] rows of a query.
    pub(super) async fn query(
        &mut self,
        query: &Statement,
        values: &Values,
    ) -> Result<Vec<Row>, Failure> {
        match self {
            Self::Postgres(session) => session.query(query, values).await,
            #[cfg(feature = "mariadb")]
            Self::MariaDb(session) => session.query(query, values).await,
            Self::Sqlite(session) => session.query(query, values).await,
        }
    }

    /// One statement in one transaction; gives the number of rows that it changed.
    pub(super) async fn execute(
        &mut self,
        statement: &Statement,
        values: &Values,
    ) -> Result<u64, Failure> {
        match self {
            Self::Postgres(session) => session.execute(statement, values).await,
            #[cfg(feature = "mariadb")]
            Self::MariaDb(session) => session.execute(statement, values).await,
            Self::Sqlite(session) => session.execute(statement, values).await,
        }
    }

    /// The connection can be used for more.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Postgres(session) => session.is_open(),
            #[cfg(feature = "mariadb")]
            Self::MariaDb(_) => true,
            Self::Sqlite(_) => true,
        }
    }
}

/// The values of a statement, in the order of `names`.
pub(super) fn bound<'v>(names: &[&str], values: &'v Values) -> Vec<Option<&'v str>> {
    names
        .iter()
        .map(|name| values.get(*name).and_then(Option::as_deref))
        .collect()
}
