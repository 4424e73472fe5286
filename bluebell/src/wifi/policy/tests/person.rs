//! What people ask for, and how the radio is left when that comes to nothing.

use super::*;

const THERE: Task = Task::Join {
    who: Who::Submitted,
    place: Place {
        bssid: [7; 6],
        channel: 7,
    },
};

const PROBE: Task = Task::Scan {
    channel: None,
    probe: Some(Who::Submitted),
};

/// A policy whose portal has just opened, the list not yet made.
fn at_the_portal(known: &[&str]) -> Policy {
    let mut policy = policy(known);
    policy.handle(at(0), 200, Event::Started);
    policy.handle(at(10), 200, Event::OpenPortal);
    policy.handle(at(20), 200, Event::AccessPoint(true));
    policy
}

fn submit(ssid: &Ssid, place: Option<Place>) -> Event<'_> {
    Event::Submitted { ssid, place }
}

#[test]
fn a_network_that_hung_is_left_before_anything_else_is_asked_of_the_radio() {
    let home = name("home");
    for known in [&[][..], &["a"]] {
        let next = if known.is_empty() { FULL } else { join(0, 1) };
        let submitted = submit(&home, Some(place(7)));
        let mut mute = at_the_portal(known);
        play(
            &mut mute,
            &[
                (1000, submitted, THERE),
                (11_000, Event::Tick, Task::Leave),
                (11_100, Event::Left, next),
            ],
        );
        let timed_out = SubmissionState::Failed(JoinFailure::TimedOut);
        assert_eq!(mute.submission().1, timed_out);
        let mut no_address = at_the_portal(known);
        play(
            &mut no_address,
            &[
                (1000, submitted, THERE),
                (1300, Event::Joined(Ok(())), Task::Address),
                (9300, Event::Tick, Task::Leave),
                (9400, Event::Left, next),
            ],
        );
        let no_dhcp = SubmissionState::Failed(JoinFailure::NoDhcp);
        assert_eq!(no_address.submission().1, no_dhcp);
    }
}

#[test]
fn a_probe_that_could_not_run_is_made_again_after_leaving_and_then_is_no_answer_in_time() {
    let home = name("home");
    let mut policy = at_the_portal(&["a"]);
    play(
        &mut policy,
        &[
            (1000, submit(&home, None), PROBE),
            (1001, Event::ScanFailed, Task::Leave),
            (1100, Event::Left, PROBE),
        ],
    );
    assert!(matches!(policy.submission().1, SubmissionState::Joining(_)));
    let mut heard = sighting("home", 7, -50);
    heard.bssid = [7; 6];
    let mut found = at_the_portal(&["a"]);
    play(
        &mut found,
        &[
            (1000, submit(&home, None), PROBE),
            (1001, Event::ScanFailed, Task::Leave),
            (1100, Event::Left, PROBE),
            (1200, Event::Heard(&heard), PROBE),
            (1300, Event::ScanFailed, THERE),
        ],
    );
    play(&mut policy, &[(1101, Event::ScanFailed, Task::Leave)]);
    let timed_out = SubmissionState::Failed(JoinFailure::TimedOut);
    assert_eq!(policy.submission().1, timed_out);
    // The next one has as many chances.
    play(
        &mut policy,
        &[
            (1110, submit(&home, None), PROBE),
            (1111, Event::ScanFailed, Task::Leave),
            (1200, Event::Left, PROBE),
            (3200, Event::Scanned, join(0, 1)),
        ],
    );
    let not_found = SubmissionState::Failed(JoinFailure::NotFound);
    assert_eq!(policy.submission().1, not_found);
}

#[test]
fn a_hidden_network_that_could_not_be_asked_for_is_not_taken_for_one_that_is_away() {
    let mut policy = policy(&["a"]);
    policy.known.get_mut(0).unwrap().hidden = true;
    let probe = Task::Scan {
        channel: None,
        probe: Some(Who::Known(0)),
    };
    play(
        &mut policy,
        &[
            (0, Event::Started, FULL),
            (2000, Event::Scanned, probe),
            (2001, Event::ScanFailed, Task::Leave),
        ],
    );
    assert_eq!(policy.take_failure(), None);
    assert_eq!(policy.known.get(0).unwrap().failure, None);
}

#[test]
fn a_list_that_is_wanted_right_after_another_follows_a_little_later() {
    let mut policy = at_the_portal(&[]);
    play(
        &mut policy,
        &[
            (2000, Event::Scanned, Task::Rest),
            (2100, Event::Rescan, Task::Rest),
            (2200, Event::Rescan, Task::Rest),
            (4999, Event::Tick, Task::Rest),
        ],
    );
    assert_eq!(policy.deadline(), Some(at(5000)));
    play(&mut policy, &[(5000, Event::Tick, FULL)]);
}

#[test]
fn who_asks_for_lists_all_the_time_leaves_the_radio_time_for_everything_else() {
    let mut policy = at_the_portal(&["a"]);
    let (mut listing, mut joins) = (0, 0);
    for tick in 1..600 {
        let now = at(tick * 100);
        for event in [Event::RequestSeen, Event::Rescan] {
            policy.handle(now, 200, event);
        }
        let event = match policy.task() {
            Task::Scan { channel, .. } => {
                listing += i32::from(channel.is_some());
                Event::Scanned
            }
            Task::Join { .. } => {
                joins += 1;
                Event::Joined(Err(JoinFailure::NotFound))
            }
            _ => Event::Tick,
        };
        policy.handle(now, 200, event);
    }
    assert!((100..250).contains(&listing), "{listing} of 600 ticks");
    assert!(joins > 5, "{joins} joins");
}

#[test]
fn the_access_point_opens_where_one_may_be_in_every_country() {
    for (last, opened) in [(11, 11), (12, 1), (13, 1), (36, 1)] {
        let mut policy = policy(&["a"]);
        policy.known.get_mut(0).unwrap().place = Some(place(last));
        policy.handle(at(0), 200, Event::Started);
        policy.handle(at(10), 200, Event::OpenPortal);
        assert_eq!(policy.task(), Task::OpenAccessPoint { channel: opened });
    }
}
