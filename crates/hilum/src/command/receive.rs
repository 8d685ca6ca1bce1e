//! `hilum receive`

use std::net::SocketAddr;
use std::pin::pin;

use anyhow::Context;
use hilum_testkit::messages::field;
use hilum_testkit::mllp::{Behaviour, Keep, Reaction, Received, Receiver};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::tls::Bridge;
use crate::args::{Answer, Receive};
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Receive, output: &Output) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the I/O threads")?;
    runtime.block_on(receive(arguments, output))
}

/// What came so far.
#[derive(Default)]
struct Total {
    messages: u64,
    accepted: u64,
    bytes: u64,
}

async fn receive(arguments: &Receive, output: &Output) -> anyhow::Result<Exit> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let at = &arguments.at;
    let mut receiver = Receiver::start_at(own(arguments).await?, behaviour(arguments), Keep::Bytes)
        .await
        .with_context(|| format!("cannot listen on {at}"))?;
    let mut bridge = bridged(arguments, &receiver).await?;
    match &bridge {
        Some((_, address)) => output.note(format_args!("listening on mllps://{address}")),
        None => output.note(format_args!("listening on mllp://{}", receiver.address())),
    }
    let mut total = Total::default();
    let mut up_again: Option<Instant> = None;
    let mut down = arguments.down_for;
    let far = Instant::now() + std::time::Duration::from_secs(86_400 * 365);
    loop {
        let mut wake = pin!(tokio::time::sleep_until(up_again.unwrap_or(far)));
        tokio::select! {
            taken = receiver.take() => {
                for message in &taken {
                    total.messages += 1;
                    total.accepted += u64::from(message.accepted);
                    total.bytes += message.length as u64;
                    show(message, arguments.reveal, output)?;
                }
            }
            () = &mut wake => {
                up_again = None;
                receiver.up().await.with_context(|| format!("cannot listen on {at} again"))?;
                bridge = bridged(arguments, &receiver).await?;
                output.note("up again");
            }
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
        }
        if arguments.count.is_some_and(|count| total.messages >= count) {
            break;
        }
        if let Some(time) = down.filter(|_| total.messages >= arguments.down_after) {
            down = None;
            // The answer of the last message is still on its way over the bridge.
            receiver.idle().await;
            bridge = None;
            receiver.down().await;
            up_again = Some(Instant::now() + time);
            output.note(format_args!("down for {} s", time.as_secs_f64()));
        }
    }
    // The last answer is on its way while the message is already counted.
    receiver.idle().await;
    if let Some((mut bridge, _)) = bridge {
        receiver.down().await;
        bridge.finish().await;
        if let Some(failure) = bridge.failure() {
            output.note(failure);
        }
    }
    summary(&total, receiver.connections(), output)?;
    Ok(Exit::Done)
}

const fn speaks_tls(arguments: &Receive) -> bool {
    arguments.at.tls || arguments.tls.tls
}

/// Where the receiver itself listens: on loopback behind the bridge, if there is one.
async fn own(arguments: &Receive) -> anyhow::Result<SocketAddr> {
    if speaks_tls(arguments) {
        return Ok(SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0)));
    }
    let at = &arguments.at.address;
    tokio::net::lookup_host((at.host.as_str(), at.port))
        .await
        .ok()
        .and_then(|mut found| found.next())
        .with_context(|| format!("cannot resolve {at}"))
}

async fn bridged(
    arguments: &Receive,
    receiver: &Receiver,
) -> anyhow::Result<Option<(Bridge, SocketAddr)>> {
    if !speaks_tls(arguments) {
        return Ok(None);
    }
    let bridge = Bridge::inward(&arguments.at.address, &arguments.tls, receiver.address()).await?;
    Ok(Some(bridge))
}

fn behaviour(arguments: &Receive) -> Behaviour {
    let every = [(arguments.ar_every, "AR"), (arguments.ae_every, "AE")];
    Behaviour {
        usual: match arguments.answer {
            Answer::Aa => Reaction::Answer("AA"),
            Answer::Ae => Reaction::Answer("AE"),
            Answer::Ar => Reaction::Answer("AR"),
            Answer::WrongId => Reaction::WrongId,
            Answer::Nothing => Reaction::Nothing,
            Answer::Close => Reaction::Close,
            Answer::Reset => Reaction::Reset,
        },
        every: every
            .into_iter()
            .filter_map(|(n, code)| Some((n?, Reaction::Answer(code))))
            .collect(),
        delay: arguments.delay,
        ..Behaviour::default()
    }
}

fn show(message: &Received, reveal: bool, output: &Output) -> anyhow::Result<()> {
    let bytes = message.bytes.as_deref().unwrap_or_default();
    let kind = String::from_utf8_lossy(field(bytes, 9)).into_owned();
    let content = reveal.then(|| String::from_utf8_lossy(bytes).into_owned());
    if output.json() {
        return output.value(&json!({
            "number": message.number, "connection": message.connection,
            "control-id": message.control_id, "type": kind, "bytes": message.length,
            "accepted": message.accepted, "content": content,
        }));
    }
    let taken = if message.accepted {
        output.colored("32", "taken")
    } else {
        output.colored("31", "not taken")
    };
    output.line(format_args!(
        "{:>6}  {kind}  {}  {} bytes  {taken}",
        message.number, message.control_id, message.length
    ));
    let lines = content.iter().flat_map(|content| content.split('\r'));
    lines
        .filter(|line| !line.is_empty())
        .for_each(|line| output.line(format_args!("        {line}")));
    Ok(())
}

fn summary(total: &Total, connections: u64, output: &Output) -> anyhow::Result<()> {
    if output.json() {
        return output.value(&json!({
            "messages": total.messages, "accepted": total.accepted, "bytes": total.bytes,
            "connections": connections,
        }));
    }
    output.line(format_args!(
        "{} received over {connections} connections, {} taken, {} bytes",
        total.messages, total.accepted, total.bytes
    ));
    Ok(())
}
