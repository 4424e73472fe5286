//! From power on to the first byte of the portal.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Plan;
use crate::board::{self, Given};
use crate::peers::BOOT;
use crate::process::{Failure, Program, Scratch};
use crate::samples::Samples;
use crate::table::{Row, Section};

pub(crate) fn measure(plan: &Plan) -> Result<Section, Failure> {
    let mut took = Samples::default();
    for _ in 0..plan.rounds {
        let scratch = Scratch::new("boot")?;
        let (mut command, portal) = board::command("relay", &Given::default(), &scratch)?;
        let begin = Instant::now();
        let _program = Program::start("relay", &mut command)?;
        let request = format!("GET / HTTP/1.1\r\nHost: {portal}\r\n\r\n");
        let mut first = [0];
        loop {
            let asked = TcpStream::connect(portal).and_then(|mut stream| {
                stream.set_read_timeout(Some(BOOT))?;
                stream.write_all(request.as_bytes())?;
                stream.read_exact(&mut first)
            });
            if asked.is_ok() {
                break;
            }
            if begin.elapsed() > BOOT {
                return Err("the relay's portal does not answer".into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        took.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let row = Row::new("power on to the portal's first byte", took.show(" ms"))
        .against("the original: 4,010 ms (committed figure)")
        .at_most(&took, 100.0, "100 ms");
    Ok(Section {
        title: "Power on",
        note: "The relay's process on the virtual board, an empty flash, from its start on.".into(),
        rows: vec![row],
    })
}
