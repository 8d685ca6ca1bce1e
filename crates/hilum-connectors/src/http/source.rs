//! The source: a path at a listener.

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_component::{
    BoxFuture, BuildContext, Built, Intake, Problem, Source, SourceError, SourceFactory, Stop,
};
use hilum_net::ListenOptions;
use http::HeaderName;
use serde_json::Value;

use super::auth::{Callers, digest};
use super::config::{Method, SourceConfig};
use super::handler::{Origin, Route};
use super::server::{self, Attached};
use crate::endpoint;

pub(crate) fn build(value: &Value, context: &BuildContext<'_>) -> Built<SourceFactory> {
    let config: SourceConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    endpoint::noting(
        &mut problems,
        endpoint::system(context, config.system.as_ref()),
    );
    let (tls, allow) = (config.tls.as_ref(), config.allow.as_slice());
    let protocols = ["http/1.1"];
    let options = endpoint::listen_options(
        context,
        &mut problems,
        &config.listen,
        tls,
        allow,
        &protocols,
    );
    if !config.path.starts_with('/') || config.path.contains(['?', '#']) {
        problems.push(Problem::at(
            &["path"],
            "a path begins with `/` and has no `?` or `#`",
        ));
    }
    let callers = endpoint::noting(&mut problems, callers(&config, context));
    let metadata = metadata(&config.metadata, &mut problems);
    let Some(mut options) = options else {
        return Err(problems);
    };
    options.connections_max = usize::try_from(config.connections).unwrap_or(usize::MAX);
    let named = config.key.is_some()
        || config.basic.is_some()
        || config.tls.as_ref().is_some_and(|tls| tls.ca.is_some())
        || !config.allow.is_empty();
    let loopback = options.address.host == "localhost"
        || options
            .address
            .ip()
            .is_some_and(|address| address.is_loopback());
    if !named && !loopback && !config.anyone {
        problems.push(
            Problem::at(&[], "nothing says who may call")
                .hint("write `key`, `basic`, `allow`, or `tls` with `ca`; or `anyone: true`"),
        );
    }
    let (Some(callers), true) = (callers, problems.is_empty()) else {
        return Err(problems);
    };
    // What the listener itself depends on; sources that share it must agree.
    let settings = format!(
        "{} {:?} {:?} {}",
        options.address, config.tls, config.allow, config.connections
    );
    let (methods, format) = (
        config
            .methods
            .iter()
            .copied()
            .map(Method::http)
            .collect::<Vec<_>>(),
        context.format.name(),
    );
    Ok(Arc::new(move || {
        let route = Arc::new(Route::new(
            config.path.clone(),
            methods.clone(),
            callers.clone(),
            config.body_max.0,
            config.read_within.duration(),
            metadata.clone(),
            config.answer,
            format,
        ));
        Box::new(HttpSource {
            options: options.clone(),
            settings: settings.clone(),
            route,
            attached: None,
        })
    }))
}

fn callers(config: &SourceConfig, context: &BuildContext<'_>) -> Result<Callers, Problem> {
    let secret = |key: &[&str], reference: &str| {
        context
            .site
            .secret(reference)
            .map_err(|message| Problem::at(key, message))
    };
    let mut callers = Callers::default();
    if let Some(key) = &config.key {
        let name = HeaderName::try_from(key.header.as_str())
            .map_err(|_| Problem::at(&["key", "header"], "not a name of a header"))?;
        callers.key = Some((
            name,
            digest(secret(&["key", "secret"], key.secret.as_str())?.as_bytes()),
        ));
    }
    if let Some(basic) = &config.basic {
        let password = secret(&["basic", "password"], basic.password.as_str())?;
        callers.basic = Some(digest(format!("{}:{password}", basic.user).as_bytes()));
    }
    Ok(callers)
}

fn metadata(
    config: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Vec<(Arc<str>, Origin)> {
    let mut found = Vec::new();
    for (name, origin) in config {
        let read = match origin.split_once(':') {
            Some(("header", header)) => HeaderName::try_from(header).ok().map(Origin::Header),
            Some(("query", key)) => Some(Origin::Query(key.to_owned())),
            Some(_) | None => None,
        };
        match read {
            Some(origin) => found.push((Arc::from(name.as_str()), origin)),
            None => problems.push(Problem::at(
                &["metadata", name],
                "expected `header:NAME` or `query:NAME`",
            )),
        }
    }
    found
}

struct HttpSource {
    options: ListenOptions,
    settings: String,
    route: Arc<Route>,
    attached: Option<Attached>,
}

impl Source for HttpSource {
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async {
            let route = Arc::clone(&self.route);
            let attached =
                Attached::new(self.options.clone(), self.settings.clone(), route).await?;
            let scheme = if self.options.tls.is_some() {
                "https"
            } else {
                "http"
            };
            let address = format!("{scheme}://{}{}", attached.address(), self.route.path);
            self.attached = Some(attached);
            Ok(Some(address))
        })
    }

    fn run<'a>(
        &'a mut self,
        intake: Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            let Some(attached) = self.attached.take() else {
                let message = "the listener was not opened".to_owned();
                return Err(SourceError {
                    retry: true,
                    message,
                    hint: None,
                });
            };
            server::open(&self.route, intake);
            stop.requested().await;
            attached.leave().await;
            Ok(())
        })
    }
}
