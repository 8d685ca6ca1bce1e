//! The commands of the guide, run as they are printed.

use std::process::Command;

use crate::kit::Server;

const GUIDE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/guide/fhir.md"
));

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_guide_works() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("not run: every_command_of_the_guide_works (no curl)");
        return;
    }
    let server = Server::start().await;
    let mut commands = 0;
    for block in GUIDE.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for line in block.lines().filter(|line| !line.is_empty()) {
            let line = line.replace("http://127.0.0.1:26680/fhir", &server.base());
            let (shell, shown) = (line.clone(), line);
            let output = tokio::task::spawn_blocking(move || {
                Command::new("sh").args(["-c", &shell]).output().unwrap()
            });
            let output = output.await.unwrap();
            assert!(output.status.success(), "{shown}: {}", output.status);
            let answer = String::from_utf8(output.stdout).unwrap();
            assert!(
                answer.contains("resourceType") || answer.contains("hl7.org/fhir"),
                "{shown}: {answer}"
            );
            commands += 1;
        }
    }
    assert!(commands > 12, "{commands}");
}
