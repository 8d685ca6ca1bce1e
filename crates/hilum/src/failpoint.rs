//! Ends the process at a failpoint, for the crash rounds of `cargo xtask crash --failpoints`.
//!
//! `HILUM_FAILPOINT=after-commit:17` ends it when that place is reached for the 17th time, as
//! SIGKILL would: nothing is flushed, closed or said. It exists in builds with debug assertions
//! only, and not in a release. Under it partitions are small, so that rolling and retention happen
//! within a round.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use hilum_journal::JournalOptions;
use hilum_message::Failpoint;

const VARIABLE: &str = "HILUM_FAILPOINT";
/// Size of a partition while a failpoint is set.
const PARTITION_BYTES: u64 = 512 * 1024;

/// Sets the failpoint that the environment names, if it does.
pub(crate) fn arm(options: &mut JournalOptions) -> anyhow::Result<()> {
    let Ok(text) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    options.limits.partition_bytes_max = PARTITION_BYTES;
    let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
    let count: u64 = count
        .parse()
        .with_context(|| format!("{VARIABLE}={text}: after the colon stands a number"))?;
    let Some(point) = Failpoint::ALL
        .into_iter()
        .find(|known| known.name() == name)
    else {
        let names = Failpoint::ALL.map(Failpoint::name).join(", ");
        bail!("{VARIABLE}={text}: there is no such place; there are {names}");
    };
    let reached = AtomicU64::new(0);
    Failpoint::hook(move |at| {
        if at == point && reached.fetch_add(1, Ordering::SeqCst) + 1 == count {
            std::process::abort();
        }
    });
    Ok(())
}
