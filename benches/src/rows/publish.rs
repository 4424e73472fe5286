//! Messages out: a whole device beside other clients, each against the same sink.

use std::fmt::Display;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use rumqttc::{AsyncClient, MqttOptions, QoS};

use crate::board::{self, Given};
use crate::peers::PEER;
use crate::process::{Failure, Program, Scratch, installed, sibling};
use crate::samples::Samples;
use crate::sink::{Client, Sink};
use crate::table::{Row, Section};
use crate::{Plan, original};

/// How many messages a client may leave unacknowledged, as the framework does.
const IN_FLIGHT: u16 = 8;

/// Messages a second of every client, in the order of [`NAMES`], and the last of the original.
type Rates = [Samples; 5];
const NAMES: [&str; 5] = [
    "Bluebell",
    "rumqttc",
    "`mosquitto_pub -l`",
    original::NAME,
    "std::net, which does nothing but write and read",
];

pub(crate) fn measure(plan: &Plan) -> Result<Section, Failure> {
    let scratch = Scratch::new("publish")?;
    let sink = Sink::new()?;
    let port = sink.address()?.port();
    let given = Given {
        config: Some(format!(
            "[device]\nname = \"device\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n"
        )),
        knows_network: true,
        ..Given::default()
    };
    let (program, _) = board::start("device", &given, &scratch)?;
    let mut device = sink.accept()?;
    device.subscribed(2)?;
    let original = original::lay_out(plan, &scratch)?;
    let lines = scratch.file("lines", "x".repeat(32).as_bytes())?;

    let mut rows = Vec::new();
    for (qos, messages) in [(0, plan.of(200_000)), (1, plan.of(60_000))] {
        let mut rates = Rates::default();
        let mut cpu = Samples::default();
        let text = format!("{}\n", "x".repeat(32)).repeat(messages);
        std::fs::write(&lines, text).map_err(|error| error.to_string())?;
        for _ in 0..plan.rounds {
            let before = program.cpu()?;
            rates[0].push(device_round(&mut device, qos, messages)?);
            cpu.push((program.cpu()? - before) * 1e6 / messages as f64);
            let mut rumqttc = Command::new(sibling("bench")?);
            rumqttc.args([PEER, "rumqttc", &sink.address()?.to_string()]);
            rumqttc.args([qos.to_string(), messages.to_string()]);
            rates[1].push(client_round(&sink, "rumqttc", &mut rumqttc, messages)?);
            let mut mosquitto = Command::new("sh");
            let program = installed("mosquitto_pub");
            mosquitto.arg("-c").arg(format!(
                "exec {} -h 127.0.0.1 -p {port} -t bench/data -q {qos} -l < {}",
                program.display(),
                lines.display()
            ));
            rates[2].push(client_round(
                &sink,
                "mosquitto_pub",
                &mut mosquitto,
                messages,
            )?);
            let mut plain = Command::new(sibling("bench")?);
            plain.args([PEER, "plain", &sink.address()?.to_string()]);
            plain.args([qos.to_string(), messages.to_string()]);
            rates[4].push(client_round(&sink, "plain", &mut plain, messages)?);
            if let Some(folder) = &original {
                let few = if qos == 0 { messages } else { messages.min(50) };
                let mut command = original::micropython(folder);
                command.arg("publish.py").arg(port.to_string());
                command.args([qos.to_string(), few.to_string()]);
                rates[3].push(client_round(&sink, "micropython", &mut command, few)?);
            }
        }
        rows.extend(judge(qos, &rates, &cpu));
    }
    let mut one = Samples::default();
    for _ in 0..plan.rounds {
        one.push(device_round(&mut device, "one", plan.of(5_000))?);
    }
    rows.push(
        Row::new("QoS 1, one after the other", one.show("/s"))
            .against("each publish returns when its message is safe from a power cut"),
    );
    Ok(Section {
        title: "Messages out",
        note: "32 bytes each, from a whole device on the virtual board. Every client publishes to the \
               same sink, which counts, and acknowledges at once: no broker's own work is in the figures. With \
               QoS 1 the device's publish returns when its message is acknowledged or on flash; the others keep theirs in \
               memory alone. From \
               the order to publish (a device) or the connection (the others) to the last message at the sink."
            .into(),
        rows,
    })
}

fn device_round(device: &mut Client, qos: impl Display, messages: usize) -> Result<f64, Failure> {
    device.tell("bench/go", format!("{qos} {messages}").as_bytes())?;
    let took = device.count(messages)?;
    Ok(messages as f64 / took.as_secs_f64())
}

