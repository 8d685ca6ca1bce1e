//! The site: its files, what it listens at, its certificates, where it sends to.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use hilum_component::{DestinationKind, DestinationPlan};
use hilum_config::{Options, PartSummary, Secrets, Severity, load as load_folder, render, summary};
use hilum_net::{HostPort, ListenOptions, Listener, certificates_in};

use super::ports::listener;
use super::{Report, now_ms, span};
use crate::args::SiteArgs;
use crate::command::check::options;
use crate::components::registry;

pub(super) use hilum_config::Loaded;

/// Time before a certificate ends from which on it is told, and is urgent.
const EXPIRES_WITHIN: (i64, i64) = (30 * 86_400, 7 * 86_400);
/// How long all attempts at one destination may take.
const REACH_WITHIN: Duration = Duration::from_secs(15);

/// Loads the site as `hilum check` does.
pub(super) fn load(site: &SiteArgs, data: Option<&Path>, report: &mut Report) -> Option<Loaded> {
    let folder = match site.site.canonicalize() {
        Ok(folder) => folder,
        Err(_) => {
            let text = format!("there is no folder {}", site.site.display());
            report.fail("site", text, "name the folder with hilum.yaml");
            return None;
        }
    };
    let options = Options {
        terminology: crate::terms::of_folder(data),
        ..options(site, Secrets::Required)
    };
    let loaded = load_folder(&folder, &registry(), &options);
    let told = summary(&loaded.diagnostics, loaded.files).to_string();
    let warned = loaded
        .diagnostics
        .iter()
        .any(|found| found.severity != Severity::Error);
    match &loaded.plan {
        Some(plan) if warned => report.warn(
            "site",
            format!("{}: {told}\n{}", plan.site, render(&loaded.diagnostics)),
            "mend it when there is time; `hilum explain CODE` says more",
        ),
        Some(plan) => report.ok(
            "site",
            format!("{}: {told}, plan {}", plan.site, plan.digest),
        ),
        None => report.fail(
            "site",
            format!("{told}\n{}", render(&loaded.diagnostics)),
            "a node does not start with this; a running one keeps the plan that it has",
        ),
    }
    Some(loaded)
}

/// Whether what the sources listen at is free, or held by the node.
pub(super) fn listeners(loaded: &Loaded, answers: bool, report: &mut Report) {
    let channels = loaded.site.channels.iter();
    let sources = channels.filter_map(|channel| Some((&channel.name, channel.source.as_ref()?)));
    let mut places: Vec<(String, String)> = sources
        .filter_map(|(name, source)| Some((name.clone(), setting(source, "listen")?.to_owned())))
        .collect();
    if let Some(admin) = loaded.plan.as_ref().and_then(|plan| plan.admin.clone()) {
        places.push(("management".to_owned(), admin));
    }
    places.extend(
        loaded
            .fhir
            .iter()
            .map(|fhir| ("FHIR".to_owned(), fhir.listen.clone())),
    );
    let Ok(runtime) = runtime() else { return };
    for (name, place) in places {
        let Ok(address) = HostPort::listen(&place) else {
            continue;
        };
        let bound = runtime.block_on(Listener::bind(ListenOptions::new(address.clone())));
        let holder = address
            .ip()
            .and_then(|ip| listener(std::net::SocketAddr::new(ip, address.port)));
        let who = holder
            .as_ref()
            .map_or_else(|| "another program".to_owned(), ToString::to_string);
        let ours = answers && holder.is_none_or(|holder| holder.name.starts_with("hilum"));
        match bound {
            Ok(_) if answers => report.fail(
                "listener",
                format!("{name}: nobody listens at {address}, although a node runs"),
                "`hilum status` and its log say why; does the node have this plan? `hilum reload`",
            ),
            Ok(_) => report.ok("listener", format!("{name}: {address} is free")),
            Err(_) if ours => report.ok("listener", format!("{name}: {address} listens")),
            Err(error) => report.fail(
                "listener",
                format!("{name}: {}; it is held by {who}", error.chain()),
                error
                    .hint()
                    .unwrap_or_else(|| "end that program, or choose another port".to_owned()),
            ),
        }
    }
}

