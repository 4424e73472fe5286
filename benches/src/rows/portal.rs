//! The portal beside other web servers.

use crate::board::{self, Given};
use crate::load::{Load, answer};
use crate::peers::{self, Server};
use crate::process::{Failure, Scratch};
use crate::samples::Samples;
use crate::table::{Row, Section};
use crate::{Plan, original};

/// One way of asking, and how often.
struct Case {
    name: &'static str,
    load: Load,
}

const CASES: [Case; 4] = [
    case("a connection each, 1 client", false, 1, 2_000),
    case("a connection each, 8 clients", false, 8, 2_000),
    case("keep-alive, 1 client", true, 1, 4_000),
    case("keep-alive, 8 clients", true, 8, 4_000),
];

const fn case(name: &'static str, keep_alive: bool, clients: usize, requests: usize) -> Case {
    let load = Load {
        clients,
        keep_alive,
        requests,
    };
    Case { name, load }
}

/// Requests per second, and processor time per request in microseconds.
#[derive(Debug, Clone, Default)]
struct Figures {
    rate: Samples,
    cpu: Samples,
}

pub(crate) fn measure(plan: &Plan) -> Result<Section, Failure> {
    let scratch = Scratch::new("portal")?;
    let (program, address) = board::start("relay", &Given::default(), &scratch)?;
    let ours = Server {
        name: "Bluebell",
        address,
        path: "/",
        program: program.listening(address)?,
    };
    let page = answer(address, "/")?;
    let head = page.windows(4).position(|four| four == b"\r\n\r\n");
    let body = &page[head.map_or(0, |head| head + 4)..];
    let mut servers = vec![
        ours,
        peers::floor(&scratch, &page)?,
        peers::picoserve()?,
        peers::nginx(&scratch, body)?,
    ];
    let original = original::web_server(plan, &scratch)?;
    servers.extend(original);
    let mut rows = Vec::new();
    for case in &CASES {
        rows.extend(measure_case(plan, case, &servers)?);
    }
    let note = format!(
        "The page of the relay's portal ({} bytes with its head, gzip, style and script in it) as \
         it is served on the virtual board. Floor: a blocking `std::net` server with the same bytes, eight \
         threads that accept. picoserve: `hello` from one route. nginx: one process, the same body \
         from a file.",
        page.len()
    );
    Ok(Section {
        title: "Portal",
        note,
        rows,
    })
}

fn measure_case(plan: &Plan, case: &Case, servers: &[Server]) -> Result<Vec<Row>, Failure> {
    let load = Load {
        requests: plan.of(case.load.requests),
        ..case.load
    };
    let mut figures = vec![Figures::default(); servers.len()];
    for _ in 0..plan.rounds {
        for (server, figures) in servers.iter().zip(&mut figures) {
            // The original has no keep-alive and takes one client at a time.
            if server.name == original::NAME && load.keep_alive {
                continue;
            }
            let before = server.program.cpu()?;
            let took = load.run(server.address, server.path)?;
            let requests = load.requests as f64;
            figures.rate.push(requests / took.as_secs_f64());
            let used = server.program.cpu()? - before;
            figures.cpu.push(used * 1e6 / requests);
        }
    }
    Ok(rows(case, servers, &figures))
}

fn rows(case: &Case, servers: &[Server], figures: &[Figures]) -> Vec<Row> {
    let [ours, floor, picoserve, nginx, original @ ..] = figures else {
        return Vec::new();
    };
    let others = |pick: fn(&Figures) -> &Samples, unit: &str| -> String {
        let named = servers.iter().zip(figures).skip(1);
        let shown = named.filter(|(_, figures)| figures.rate.median().is_finite());
        shown
            .map(|(server, figures)| format!("{} {}", server.name, pick(figures).show(unit)))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let rate = || Row::new(case.name, ours.rate.show("/s")).against(others(|f| &f.rate, "/s"));
    let ratio =
        |what: &str, ratio: &Samples| Row::new(format!("{}: {what}", case.name), ratio.show(" ×"));
    let mut rows = vec![rate()];
    if case.load.keep_alive {
        let by = ours.rate.ratio(&nginx.rate);
        rows.push(ratio("requests by nginx's", &by).at_least(&by, 0.5, "0.5 × nginx"));
        return rows;
    }
    let by = ours.rate.ratio(&picoserve.rate);
    rows.push(ratio("requests by picoserve's", &by).at_least(&by, 0.9, "0.9 × picoserve"));
    rows.push(
        Row::new(
            format!("{}: processor time a request", case.name),
            ours.cpu.show(" µs"),
        )
        .against(others(|f| &f.cpu, " µs")),
    );
    let by = ours.cpu.ratio(&floor.cpu);
    rows.push(ratio("processor time by the floor's", &by).at_most(&by, 1.5, "1.5 × the floor"));
    let [original] = original else {
        let reach = "≥ 2 × the original's requests, ≤ 0.6 × its processor time";
        let what = format!("{}: by the original", case.name);
        let row = Row::new(what, "not measured: start with ORIGINAL=path");
        rows.push(row.against(original::PAGE).unjudged(reach));
        return rows;
    };
    let by = ours.rate.ratio(&original.rate);
    rows.push(ratio("requests by the original's", &by).at_least(&by, 2.0, "2 × the original"));
    let by = ours.cpu.ratio(&original.cpu);
    rows.push(ratio("processor time by the original's", &by).at_most(
        &by,
        0.6,
        "0.6 × the original",
    ));
    rows
}
