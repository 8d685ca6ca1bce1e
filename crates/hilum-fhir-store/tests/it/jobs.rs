//! The table of jobs.

use hilum_fhir_store::{JobState, NewJob, StoreError};

use crate::door::{Door, NOON};

fn new(id: &str) -> NewJob {
    NewJob {
        id: id.to_owned(),
        kind: "export".to_owned(),
        request: "what".into(),
        progress: "".into(),
    }
}

#[tokio::test]
async fn a_job_is_kept_with_its_moment_until_it_is_removed() {
    let door = Door::new();
    door.put("Patient/p1", &[]).await;
    door.tick(500);
    let job = door.store.add_job(new("j1")).await.unwrap();
    assert_eq!((job.seq.0, job.created_ms), (1, NOON + 500));
    assert_eq!(job.state, JobState::Open);
    // The clock goes back; what is written then is still no older than the job.
    door.tick(-400);
    let later = door.put("Patient/p1", &[]).await;
    assert_eq!(later.written[0].updated_ms, NOON + 500);
    assert!(door.store.add_job(new("j1")).await.is_err());

    let saved = door
        .store
        .save_job("j1", JobState::Done, "half".into())
        .await
        .unwrap();
    assert_eq!(saved.unwrap().progress, "half");
    let door = door.reopen();
    door.tick(1_000);
    let job = door.store.job("j1").await.unwrap().unwrap();
    assert_eq!(
        (job.state, &job.progress[..]),
        (JobState::Done, &b"half"[..])
    );
    assert_eq!((&job.request[..], job.seq.0), (&b"what"[..], 1));
    door.store.add_job(new("j0")).await.unwrap();
    let ids: Vec<_> = door
        .store
        .jobs()
        .await
        .unwrap()
        .into_iter()
        .map(|job| job.id)
        .collect();
    assert_eq!(ids, ["j1", "j0"]);

    assert!(door.store.remove_job("j1").await.unwrap().is_some());
    assert!(door.store.remove_job("j1").await.unwrap().is_none());
    let saved = door.store.save_job("j1", JobState::Open, "x".into()).await;
    assert_eq!(saved.unwrap(), None);
    assert_eq!(door.store.job("j1").await.unwrap(), None);
    door.store.close();
    let closed = door.store.add_job(new("j2")).await;
    assert!(matches!(closed, Err(StoreError::Closed)));
}
