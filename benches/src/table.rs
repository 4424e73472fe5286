//! The table: what was measured, beside what it is measured with and what it is to reach.

use std::fmt::Write as _;

use crate::samples::Samples;

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) against: String,
    pub(crate) reach: String,
    /// Whether the target is met; `None` where there is none, or nothing to measure it with.
    pub(crate) met: Option<bool>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            measured: measured.into(),
            against: String::new(),
            reach: String::new(),
            met: None,
        }
    }

    pub(crate) fn against(mut self, against: impl Into<String>) -> Self {
        self.against = against.into();
        self
    }

    /// A target for which no figure could be had.
    pub(crate) fn unjudged(mut self, reach: impl Into<String>) -> Self {
        self.reach = reach.into();
        self
    }

    /// The median is at most this.
    pub(crate) fn at_most(self, value: &Samples, bound: f64, reach: &str) -> Self {
        let met = value.median() <= bound;
        self.judged(met, format!("≤ {reach}"))
    }

    /// The median is at least this.
    pub(crate) fn at_least(self, value: &Samples, bound: f64, reach: &str) -> Self {
        let met = value.median() >= bound;
        self.judged(met, format!("≥ {reach}"))
    }

    pub(crate) fn judged(mut self, met: bool, reach: impl Into<String>) -> Self {
        self.reach = reach.into();
        self.met = Some(met);
        self
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "",
        }
    }
}

/// The rows of one subject, and what has to be known to read them.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) note: String,
    pub(crate) rows: Vec<Row>,
}

/// The section as Markdown.
pub(crate) fn markdown(section: &Section) -> String {
    let mut text = format!("## {}\n\n", section.title);
    if !section.note.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\n", section.note);
    }
    text.push_str("| what | measured | against | to reach | |\n|---|---|---|---|---|\n");
    for row in &section.rows {
        let verdict = row.verdict();
        let Row {
            what,
            measured,
            against,
            reach,
            ..
        } = row;
        let _ = writeln!(
            text,
            "| {what} | {measured} | {against} | {reach} | {verdict} |"
        );
    }
    text
}
