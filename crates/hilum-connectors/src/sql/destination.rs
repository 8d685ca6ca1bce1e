//! Values out: one statement in one transaction for each delivery.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hilum_component::{
    BoxFuture, BuildContext, Built, Delivered, Delivery, DeliveryError, Destination,
    DestinationFactory, Format, Outcome, Problem, Reached, Rule,
};
use hilum_fhirpath::{Env, Moment};
use serde_json::Value;

use super::config::DestinationConfig;
use super::session::{Failure, Session, Target, Values, Written};
use super::source::limited;
use super::statement::Statement;
use crate::endpoint;

/// Values that are always there.
const OWN: [&str; 3] = ["delivery", "channel", "arrived"];

pub(super) fn build(value: &Value, context: &BuildContext<'_>) -> Built<DestinationFactory> {
    let config: DestinationConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    let written = Written {
        system: config.system.as_ref(),
        url: config.url.as_deref(),
        password: config.password.as_ref(),
        tls: config.tls.as_ref(),
    };
    let target = Target::noting(&mut problems, context, &written);
    let statement = Statement::parse(&config.statement);
    let mut params = BTreeMap::new();
    for (name, expression) in &config.params {
        let rule = context.rule(&["params", name], expression.as_str());
        if let Some(rule) = endpoint::noting(&mut problems, rule) {
            params.insert(name.clone(), rule);
        }
        if !statement.names().contains(&name.as_str()) {
            let text = format!("the statement has no `:{name}`");
            problems.push(Problem::at(&["params", name], text));
        }
    }
    for name in statement.names() {
        if !config.params.contains_key(name) && !OWN.contains(&name) {
            let problem = Problem::at(&["statement"], format!("`:{name}` is nothing"));
            problems.push(problem.hint(format!("write `params: {{ {name}: EXPRESSION }}`")));
        }
    }
    if config.connections == 0 {
        problems.push(Problem::at(
            &["connections"],
            "at least one connection is needed",
        ));
    }
    let (Some(target), true) = (target, problems.is_empty()) else {
        return Err(problems);
    };
    let settings = Arc::new(Settings {
        address: target.address(),
        target,
        statement,
        params,
        format: Arc::clone(context.format),
        within: config.answer_within.duration(),
        connections: usize::try_from(config.connections).unwrap_or(1),
    });
    Ok(Arc::new(move || {
        Arc::new(SqlDestination {
            settings: Arc::clone(&settings),
            kept: Mutex::new(Vec::new()),
        })
    }))
}

struct Settings {
    target: Target,
    address: String,
    statement: Statement,
    params: BTreeMap<String, Rule>,
    format: Arc<dyn Format>,
    within: Duration,
    connections: usize,
}

struct SqlDestination {
    settings: Arc<Settings>,
    kept: Mutex<Vec<Session>>,
}

impl Destination for SqlDestination {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        endpoint::one_by_one(deliveries, |delivery| self.one(delivery))
    }

    fn concurrency(&self) -> usize {
        self.settings.connections
    }

    fn address(&self) -> String {
        self.settings.address.clone()
    }

    fn reach(&self) -> BoxFuture<'_, Option<Result<Reached, DeliveryError>>> {
        let settings = &self.settings;
        Box::pin(async move {
            let opened = limited(settings.within, settings.target.open()).await;
            Some(match opened {
                Ok(_) => Ok(Reached::default()),
                Err(failure) => Err(failure.delivery(&settings.address)),
            })
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        Box::pin(async {})
    }
}

impl SqlDestination {
    async fn one(&self, delivery: &Delivery) -> Outcome {
        let values = self.values(delivery)?;
        let work = limited(self.settings.within, self.execute(&values));
        match work.await {
            Ok(changed) => Ok(Delivered {
                reply: None,
                summary: format!("{changed} rows"),
            }),
            Err(failure) => Err(failure.delivery(&self.settings.address)),
        }
    }

    async fn execute(&self, values: &Values) -> Result<u64, Failure> {
        let mut session = match self.kept() {
            Some(session) => session,
            None => self.settings.target.open().await?,
        };
        let changed = session.execute(&self.settings.statement, values).await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < self.settings.connections {
            kept.push(session);
        }
        Ok(changed)
    }

    fn kept(&self) -> Option<Session> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(Session::is_open);
        kept.pop()
    }

    fn values(&self, delivery: &Delivery) -> Result<Values, DeliveryError> {
        let settings = &self.settings;
        let millis = i64::try_from(delivery.arrived_ms).unwrap_or(i64::MAX);
        let arrived =
            jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let mut values = Values::from([
            ("delivery".to_owned(), Some(delivery.id.to_string())),
            ("channel".to_owned(), Some(delivery.channel.to_string())),
            ("arrived".to_owned(), Some(arrived.to_string())),
        ]);
        if settings.params.is_empty() {
            return Ok(values);
        }
        let document = settings.format.parse(&delivery.payload).map_err(|_| {
            let text = format!("the message cannot be read as {}", settings.format.name());
            DeliveryError::reject("sql-message", text)
        })?;
        let env = Env::new(Moment::from_unix_millis(millis, 0));
        for (name, rule) in &settings.params {
            let found = rule.first(&*document, &env).map_err(|error| {
                DeliveryError::reject("sql-value", format!("the value `:{name}`: {error}"))
            })?;
            values.insert(name.clone(), found);
        }
        Ok(values)
    }
}
