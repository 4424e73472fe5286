//! The broker itself, in a process of its own: it ends with the board, whatever becomes of that, and
//! can be killed to see what a device makes of it.

use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{ExitCode, exit};

use rumqttd::{Config, ConnectionSettings, RouterConfig, ServerSettings};

/// The longest message that is taken, in bytes.
const LONGEST_MESSAGE: usize = 1024 * 1024;

/// Serves MQTT 5 on `address` until standard input ends.
///
/// A panic in the broker leaves it half alive, with locks that nobody can take any more: it ends the
/// process, and the board starts another.
pub(crate) fn serve(address: SocketAddr) -> ExitCode {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        exit(70);
    }));
    std::thread::spawn(|| {
        // The board never writes; its end closes the pipe.
        let _ = std::io::stdin().read(&mut [0]);
        exit(0);
    });
    let error = rumqttd::Broker::new(configuration(address)).start();
    eprintln!("the embedded broker ended: {error:?}");
    ExitCode::FAILURE
}

fn configuration(address: SocketAddr) -> Config {
    let server = ServerSettings {
        name: "v5".into(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: LONGEST_MESSAGE,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    Config {
        router: RouterConfig {
            max_connections: 256,
            max_outgoing_packet_count: 200,
            max_segment_size: 4 * LONGEST_MESSAGE,
            max_segment_count: 4,
            ..RouterConfig::default()
        },
        v5: Some(HashMap::from([("v5".into(), server)])),
        ..Config::default()
    }
}
