//! Messages in: from a publisher through mosquitto to the device's pin.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Plan;
use crate::board::{self, Given};
use crate::process::{Failure, Program, Scratch, free_address, installed};
use crate::samples::Samples;
use crate::sink::publication;
use crate::table::{Row, Section};

/// How many messages come at once in a burst.
const BURST: usize = 50;
/// How long the device may take until it is at its broker.
const ONLINE: Duration = Duration::from_secs(20);

/// A publisher, and where the moments arrive at which the pin was set.
struct Bench {
    publisher: TcpStream,
    stamps: UdpSocket,
    level: bool,
}

impl Bench {
    /// The moment, in nanoseconds of the clock that the device's stamps are of.
    fn now() -> i64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec * 1_000_000_000 + now.tv_nsec
    }

    /// Publishes so many and returns, in milliseconds, how long after the first was sent the last was seen
    /// at the pin.
    fn round(&mut self, messages: usize) -> std::io::Result<f64> {
        let mut packets = Vec::new();
        for _ in 0..messages {
            self.level = !self.level;
            let payload: &[u8] = if self.level { b"ON" } else { b"OFF" };
            packets.extend(publication("bench/pin", payload, false));
        }
        let begin = Self::now();
        self.publisher.write_all(&packets)?;
        let mut stamp = [0; 8];
        for _ in 0..messages {
            self.stamps.recv(&mut stamp)?;
        }
        Ok((i64::from_le_bytes(stamp) - begin) as f64 / 1e6)
    }

    /// Waits until the device follows.
    fn until_online(&mut self) -> Result<(), Failure> {
        let patience = |bench: &Self, time| bench.stamps.set_read_timeout(Some(time));
        let due = Instant::now() + ONLINE;
        patience(self, Duration::from_millis(200)).map_err(|error| error.to_string())?;
        while self.round(1).is_err() {
            if Instant::now() > due {
                return Err("the device is not online at mosquitto".into());
            }
        }
        patience(self, Duration::from_secs(10)).map_err(|error| error.to_string())
    }
}

pub(crate) fn measure(plan: &Plan) -> Result<Section, Failure> {
    let scratch = Scratch::new("pins")?;
    let broker = free_address();
    let config = format!(
        "listener {} 127.0.0.1\nallow_anonymous true\n",
        broker.port()
    );
    let config = scratch.file("mosquitto.conf", config.as_bytes())?;
    let mut mosquitto = Command::new(installed("mosquitto"));
    mosquitto.arg("-c").arg(config);
    let _mosquitto = Program::start("mosquitto", &mut mosquitto)?.listening(broker)?;
    let connect = || -> std::io::Result<Bench> {
        let mut publisher = TcpStream::connect(broker)?;
        publisher.set_nodelay(true)?;
        publisher.write_all(b"\x10\x11\0\x04MQTT\x04\x02\0\0\0\x05bench")?;
        publisher.read_exact(&mut [0; 4])?;
        Ok(Bench {
            publisher,
            stamps: UdpSocket::bind("127.0.0.1:0")?,
            level: false,
        })
    };
    let mut bench = connect().map_err(|error| format!("mosquitto: {error}"))?;
    let stamps = bench
        .stamps
        .local_addr()
        .map_err(|error| error.to_string())?;
    let given = Given {
        config: Some(format!(
            "[device]\nname = \"device\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {}\n",
            broker.port()
        )),
        knows_network: true,
        environment: vec![("BENCH_STAMPS", stamps.to_string())],
    };
    let (_device, _) = board::start("device", &given, &scratch)?;
    bench.until_online()?;
    let lost = |error: std::io::Error| format!("a message did not come to the pin: {error}");
    let (mut p50, mut p99, mut burst) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..plan.rounds {
        let mut single = Samples::default();
        for _ in 0..plan.of(500) {
            single.push(bench.round(1).map_err(lost)?);
            std::thread::sleep(Duration::from_micros(500));
        }
        p50.push(single.median());
        p99.push(single.quantile(0.99));
        burst.push(bench.round(BURST).map_err(lost)?);
    }
    let original = "the original: a command is taken every 100 ms";
    Ok(Section {
        title: "Messages in",
        note: "From the publisher's write, through mosquitto, to pin 14 of a whole device on the virtual \
               board; one at a time, half a millisecond apart, and 50 in one write. For an idle machine."
            .into(),
        rows: vec![
            Row::new("message to pin, p50", p50.show(" ms")).against(original),
            Row::new("message to pin, p99", p99.show(" ms")).at_most(&p99, 1.0, "1 ms"),
            Row::new("burst of 50, to the last pin", burst.show(" ms"))
                .against("the original: 5,080 ms (committed figure)")
                .at_most(&burst, 10.0, "10 ms"),
        ],
    })
}