fn setting<'s>(part: &'s PartSummary, name: &str) -> Option<&'s str> {
    let found = part.rules.iter().find(|rule| rule.target == name);
    found.map(|rule| rule.rule.as_str())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the I/O thread")
}

/// How long the certificates that the site names are good.
pub(super) fn certificates(loaded: &Loaded, folder: &Path, report: &mut Report) {
    let mut paths: BTreeSet<&str> = BTreeSet::new();
    for channel in &loaded.site.channels {
        let parts = channel.source.iter().chain(&channel.destinations);
        for rule in parts.flat_map(|part| &part.rules) {
            if matches!(rule.target.as_str(), "tls certificate" | "tls ca") {
                paths.insert(&rule.rule);
            }
        }
    }
    for system in &loaded.site.systems {
        paths.extend(system.certificates.iter().map(String::as_str));
    }
    for path in paths {
        match certificates_in(&folder.join(path)) {
            Ok(found) => {
                for certificate in found {
                    let name = format!("{path}: {}", certificate.subject);
                    good_until(&name, certificate.good_until, report);
                }
            }
            Err(error) => report.fail(
                "certificate",
                error.chain(),
                error
                    .hint()
                    .unwrap_or_else(|| "put a readable PEM file there".to_owned()),
            ),
        }
    }
}

fn good_until(name: &str, until: Option<i64>, report: &mut Report) {
    let Some(until) = until else { return };
    let left = until - i64::try_from(now_ms() / 1_000).unwrap_or_default();
    let day = jiff::Timestamp::from_second(until)
        .map_or_else(|_| "?".to_owned(), |time| time.strftime("%F").to_string());
    let renew = "renew it; a running node reads the new file by itself";
    match u64::try_from(left) {
        Err(_) => report.fail("certificate", format!("{name} ended on {day}"), renew),
        Ok(time) => {
            let text = format!("{name} is good until {day}, {}", span(time));
            if left < EXPIRES_WITHIN.1 {
                report.fail("certificate", text, renew);
            } else if left < EXPIRES_WITHIN.0 {
                report.warn("certificate", text, renew);
            } else {
                report.ok("certificate", text);
            }
        }
    }
}

/// Goes to every destination as a delivery would, and sends nothing.
pub(super) fn destinations(loaded: &Loaded, report: &mut Report) -> anyhow::Result<()> {
    let Some(plan) = &loaded.plan else {
        return Ok(());
    };
    let runtime = runtime()?;
    for (channel, plan) in &plan.channels {
        for destination in &plan.destinations {
            let name = format!("{channel}/{}", destination.name);
            runtime.block_on(reach(&name, destination, report));
        }
    }
    Ok(())
}

async fn reach(name: &str, plan: &DestinationPlan, report: &mut Report) {
    let DestinationKind::Component(make) = &plan.kind else {
        return;
    };
    let destination = make();
    let address = destination.address();
    let tried = tokio::time::timeout(REACH_WITHIN, destination.reach()).await;
    match tried {
        Err(_) => report.fail(
            "destination",
            format!(
                "{name}: {address} did not let itself be reached in {} s",
                REACH_WITHIN.as_secs()
            ),
            "ask the owner of the system, or the network",
        ),
        Ok(None) => report.ok("destination", format!("{name}: {address} was not tried")),
        Ok(Some(Err(error))) => {
            let remedy = error
                .hint
                .unwrap_or_else(|| "ask the owner of the system, or the network".to_owned());
            report.fail("destination", format!("{name}: {}", error.message), remedy);
        }
        Ok(Some(Ok(reached))) => {
            report.ok("destination", format!("{name}: {address} is reached"));
            if let Some(certificate) = reached.certificate {
                let name = format!("{name}: {certificate}");
                good_until(&name, reached.good_until, report);
            }
        }
    }
    destination.close().await;
}
