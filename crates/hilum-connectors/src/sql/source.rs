//! Rows in: a look on a schedule, a message for each row, the cursor kept after each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{
    Arrival, BoxFuture, BuildContext, Built, Disposition, Intake, Peer, Problem, Source,
    SourceError, SourceFactory, Stop,
};
use hilum_message::{Metadata, Payload};
use serde_json::Value;
use tokio::time::timeout;

use super::config::{RowForm, SourceConfig};
use super::session::{Failure, Row, Session, Target, Values, Written};
use super::statement::Statement;
use crate::endpoint;

/// Under which the cursor is kept.
const CURSOR: &str = "cursor";

pub(super) fn build(value: &Value, context: &BuildContext<'_>) -> Built<SourceFactory> {
    let config: SourceConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    let written = Written {
        system: config.system.as_ref(),
        url: config.url.as_deref(),
        password: config.password.as_ref(),
        tls: config.tls.as_ref(),
    };
    let target = Target::noting(&mut problems, context, &written);
    let query = Statement::parse(&config.query);
    if let Some(name) = query.names().into_iter().find(|name| *name != CURSOR) {
        problems.push(Problem::at(
            &["query"],
            format!("`:{name}` is nothing, only `:cursor` is"),
        ));
    }
    if query.names().contains(&CURSOR) && config.cursor.is_none() {
        problems.push(Problem::at(
            &["cursor"],
            "`:cursor` needs the name of a column",
        ));
    }
    if config.cursor.is_none() && config.after.is_none() {
        problems.push(
            Problem::at(&[], "every look would bring the same rows")
                .hint("write `cursor: COLUMN`, or `after: STATEMENT` that marks a row"),
        );
    }
    let (Some(target), true) = (target, problems.is_empty()) else {
        return Err(problems);
    };
    let settings = Arc::new(Settings {
        address: target.address(),
        target,
        query,
        cursor: config.cursor,
        start: config.start,
        payload: config.payload,
        row: config.row,
        after: config.after.as_deref().map(Statement::parse),
        every: config.every.duration().max(Duration::from_millis(1)),
        within: config.answer_within.duration(),
    });
    Ok(Arc::new(move || {
        Box::new(SqlSource {
            settings: Arc::clone(&settings),
            looks: 0,
        })
    }))
}

struct Settings {
    target: Target,
    address: String,
    query: Statement,
    cursor: Option<String>,
    start: Option<String>,
    payload: Option<String>,
    row: RowForm,
    after: Option<Statement>,
    every: Duration,
    within: Duration,
}

struct SqlSource {
    settings: Arc<Settings>,
    looks: u64,
}

impl Source for SqlSource {
    /// The database may be away when a channel starts: the first look tells.
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async { Ok(Some(self.settings.address.clone())) })
    }

    fn run<'a>(
        &'a mut self,
        intake: Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            let mut session = None;
            while !stop.is_requested() {
                let more = match self.look(&mut session, &intake, &stop).await {
                    Ok(more) => more,
                    Err(failure) => {
                        session = None;
                        let (address, error) = (&self.settings.address, &failure.text);
                        let hint = failure.hint.as_deref();
                        tracing::warn!(%address, %error, hint, "a look at the database failed");
                        false
                    }
                };
                if more {
                    continue;
                }
                tokio::select! {
                    () = stop.requested() => {}
                    () = tokio::time::sleep(self.settings.every) => {}
                }
            }
            Ok(())
        })
    }
}

impl SqlSource {
    /// Takes the rows of one look; tells whether there may be more.
    async fn look(
        &mut self,
        session: &mut Option<Session>,
        intake: &Intake,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        let settings = Arc::clone(&self.settings);
        let within = settings.within;
        let mut open = match session.take() {
            Some(open) if open.is_open() => open,
            Some(_) | None => limited(within, settings.target.open()).await?,
        };
        let kept = intake
            .recall(CURSOR)
            .await
            .map(|kept| String::from_utf8_lossy(&kept).into_owned());
        let mut cursor = kept.or_else(|| settings.start.clone());
        let values = Values::from([(CURSOR.to_owned(), cursor.clone())]);
        let rows = limited(within, open.query(&settings.query, &values)).await?;
        self.looks += 1;
        let mut moved = false;
        for row in rows {
            if stop.is_requested() || self.take(intake, &row).await? == Disposition::Failed {
                moved = false;
                break;
            }
            if let Some(column) = &settings.cursor {
                let now = row.text(column).ok_or_else(|| {
                    Failure::new(
                        hilum_component::Class::Halt,
                        "sql-row",
                        format!("a row has no value in the column {column}"),
                    )
                })?;
                moved |= cursor.as_ref() != Some(&now);
                let stored = intake.remember(CURSOR, Bytes::from(now.clone())).await;
                stored.map_err(|error| {
                    Failure::new(
                        hilum_component::Class::Retry,
                        "cursor",
                        format!("keep the cursor: {error}"),
                    )
                })?;
                cursor = Some(now);
            }
            if let Some(after) = &settings.after {
                let names = after.names();
                let values = names
                    .iter()
                    .map(|name| ((*name).to_owned(), row.text(name)))
                    .collect();
                limited(within, open.execute(after, &values)).await?;
                // Without a cursor only a statement that changed something keeps a row from coming again.
                moved = true;
            }
        }
        *session = Some(open);
        Ok(moved)
    }

    async fn take(&self, intake: &Intake, row: &Row) -> Result<Disposition, Failure> {
        let settings = &self.settings;
        let bytes = match &settings.payload {
            None => Bytes::from(match settings.row {
                RowForm::Json => Value::Object(row.json.clone()).to_string(),
                RowForm::Delimited => row.delimited(),
            }),
            Some(column) => row.text(column).map(Bytes::from).ok_or_else(|| {
                let text = format!("a row has no value in the column {column}");
                Failure::new(hilum_component::Class::Halt, "sql-row", text)
            })?,
        };
        let mut metadata = Metadata::new();
        if let Some(value) = settings.cursor.as_ref().and_then(|column| row.text(column)) {
            metadata.set(CURSOR, value);
        }
        let peer = Peer {
            label: settings.address.as_str().into(),
            connection: self.looks,
        };
        let arrival = Arrival {
            payload: Payload::inline(bytes),
            peer,
            metadata,
            remembers: None,
        };
        Ok(intake.take(arrival).await.disposition)
    }
}

/// Within the time; what is given up takes its connection with it.
pub(super) async fn limited<T>(
    within: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(within, work)
        .await
        .unwrap_or_else(|_| Err(Failure::late(within)))
}