fn client_round(
    sink: &Sink,
    name: &str,
    command: &mut Command,
    messages: usize,
) -> Result<f64, Failure> {
    let _program = Program::start(name, command)?;
    let took = sink.accept()?.count(messages)?;
    Ok(messages as f64 / took.as_secs_f64())
}

fn judge(qos: u8, rates: &Rates, cpu: &Samples) -> Vec<Row> {
    let [ours, rumqttc, _, original, plain] = rates;
    let what = match qos {
        0 => "QoS 0".to_owned(),
        _ => format!("QoS 1, up to {IN_FLIGHT} in flight"),
    };
    let others = NAMES.iter().zip(rates).skip(1);
    let others = others.filter(|(_, rate)| rate.median().is_finite());
    let others: Vec<_> = others
        .map(|(name, rate)| format!("{name} {}", rate.show("/s")))
        .collect();
    let mut rows = vec![
        Row::new(&what, ours.show("/s")).against(others.join("; ")),
        Row::new(format!("{what}: processor time a message"), cpu.show(" µs")),
    ];
    let by = ours.ratio(rumqttc);
    let row = Row::new(format!("{what}: by rumqttc's"), by.show(" ×"));
    rows.push(row.at_least(&by, 1.0, "1.0 × rumqttc"));
    let by = ours.ratio(plain);
    rows.push(Row::new(
        format!("{what}: by the floor's, std::net"),
        by.show(" ×"),
    ));
    if qos == 0 && original.median().is_finite() {
        let by = ours.ratio(original);
        let row = Row::new(format!("{what}: by the original's"), by.show(" ×"));
        rows.push(row.at_least(&by, 1.5, "1.5 × the original"));
    } else if qos == 0 {
        let by = ours.scaled(1.0 / 156_589.0);
        let row = Row::new(format!("{what}: by the original's"), by.show(" ×"));
        rows.push(
            row.against("committed figure of the original: 156,589/s on another machine")
                .unjudged("≥ 1.5 × the original: start with ORIGINAL=path"),
        );
    }
    rows
}

/// Publishes with nothing but the packets, and no more of them unacknowledged than others: what the machine's
/// round trips allow.
pub(crate) fn be_plain(address: &str, qos: &str, messages: usize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    // MQTT 3.1.1: a clean session of the client `plain`, answered by four bytes.
    stream.write_all(b"\x10\x11\0\x04MQTT\x04\x02\0\0\0\x05plain")?;
    stream.read_exact(&mut [0; 4])?;
    let needs_answer = qos != "0";
    let mut packet = vec![if needs_answer { 0x32 } else { 0x30 }, 0];
    packet.extend_from_slice(b"\0\x0Abench/data");
    packet.extend_from_slice(if needs_answer { b"\0\x01" } else { b"" });
    packet.extend_from_slice(&[b'x'; 32]);
    packet[1] = (packet.len() - 2) as u8;
    let (mut sent, mut in_flight) = (0, 0);
    let mut answers = [0; 4 * IN_FLIGHT as usize];
    let mut rest = 0;
    while sent < messages || in_flight > 0 {
        let room = match needs_answer {
            true => usize::from(IN_FLIGHT) - in_flight,
            false => 64,
        };
        let now = room.min(messages - sent);
        stream.write_all(&packet.repeat(now))?;
        sent += now;
        if needs_answer {
            in_flight += now;
            rest += stream.read(&mut answers)?;
            in_flight -= rest / 4;
            rest %= 4;
        }
    }
    Ok(())
}

/// Publishes with rumqttc: the client as its users have it, with the window of the framework.
pub(crate) fn be_rumqttc(address: &str, qos: &str, messages: usize) -> std::io::Result<()> {
    let (host, port) = address.split_once(':').unwrap_or((address, "1883"));
    let mut options = MqttOptions::new("rumqttc", host, port.parse().unwrap_or(1883));
    options.set_inflight(IN_FLIGHT);
    let qos = match qos {
        "0" => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (client, mut events) = AsyncClient::new(options, 100);
        let publish = async {
            for _ in 0..messages {
                let payload = vec![b'x'; 32];
                if client
                    .publish("bench/data", qos, false, payload)
                    .await
                    .is_err()
                {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let pump = async { while events.poll().await.is_ok() {} };
        embassy_futures::select::select(publish, pump).await;
    });
    Ok(())
}
