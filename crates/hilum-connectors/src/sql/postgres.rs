//! PostgreSQL. Values go as text and the server reads them as the type of their place; rows come
//! back as the JSON that the server makes of them.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};
use hilum_component::Class;
use hilum_net::{ClientTls, Connector, HostPort, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio_postgres::tls::{ChannelBinding, NoTls, TlsConnect};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, config::SslMode};

use super::session::{Failure, ROWS_MAX, Row, Server, Values, bound};
use super::statement::{Places, Statement};

pub(super) struct Postgres {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Postgres {
    pub(super) async fn open(server: &Server, connector: &Connector) -> Result<Self, Failure> {
        let connection = connector
            .connect()
            .await
            .map_err(|error| Failure::net(&error))?;
        let mut config = Config::new();
        config
            .user(&server.user)
            .dbname(&server.database)
            .application_name("hilum");
        if let Some(password) = &server.password {
            config.password(password);
        }
        let (client, driver) = match &server.tls {
            None => {
                config.ssl_mode(SslMode::Disable);
                let (client, driver) = config
                    .connect_raw(connection.stream, NoTls)
                    .await
                    .map_err(|error| failure(&error))?;
                (client, drive(driver))
            }
            Some(tls) => {
                config.ssl_mode(SslMode::Require);
                let upgrade = Upgrade {
                    tls: Arc::clone(tls),
                    address: connector.address().clone(),
                };
                let (client, driver) = config
                    .connect_raw(connection.stream, upgrade)
                    .await
                    .map_err(|error| failure(&error))?;
                (client, drive(driver))
            }
        };
        Ok(Self { client, driver })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    pub(super) async fn query(
        &mut self,
        query: &Statement,
        values: &Values,
    ) -> Result<Vec<Row>, Failure> {
        let (text, names) = query.render(Places::Dollar);
        let text = text.trim().trim_end_matches(';');
        let text = format!(
            "select row_to_json(hilum_row)::text from ({text}\n) hilum_row limit {ROWS_MAX}"
        );
        let values = texts(&names, values);
        let rows = self
            .client
            .query(&text, &refs(&values))
            .await
            .map_err(|error| failure(&error))?;
        let unreadable = || Failure::new(Class::Halt, "sql-row", "the row cannot be read as JSON");
        rows.iter()
            .map(|row| {
                let json: &str = row.try_get(0).map_err(|_| unreadable())?;
                let json = serde_json::from_str(json).map_err(|_| unreadable())?;
                Ok(Row { json })
            })
            .collect()
    }

    pub(super) async fn execute(
        &mut self,
        statement: &Statement,
        values: &Values,
    ) -> Result<u64, Failure> {
        let (text, names) = statement.render(Places::Dollar);
        let values = texts(&names, values);
        let failed = |error: tokio_postgres::Error| failure(&error);
        let transaction = self.client.transaction().await.map_err(failed)?;
        let changed = transaction
            .execute(&text, &refs(&values))
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(changed)
    }
}

fn drive<S, T>(driver: tokio_postgres::Connection<S, T>) -> JoinHandle<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        if driver.await.is_err() {
            tracing::debug!("a connection to PostgreSQL ended");
        }
    })
}

fn failure(error: &tokio_postgres::Error) -> Failure {
    let Some(said) = error.as_db_error() else {
        let text = match error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
        {
            Some(error) => hilum_net::io_reason(error),
            None if error.is_closed() => "the connection is closed".to_owned(),
            None => "the protocol of PostgreSQL was not kept, or a value does not fit its place"
                .to_owned(),
        };
        return Failure::new(Class::Retry, "sql-away", text);
    };
    let part = |label: &str, name: Option<&str>| {
        name.map(|name| format!(", {label} {name}"))
            .unwrap_or_default()
    };
    let detail = [
        part("table", said.table()),
        part("column", said.column()),
        part("constraint", said.constraint()),
    ];
    Failure::state(said.code().code(), &detail.concat())
}

/// A value as text.
struct Text<'v>(Option<&'v str>);

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text(…)")
    }
}

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.put_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

fn texts<'v>(names: &[&str], values: &'v Values) -> Vec<Text<'v>> {
    bound(names, values).into_iter().map(Text).collect()
}

fn refs<'v>(values: &'v [Text<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

/// TLS on a connection that asked for it, by `hilum-net`.
struct Upgrade {
    tls: Arc<ClientTls>,
    address: HostPort,
}

impl TlsConnect<Stream> for Upgrade {
    type Stream = Secured;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured>> + Send>>;

    fn connect(self, stream: Stream) -> Self::Future {
        Box::pin(async move {
            let name = self
                .tls
                .server_name(&self.address)
                .map_err(io::Error::other)?;
            self.tls.upgrade(name, stream).await.map(Secured)
        })
    }
}

struct Secured(Stream);

impl tokio_postgres::tls::TlsStream for Secured {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
