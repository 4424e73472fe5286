//! The built program, used as a person uses it: started with flags, then only through its sockets with
//! what `curl` and mosquitto's programs can do, judged by what its documentation promises.
//!
//! Every scenario has a board of its own: its own directory, its own ports. They mostly wait, so many
//! run at once; where a time is part of a promise, it is measured with [`harness::SLACK`] on top.

mod harness;

use libtest_mimic::{Arguments, Failed, Trial};

/// Scenarios by their names: `module::function`.
macro_rules! scenarios {
    ($($module:ident: $($name:ident)*;)*) => {
        vec![$($((
            concat!(stringify!($module), "::", stringify!($name)),
            $module::$name as fn(),
        )),*),*]
    };
}

mod abuse;
mod command_line;
mod configuration;
mod mqtt;
mod outages;
mod panel;
mod portal;
mod power;
mod relay;

/// Most scenarios wait most of the time: this many at once keep two cores busy without holding each other up.
const AT_ONCE: usize = 12;

fn main() {
    let with_mosquitto = scenarios![
        mqtt:
            stays_connected_when_nothing_happens
            comes_back_after_the_broker_stopped
            notices_a_broker_that_hangs
            signs_in_with_user_and_password
            takes_payloads_up_to_its_bound_and_survives_longer_ones
            leaves_its_last_will_when_the_power_is_cut
            starts_while_the_broker_is_away
            takes_every_quality_of_service
            gets_what_the_broker_kept_for_it
            loses_nothing_of_a_burst
            is_used_by_its_own_name_and_base;
        outages:
            of_the_network_for_half_a_minute
            of_the_network_for_seconds
            of_the_network_for_a_moment
            of_the_embedded_broker;
        relay:
            notices_silence_once
            beats_on_its_grid
            follows_on_and_off_and_says_so
            is_toggled_by_its_button
            takes_every_quality_of_service;
        configuration: replaces_the_one_before_and_stays;
        command_line:
            uses_a_broker_that_already_answers_on_the_default_port
            refuses_an_address_where_another_broker_answers;
    ];
    let alone = scenarios![
        power:
            cuts_at_any_moment_leave_a_whole_device
            cuts_lose_no_network_that_was_shown_as_online
            cycles_from_the_panel_boot_the_same_device
            cycle_in_the_middle_of_a_submission
            noise_in_the_flash_is_kept_beside
            a_flash_cut_short_is_kept_beside
            a_flash_too_long_is_kept_beside
            some_noise_in_the_flash_stops_no_boot;
        portal:
            takes_every_ssid_and_password_byte_for_byte
            leads_from_the_first_boot_to_online
            closes_20_s_after_joining_if_nobody_asks
            stays_while_nothing_known_is_heard_and_goes_on_trying
            slows_down_who_submits_too_often
            says_why_a_submission_failed_and_takes_the_next
            refuses_what_cannot_be_a_network
            serves_people_without_scripts
            lists_afresh_on_rescan
            joins_a_hidden_network;
        outages:
            open_the_portal_only_after_portal_after
            lead_to_the_strongest_known_network
            include_a_changed_password
            of_everything_at_the_first_start;
        configuration:
            that_is_wrong_is_refused_with_key_and_line
            of_networks_is_taken_in_and_sealed
            of_networks_that_is_wrong_is_refused_and_harms_nothing
            displaces_no_proven_password
            names_the_access_point
            is_served_to_nobody
            shows_every_key_in_the_shipped_file
            can_be_told_by_make;
        abuse:
            of_http_is_answered_with_its_status
            of_headers_only_changes_nothing_for_head
            of_other_host_names_is_led_to_the_portal
            from_other_origins_is_refused
            by_slow_clients_holds_up_nobody
            by_noise_leaves_the_portal_as_it_was;
        panel:
            adds_and_changes_access_points
            shows_the_state_as_promised
            answers_what_it_cannot_do_with_an_error
            can_be_off;
        relay:
            obeys_its_button_without_any_network
            shows_local_time_once_the_clock_is_set;
        command_line:
            names_its_addresses_within_two_seconds
            refuses_wrong_flags
            refuses_files_that_are_not_there_or_not_right
            refuses_ports_in_use
            refuses_a_second_board_on_the_same_flash
            ends_well_on_ctrl_c
            ends_well_on_sigterm
            takes_its_broker_along_when_killed
            ends_while_clients_are_held_open;
    ];

    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let must_not_skip = std::env::var_os("CI").is_some_and(|value| value == "true");
    let missing = harness::mosquitto::missing();
    let mut trials = Vec::new();
    for (name, scenario) in with_mosquitto {
        let trial = match missing.clone() {
            Some(reason) if must_not_skip => Trial::test(name, move || Err(Failed::from(reason))),
            Some(reason) => {
                println!("SKIP {name}: {reason}");
                Trial::test(name, || Ok(())).with_ignored_flag(true)
            }
            None => trial(name, scenario),
        };
        trials.push(trial);
    }
    trials.extend(
        alone
            .into_iter()
            .map(|(name, scenario)| trial(name, scenario)),
    );
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, scenario: fn()) -> Trial {
    Trial::test(name, move || {
        scenario();
        Ok(())
    })
}
