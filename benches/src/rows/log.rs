//! What a line of the log costs with its way to the flash.

use bluebell::log::{Level, Log};
use bluebell::storage::{Store, StoreMemory};
use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_time::Timer;
use rustix::time::{ClockId, clock_gettime};
use sim::board::SimDevice;
use sim::flash::{Flash, SECTOR};
use sim::time::run_virtual;

use crate::Plan;
use crate::process::Failure;
use crate::samples::Samples;
use crate::table::{Row, Section};

/// What the lines of one run took together.
struct Taken {
    seconds: f64,
    programmed: f64,
    erased: f64,
    /// Bytes that the lines themselves have.
    bytes: f64,
}

pub(crate) fn measure(plan: &Plan) -> Result<Section, Failure> {
    let lines = plan.of(5_000);
    let (mut cpu, mut written) = (Samples::default(), None);
    for _ in 0..plan.rounds {
        let taken = run(lines);
        if taken.programmed < taken.bytes {
            return Err("the lines are not on the flash: its layout has changed".into());
        }
        cpu.push(taken.seconds * 1e6 / lines as f64);
        written = Some(taken);
    }
    let written = written.ok_or("there is no round")?;
    let each = |total: f64| total / lines as f64;
    let original = "the original (1,000 bytes of log, LFS2): 1,060 bytes and 1 erase a line";
    Ok(Section {
        title: "Log to flash",
        note: format!(
            "{lines} lines of {:.0} bytes, ten a second in virtual time, into the simulated flash; its \
             own work is in the processor time.",
            each(written.bytes)
        ),
        rows: vec![
            Row::new("log line, kept on flash: processor time", cpu.show(" µs"))
                .against("the original: 544 µs (1,000 bytes of log)")
                .at_most(&cpu, 5.0, "5 µs"),
            Row::new(
                "log line: bytes programmed",
                format!("{:.0}", each(written.programmed)),
            )
            .against(original),
            Row::new(
                "log line: sectors erased",
                format!("{:.3}", each(written.erased)),
            ),
            Row::new(
                "bytes programmed by bytes of text",
                format!("{:.2} ×", written.programmed / written.bytes),
            )
            .against("the original: 16 ×"),
        ],
    })
}

fn run(lines: usize) -> Taken {
    let layout = SimDevice::layout();
    let ends = [layout.store.end, layout.log.end, layout.outbox.end];
    let end = ends.into_iter().max().unwrap_or(0);
    let flash = Flash::new((end as usize).div_ceil(SECTOR));
    let mut memory = StoreMemory::<3584>::new();
    let mut buffer = [0; 2048];
    let (store, log) = (Store::new(&mut memory), Log::new(&mut buffer));
    let mut bytes = 0;
    let begin = clock_gettime(ClockId::ThreadCPUTime);
    run_virtual(async {
        let kept = join(store.serve(flash.clone(), &layout, &log), log.keep(&store));
        let written = async {
            for number in 0..lines {
                let degrees = number % 40;
                log.write(
                    Level::Info,
                    "app",
                    format_args!("the garage has {degrees} degrees"),
                );
                bytes += "[app] the garage has  degrees".len() + 2;
                Timer::after_millis(100).await;
            }
            // The last ones wait for company.
            Timer::after_secs(5).await;
        };
        select(kept, written).await
    });
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = (now.tv_sec - begin.tv_sec) as f64 + (now.tv_nsec - begin.tv_nsec) as f64 / 1e9;
    let counts = flash.counts();
    Taken {
        seconds,
        programmed: counts.bytes_programmed as f64,
        erased: counts.sectors_erased as f64,
        bytes: bytes as f64,
    }
}
