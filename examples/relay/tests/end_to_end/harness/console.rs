//! What a program prints, line by line, as it comes.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The lines of one stream of a child so far.
#[derive(Clone)]
pub(crate) struct Console {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Console {
    /// Reads in a thread of its own until the child closes the stream.
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut bytes = Vec::new();
            while matches!(stream.read_until(b'\n', &mut bytes), Ok(1..)) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                all.lock().expect("no reader panics").push(line);
                bytes.clear();
            }
        });
        Self {
            lines,
            reader: Arc::new(Mutex::new(Some(reader))),
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no reader panics").clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// Waits for the end of the stream; only where the child and all of its own are gone.
    pub(crate) fn finish(&self) {
        if let Some(reader) = self.reader.lock().expect("no reader panics").take() {
            drop(reader.join());
        }
    }

    /// How many lines contain all of these.
    pub(crate) fn count(&self, parts: &[&str]) -> usize {
        let holds = |line: &&String| parts.iter().all(|part| line.contains(part));
        self.lines().iter().filter(holds).count()
    }
}
