//! Several programs on one schema: who does what only one of them does, and how far that is.

use std::time::Duration;

use super::link::Link;
use super::open::PgStore;
use super::text::clean;
use crate::error::StoreError;

impl PgStore {
    /// Takes or keeps a lease. The clock is that of the database, so no two programs hold it at once.
    pub(crate) async fn lease(
        &self,
        name: &'static str,
        node: i64,
        time: Duration,
    ) -> Result<Option<u64>, StoreError> {
        let (holder, seconds) = (self.program, time.as_secs_f64());
        self.point(move |link| {
            let sql = "INSERT INTO lease VALUES \
                       ($1, $2, $3, 1, clock_timestamp() + make_interval(secs => $4)) \
                       ON CONFLICT (name) DO UPDATE \
                       SET holder = excluded.holder, node = excluded.node, until = excluded.until, \
                       tenure = lease.tenure + (lease.node <> excluded.node)::int::bigint \
                       WHERE lease.holder = excluded.holder OR lease.until < clock_timestamp() \
                       RETURNING tenure";
            let rows = link.query(sql, &[&name, &holder, &node, &seconds])?;
            let tenure = rows.first().map(|row| row.get::<_, i64>(0));
            Ok(tenure.map(i64::unsigned_abs))
        })
        .await
    }

    /// Gives a lease back, if it is ours.
    pub(crate) async fn release(&self, name: &'static str) -> Result<(), StoreError> {
        let holder = self.program;
        self.point(move |link| {
            let sql = "UPDATE lease SET until = '-infinity' WHERE name = $1 AND holder = $2";
            link.query(sql, &[&name, &holder]).map(drop)
        })
        .await
    }

    pub(crate) async fn watched(&self) -> Result<u64, StoreError> {
        let watched = |link: &mut Link| link.number("SELECT watched FROM store", &[]);
        self.point(watched).await.map(i64::unsigned_abs)
    }

    /// Notes up to which event topics were told; what is known already stays.
    pub(crate) async fn set_told(&self, told: Vec<(String, u64)>) -> Result<(), StoreError> {
        let names: Vec<String> = told
            .iter()
            .map(|(name, _)| clean(name).into_owned())
            .collect();
        let events = told.iter().map(|(_, event)| narrow(*event));
        let events: Vec<i64> = events.collect();
        self.point(move |link| {
            let sql = "INSERT INTO told SELECT * FROM unnest($1::text[], $2::bigint[]) \
                       ON CONFLICT (topic) DO UPDATE \
                       SET event = greatest(told.event, excluded.event)";
            link.query(sql, &[&names, &events]).map(drop)
        })
        .await
    }

    pub(crate) async fn told(&self, topic: &str) -> Result<u64, StoreError> {
        let topic = clean(topic).into_owned();
        self.point(move |link| {
            let sql = "SELECT coalesce((SELECT event FROM told WHERE topic = $1), 0)";
            link.number(sql, &[&topic]).map(i64::unsigned_abs)
        })
        .await
    }

    pub(crate) async fn untold(&self) -> Result<i64, StoreError> {
        self.point(|link| {
            let sql = "SELECT coalesce((SELECT min(o.id) - 1 FROM outbox o \
                       LEFT JOIN told t ON t.topic = o.topic \
                       WHERE o.event > coalesce(t.event, 0)), (SELECT outbox FROM store))";
            link.number(sql, &[])
        })
        .await
    }
}

fn narrow(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
