//! That a story that goes wrong is told so, and a device that breaks its promises is caught.

use std::convert::Infallible;

use bluebell::device::{App, Device};
use bluebell::jobs::Job;
use embassy_time::Duration;

use super::super::{Application, Lamp};
use super::{Script, tell};
use crate::board::SimBoard;
use crate::time::busy;

const HOME: &str = "story = 'A story.'\nknows = ['Home']\n[[network]]\nssid = 'Home'\npassword = \
                    'correct horse'\n";

fn told<A: Application + Default>(steps: &str) -> Result<(), String> {
    let script = Script::parse("my.toml", &format!("{HOME}{steps}")).expect("a script");
    tell::<A>(&script, 0, None)
}

fn error<A: Application + Default>(steps: &str) -> String {
    told::<A>(steps).expect_err("it goes wrong")
}

const QUIET: &str = "[[step]]\nat = '30s'\nexpect = { online = true }\n";

#[test]
fn a_story_that_comes_true_is_fine_and_one_that_does_not_names_line_and_time() {
    assert_eq!(told::<Lamp>(QUIET), Ok(()));
    let error = error::<Lamp>("[[step]]\nat = '10s'\nexpect = { portal = true }\nwithin = '5s'\n");
    assert!(
        error.contains("line 8, 15s after the start: portal is false"),
        "{error}"
    );
    assert!(error.contains("mqtt: online at the broker"), "{error}");
}

#[test]
fn what_holds_for_a_while_only_is_noticed() {
    let steps = "[[step]]\nat = '10s'\nexpect = { online = true }\nholds = '20s'\n\
                 [[meanwhile]]\nat = '15s'\ndo = 'power off'\n";
    let error = error::<Lamp>(steps);
    assert!(
        error.contains("did not stay so: online is false"),
        "{error}"
    );
}

/// An application that breaks one promise.
#[derive(Default)]
struct Rogue<const PROMISE: char>;

impl<const PROMISE: char> Application for Rogue<PROMISE> {
    fn app(&self) -> App {
        Lamp::default().app()
    }

    async fn run(&self, device: Device<'_, SimBoard>) -> Infallible {
        device
            .job(
                Job::every(Duration::from_secs(5)),
                async |device| match PROMISE {
                    'b' => busy(Duration::from_millis(60)),
                    // A broker that is away does not matter here.
                    's' => drop(
                        device
                            .publish("rogue", "my network has correct horse")
                            .await,
                    ),
                    _ => {}
                },
            )
            .run()
            .await
    }

    fn check(&self, settled: bool) -> Result<(), String> {
        match PROMISE {
            'c' if settled => Err("something of the application's own".into()),
            _ => Ok(()),
        }
    }
}

#[test]
fn an_application_that_keeps_the_processor_busy_is_caught() {
    let error = error::<Rogue<'b'>>(QUIET);
    assert!(error.contains("held all others up"), "{error}");
}

#[test]
fn an_application_that_sends_a_secret_is_caught() {
    let error = error::<Rogue<'s'>>(QUIET);
    assert!(
        error.contains("\"correct horse\" was sent to 10.0.0.1:1883 in clear"),
        "{error}"
    );
}

#[test]
fn an_applications_own_promise_is_asked_for_once_everything_is_settled() {
    let error = error::<Rogue<'c'>>("[[step]]\nat = '90s'\nexpect = {}\n");
    assert!(
        error.contains("something of the application's own"),
        "{error}"
    );
}
