//! A disk that is full or fails under the engine: no false yes, and it goes on by itself.

use hilum_component::{Plan, Reply};
use hilum_faultfs::{Disk, Faults};

use crate::kit::{Hub, Receiver, Sender, With, channel, out, plan, until};

fn site(sender: &Sender, receiver: &Receiver) -> Plan {
    plan([channel("lab", sender).to(out(receiver))])
}

/// Sends messages one after the other; gives the ids of those whose sender was told yes.
async fn flood(sender: &Sender, ids: std::ops::Range<usize>) -> (Vec<String>, usize) {
    let (mut good, mut bad) = (Vec::new(), 0);
    let filler = "x".repeat(2_000);
    for n in ids {
        let reply = sender.send(&format!("{n}|ORU|p{n}|{n}{filler}")).await;
        if positive(&reply) {
            good.push(n.to_string());
        } else {
            bad += 1;
        }
    }
    (good, bad)
}

/// Answer and disposition say the same.
fn positive(reply: &Reply) -> bool {
    let answer = reply.answer.as_ref().expect("an answer");
    let yes = answer.starts_with(b"AA|");
    assert!(yes || answer.starts_with(b"AE|"));
    assert_eq!(yes, reply.disposition.is_positive());
    yes
}

/// Everything that was answered positively is there after a power cut, once each in the journal,
/// and was or is delivered.
async fn all_there(hub: Hub, good: &[String], sender: &Sender, receiver: &Receiver) {
    let hub = hub.after_power_cut(7, site(sender, receiver)).await;
    let rows = hub.recorded("lab").await;
    for id in good {
        let found = rows
            .iter()
            .filter(|row| row.control_id.as_deref() == Some(id));
        assert_eq!(found.count(), 1, "message {id}");
    }
    until("the last deliveries", || {
        let taken = receiver.taken();
        good.iter().all(|id| taken.contains(id))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_answered_no_and_taken_from_when_there_is_space() {
    let disk = Disk::new();
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start_on(&disk, site(&sender, &receiver)).await;
    let (mut good, bad) = flood(&sender, 0..5).await;
    assert_eq!(bad, 0);
    let mut refused = 0;
    for first in (5..500).step_by(75) {
        // A checkpoint in between gives back what it no longer needs, so that more fits.
        disk.set_faults(Faults {
            capacity: Some(disk.used() + 60_000),
            ..Faults::default()
        });
        let (some, bad) = flood(&sender, first..first + 75).await;
        good.extend(some);
        refused += bad;
        if refused > 3 {
            break;
        }
    }
    assert!(refused > 3, "{refused} were answered no");
    assert!(hub.engine().status().disk_full);
    disk.set_faults(Faults::default());
    let (some, bad) = flood(&sender, 1000..1005).await;
    assert_eq!(bad, 0, "without a restart");
    assert!(!hub.engine().status().disk_full);
    good.extend(some);
    all_there(hub, &good, &sender, &receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_sync_is_answered_no_and_the_next_message_is_taken() {
    for failing in [1, 2, 5] {
        let disk = Disk::new();
        let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
        let hub = Hub::start_on(&disk, site(&sender, &receiver)).await;
        let (mut good, _) = flood(&sender, 0..3).await;
        disk.set_faults(Faults {
            fail_sync_at: Some(failing),
            ..Faults::default()
        });
        let (some, bad) = flood(&sender, 3..20).await;
        good.extend(some);
        assert!(bad < 10, "sync {failing}: {bad} were answered no");
        // What was answered no is taken when it is sent again, and is one message all the same.
        let (some, bad) = flood(&sender, 3..20).await;
        assert_eq!(bad, 0, "sync {failing}");
        good.extend(some);
        good.sort_unstable();
        good.dedup();
        until("all deliveries", || receiver.taken().len() >= good.len()).await;
        let mut taken = receiver.taken();
        taken.sort_unstable();
        let count = taken.len();
        taken.dedup();
        assert_eq!(
            taken.len(),
            count,
            "sync {failing}: each was delivered once"
        );
        assert_eq!(taken, good);
        drop(hub);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_whose_syncs_all_fail_is_never_answered_yes() {
    let disk = Disk::new();
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start_on(&disk, site(&sender, &receiver)).await;
    let (mut good, _) = flood(&sender, 0..3).await;
    disk.set_faults(Faults {
        fail_syncs_from: Some(1),
        ..Faults::default()
    });
    let (some, bad) = flood(&sender, 3..10).await;
    assert_eq!((some.len(), bad), (0, 7));
    disk.set_faults(Faults::default());
    let mut ids = 10;
    loop {
        let (some, _) = flood(&sender, ids..ids + 1).await;
        ids += 1;
        if !some.is_empty() {
            good.extend(some);
            break;
        }
        assert!(ids < 1_000, "it does not go on by itself");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    all_there(hub, &good, &sender, &receiver).await;
}
