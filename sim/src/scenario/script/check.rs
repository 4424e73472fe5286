//! Reads a scenario, and checks what the types of its parts do not say.

use std::path::Path;

use bluebell::config::Config;
use bluebell::wifi::{Password, Ssid};
use toml::Spanned;

use super::{Act, Network, Script, Step};
use crate::scenario::words::{ScriptError, Span};

impl Script {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The file, the line, what is wrong and what is allowed.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ScriptError {
            what: format!("it cannot be read ({error}): give another file"),
            file: file.clone(),
            line: 1,
        })?;
        Self::parse(&file, &text)
    }

    /// Reads a text; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// As [`Script::read`].
    pub fn parse(file: &str, text: &str) -> Result<Self, ScriptError> {
        let wrong = |at: usize, what: String| ScriptError {
            file: file.to_owned(),
            line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
            what,
        };
        let mut script: Self = toml::from_str(text).map_err(|error| {
            let what = error.message().trim_end().replace('\n', ", ");
            let what = format!("{what}; docs/scenarios.md lists what a scenario has");
            wrong(error.span().map_or(0, |span| span.start), what)
        })?;
        script.check().map_err(|(at, what)| wrong(at, what))?;
        let bytes = text.bytes().enumerate();
        script.ends = bytes
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at)
            .collect();
        Ok(script)
    }

    /// The line of a place, from 1.
    pub(in crate::scenario) fn line(&self, at: usize) -> usize {
        1 + self.ends.partition_point(|end| *end < at)
    }

    /// Checks what the types do not say; where it is wrong, and what.
    fn check(&self) -> Result<(), (usize, String)> {
        if self.story.get_ref().trim().is_empty() {
            let what = "story is empty: say what happens and what must come of it";
            return Err((self.story.span().start, what.into()));
        }
        if let Some(config) = &self.config {
            Config::parse(config.get_ref(), [2, 0, 0, 0, 0, 1])
                .map_err(|error| (config.span().start, format!("config, {error}")))?;
        }
        for network in &self.network {
            check_network(network)?;
        }
        for known in &self.knows {
            let there = |network: &Network| network.ssid.get_ref() == known.get_ref();
            if !self.network.iter().any(there) {
                let what = format!("there is no [[network]] {:?}: add one", known.get_ref());
                return Err((known.span().start, what));
            }
        }
        if let Some(sweep) = &self.sweep
            && (sweep.every.0.as_ticks() == 0 || sweep.to < sweep.from)
        {
            let what = "sweep: every must be more than 0s, and to not before from".into();
            return Err((self.story.span().start, what));
        }
        let mut swept = false;
        for track in [&self.step, &self.meanwhile] {
            let mut last = Span::default();
            for step in track {
                swept |= check_step(step, &mut last)?;
            }
        }
        match (&self.sweep, swept) {
            (None, true) => Err((
                self.story.span().start,
                "a step is at the sweep, and there is none: add sweep = { from, to, every }".into(),
            )),
            (Some(_), false) => Err((
                self.story.span().start,
                "no step is at the sweep: add at = \"sweep\" to one, or leave the sweep out".into(),
            )),
            _ => Ok(()),
        }
    }
}

fn check_network(network: &Network) -> Result<(), (usize, String)> {
    let at = network.ssid.span().start;
    Ssid::new(network.ssid.get_ref()).map_err(|error| (at, format!("ssid: {error}")))?;
    if let Some(password) = &network.password {
        Password::new(password.get_ref())
            .map_err(|error| (password.span().start, format!("password: {error}")))?;
    }
    if network
        .channel
        .is_some_and(|channel| !(1..=13).contains(&channel))
    {
        return Err((at, "channel is out of range: give 1 to 13".into()));
    }
    Ok(())
}

/// Whether the step is at the sweep. `last`: the latest time that was written on its track.
fn check_step(step: &Step, last: &mut Span) -> Result<bool, (usize, String)> {
    let act = step.act.as_ref().map(|act| act.span().start);
    let expect = step.expect.as_ref().map(|expect| expect.span().start);
    let place = step.at.as_ref().map(|at| at.span().start);
    let somewhere = act.or(expect).or(place).unwrap_or_default();
    match (act, expect) {
        (Some(at), Some(_)) => {
            return Err((
                at,
                "a step has do or expect, not both: make two of it".into(),
            ));
        }
        (None, None) => return Err((somewhere, "a step needs do = ... or expect = ...".into())),
        (Some(at), None) if step.within.is_some() || step.holds.is_some() => {
            return Err((
                at,
                "within and holds belong to expect: leave them out".into(),
            ));
        }
        _ => {}
    }
    if let Some(Act::Network(network)) = step.act.as_ref().map(Spanned::get_ref) {
        check_network(network)?;
    }
    let pin = match (&step.act, &step.expect) {
        (Some(act), _) => match act.get_ref() {
            Act::Pin(pin) => Some(*pin),
            _ => None,
        },
        (_, expect) => expect.as_ref().and_then(|expect| expect.get_ref().pin),
    };
    if pin.is_some_and(|pin| pin.level > 1) {
        return Err((
            somewhere,
            "a pin's level is out of range: give 0 or 1".into(),
        ));
    }
    let expected = step.expect.as_ref().map(Spanned::get_ref);
    if let Some(kept) = expected.and_then(|expected| expected.retained.as_ref())
        && kept.topic.contains(['+', '#'])
    {
        let what = "retained: the topic is one topic, without + and #".into();
        return Err((somewhere, what));
    }
    let Some(at) = &step.at else {
        return Ok(false);
    };
    if step.after.is_some() {
        let what = "a step has at or after, not both: leave one out".into();
        return Err((at.span().start, what));
    }
    if at.get_ref() == "sweep" {
        return Ok(true);
    }
    let time: Span = at
        .get_ref()
        .parse()
        .map_err(|what| (at.span().start, what))?;
    if time < *last {
        let what = format!("{time} is before {last} of a step above: put the steps in their order");
        return Err((at.span().start, what));
    }
    *last = time;
    Ok(false)
}
