//! `hilum impact`

use std::collections::BTreeSet;

use anyhow::bail;
use hilum_config::{Impact as Touched, ImpactChannel, Role, Secrets, impact};

use super::check::load_site;
use crate::args::Impact;
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Impact, output: &Output) -> anyhow::Result<Exit> {
    let loaded = load_site(&arguments.site, Secrets::Unread, output)?;
    let Some(touched) = impact(&loaded.site, &arguments.system) else {
        let known: Vec<&str> = loaded
            .site
            .systems
            .iter()
            .map(|system| system.name.as_str())
            .collect();
        bail!(
            "there is no system {}; the site has {}",
            arguments.system,
            known.join(", ")
        );
    };
    if output.json() {
        output.value(&touched)?;
    } else {
        show(&touched, output);
    }
    Ok(if loaded.errors() == 0 {
        Exit::Done
    } else {
        Exit::Found
    })
}

fn show(touched: &Touched, output: &Output) {
    let count = touched.channels.len();
    let plural = if count == 1 { "" } else { "s" };
    output.line(format_args!(
        "{} touches {count} channel{plural}",
        touched.system
    ));
    list("to be told", &touched.owners, output);
    touched
        .channels
        .iter()
        .for_each(|channel| of_channel(channel, output));
}

fn of_channel(channel: &ImpactChannel, output: &Output) {
    let roles: Vec<String> = channel.roles.iter().map(role).collect();
    output.line(format_args!(
        "\n{} ({}): {}",
        channel.name,
        channel.file,
        roles.join(", ")
    ));
    if let Some(owner) = &channel.owner {
        output.line(format_args!("  owner: {owner}"));
    }
    list("fields", &channel.fields, output);
    list("files", &channel.tables, output);
}

fn list(title: &str, items: &BTreeSet<String>, output: &Output) {
    if !items.is_empty() {
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        output.line(format_args!("  {title}: {}", items.join(", ")));
    }
}

fn role(role: &Role) -> String {
    match role {
        Role::Sends => "it sends".to_owned(),
        Role::Receives(name) => format!("it receives as {name}"),
        Role::Used => "a step uses it".to_owned(),
        Role::Through(channel) => format!("gets what {channel} passes on"),
    }
}
