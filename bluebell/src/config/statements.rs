//! Reads a text statement by statement: headers, and keys with their values.
//!
//! Guarantees: whatever the text, memory stays within one statement's tokens, and the first thing that is
//! wrong ends the reading. Quoted keys are decoded, so that a key has one spelling only.

use heapless::{String, Vec};
use toml_parser::decoder::{Encoding, ScalarKind, StringBuilder};
use toml_parser::lexer::{Token, TokenKind};
use toml_parser::parser::{EventReceiver, parse_document};
use toml_parser::{ErrorSink, Expected, ParseError, Raw, Source, Span};
use zeroize::Zeroize;

use super::error::{ConfigError, ConfigProblem, cut};
use super::{MAX_TEXT, Value};

/// The longest path, `section.key`, in bytes.
const MAX_PATH: usize = 64;
/// The longest value that any key takes, in bytes.
const MAX_VALUE: usize = 64;
/// The most tokens of a statement: a dotted key with a value and a comment has eleven.
const MAX_TOKENS: usize = 32;

const ARRAYS: &str = "arrays are not read here: give each value a key of its own";
const INLINE_TABLES: &str = "inline tables are not read here: write a [section]";
const ARRAY_TABLES: &str = "arrays of tables are not read here: write [section], once";
const KEYS: &str = "keys are made of letters, digits, `_` and `-`";
const TOKENS: &str = "there is too much on one line: write one key = value to a line";
const NUMBERS: &str = "floats and dates are not read here: write a whole number or a \"text\"";

/// One statement of a text.
pub(super) struct Statement<'t, 's> {
    /// The line on which it begins.
    pub(super) line: u16,
    /// Its section and key, as in `mqtt.port`; the section alone for a header.
    pub(super) path: &'s str,
    /// The value, or `None` for a header.
    pub(super) value: Option<RawValue<'t>>,
    /// Whether the key itself names its section, as in `mqtt.port = 1` above all headers.
    pub(super) dotted: bool,
}

impl Statement<'_, '_> {
    /// This statement is wrong.
    pub(super) fn wrong(&self, problem: ConfigProblem) -> ConfigError {
        ConfigError::new(self.line, self.path, problem)
    }
}

/// A value as it stands in the text.
#[derive(Clone, Copy)]
pub(super) struct RawValue<'t> {
    raw: Raw<'t>,
    span: Span,
}

impl RawValue<'_> {
    /// Where it stands.
    pub(super) fn range(&self) -> core::ops::Range<usize> {
        self.span.start()..self.span.end()
    }
}

/// A decoded value, wiped when it is dropped because it may be a secret.
pub(super) struct Decoded {
    text: String<MAX_VALUE>,
    kind: DecodedKind,
    /// The text was longer than any key takes.
    pub(super) too_long: bool,
}

enum DecodedKind {
    Text,
    Integer(i64),
    Bool(bool),
}

impl Decoded {
    /// The value; a text that was too long is cut.
    pub(super) fn value(&self) -> Value<'_> {
        match self.kind {
            DecodedKind::Text => Value::Text(&self.text),
            DecodedKind::Integer(number) => Value::Integer(number),
            DecodedKind::Bool(value) => Value::Bool(value),
        }
    }
}

impl Drop for Decoded {
    fn drop(&mut self) {
        self.text.as_mut_str().zeroize();
    }
}

/// Collects a decoded text.
struct Builder<'b, const N: usize> {
    text: &'b mut String<N>,
    too_long: bool,
}

impl<'s, const N: usize> StringBuilder<'s> for Builder<'_, N> {
    fn clear(&mut self) {
        self.text.clear();
    }

    fn push_str(&mut self, append: &'s str) -> bool {
        for character in append.chars() {
            self.too_long |= self.text.push(character).is_err();
        }
        true
    }

    fn push_char(&mut self, append: char) -> bool {
        self.too_long |= self.text.push(append).is_err();
        true
    }
}

/// What the parser reports of one statement.
struct Receiver<'t, 's> {
    source: Source<'t>,
    section: &'s str,
    path: String<MAX_PATH>,
    keys: u8,
    header: bool,
    value: Option<RawValue<'t>>,
    start: Option<usize>,
    problem: Option<ConfigProblem>,
}

impl Receiver<'_, '_> {
    fn begin(&mut self, span: Span) {
        self.start.get_or_insert(span.start());
    }

    fn refuse(&mut self, remedy: &'static str) {
        self.problem
            .get_or_insert(ConfigProblem::Unsupported(remedy));
    }
}

impl EventReceiver for Receiver<'_, '_> {
    fn std_table_open(&mut self, span: Span, _error: &mut dyn ErrorSink) {
        self.begin(span);
        self.header = true;
    }

    fn array_table_open(&mut self, span: Span, _error: &mut dyn ErrorSink) {
        self.begin(span);
        self.header = true;
        self.refuse(ARRAY_TABLES);
    }

    fn inline_table_open(&mut self, span: Span, _error: &mut dyn ErrorSink) -> bool {
        self.begin(span);
        self.refuse(INLINE_TABLES);
        false
    }

    fn array_open(&mut self, span: Span, _error: &mut dyn ErrorSink) -> bool {
        self.begin(span);
        self.refuse(ARRAYS);
        false
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        self.begin(span);
        if self.keys == 0 && !self.header && !self.section.is_empty() {
            // A section is shorter than a path.
            let _ = self.path.push_str(self.section);
        }
        self.keys = self.keys.saturating_add(1);
        let mut key = String::<MAX_PATH>::new();
        let mut builder = Builder {
            text: &mut key,
            too_long: false,
        };
        if let Some(raw) = self.source.get(span) {
            Raw::new_unchecked(raw.as_str(), encoding, span).decode_key(&mut builder, error);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if key.is_empty() || !key.bytes().all(plain) {
            self.refuse(KEYS);
            return;
        }
        if !self.path.is_empty() {
            let _ = self.path.push('.');
        }
        for character in key.chars() {
            // What does not fit makes a path that no key has.
            let _ = self.path.push(character);
        }
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _error: &mut dyn ErrorSink) {
        self.value = self.source.get(span).map(|raw| RawValue {
            raw: Raw::new_unchecked(raw.as_str(), encoding, span),
            span,
        });
    }

    fn comment(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.begin(span);
        if let Some(raw) = self.source.get(span) {
            raw.decode_comment(error);
        }
    }

    fn newline(&mut self, span: Span, error: &mut dyn ErrorSink) {
        if let Some(raw) = self.source.get(span) {
            raw.decode_newline(error);
        }
    }
}

/// Keeps the first error and where it is.
struct FirstError(Option<(ConfigProblem, Option<usize>)>);

impl ErrorSink for FirstError {
    fn report_error(&mut self, error: ParseError) {
        if self.0.is_none() {
            let expected = match error.expected() {
                Some([Expected::Literal("\n"), ..]) => Some("the end of the line"),
                Some([Expected::Literal(one) | Expected::Description(one)]) => Some(*one),
                _ => None,
            };
            self.0 = Some((
                ConfigProblem::Syntax(cut(error.description()), expected),
                error.unexpected().map(|span| span.start()),
            ));
        }
    }
}

/// The line, from 1, that holds a byte of the text.
fn line_at(text: &str, at: usize) -> u16 {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(1)
}

/// Gives every statement of `text` to `visit`.
pub(super) fn read<'t>(
    text: &'t str,
    visit: &mut dyn FnMut(&Statement<'t, '_>) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    if text.len() > MAX_TEXT {
        return Err(ConfigError::new(0, "", ConfigProblem::TextTooLong));
    }
    let source = Source::new(text);
    let mut lexer = source.lex();
    let mut section = String::<MAX_PATH>::new();
    loop {
        let mut tokens = Vec::<Token, MAX_TOKENS>::new();
        let mut overflow = false;
        let mut end = false;
        for token in lexer.by_ref() {
            end = token.kind() == TokenKind::Eof;
            overflow |= tokens.push(token).is_err();
            if end || token.kind() == TokenKind::Newline {
                break;
            }
        }
        if tokens.is_empty() {
            return Ok(());
        }
        let header = statement(text, &tokens, overflow, &section, visit)?;
        if let Some(header) = header {
            section = header;
        }
        if end {
            return Ok(());
        }
    }
}

/// Reads one statement; a header's section is returned.
fn statement<'t>(
    text: &'t str,
    tokens: &[Token],
    overflow: bool,
    section: &str,
    visit: &mut dyn FnMut(&Statement<'t, '_>) -> Result<(), ConfigError>,
) -> Result<Option<String<MAX_PATH>>, ConfigError> {
    let mut receiver = Receiver {
        source: Source::new(text),
        section,
        path: String::new(),
        keys: 0,
        header: false,
        value: None,
        start: None,
        problem: None,
    };
    let mut first = FirstError(None);
    parse_document(tokens, &mut receiver, &mut first);
    let Receiver {
        path,
        keys,
        header,
        value,
        start,
        mut problem,
        ..
    } = receiver;
    if problem.is_none() && overflow {
        problem = Some(ConfigProblem::Unsupported(TOKENS));
    }
    let start = start.or_else(|| tokens.first().map(|token| token.span().start()));
    if let Some(problem) = problem {
        let line = line_at(text, start.unwrap_or(0));
        return Err(ConfigError::new(line, &path, problem));
    }
    if let Some((problem, at)) = first.0 {
        let line = line_at(text, at.or(start).unwrap_or(0));
        return Err(ConfigError::new(line, &path, problem));
    }
    if keys == 0 {
        return Ok(None);
    }
    visit(&Statement {
        line: line_at(text, start.unwrap_or(0)),
        path: &path,
        value,
        dotted: section.is_empty() && keys > 1,
    })?;
    Ok(header.then_some(path))
}

/// Decodes a statement's value.
pub(super) fn decode(
    statement: &Statement<'_, '_>,
    value: RawValue<'_>,
) -> Result<Decoded, ConfigError> {
    let mut first = FirstError(None);
    let mut decoded = Decoded {
        text: String::new(),
        kind: DecodedKind::Text,
        too_long: false,
    };
    let mut builder = Builder {
        text: &mut decoded.text,
        too_long: false,
    };
    let kind = value.raw.decode_scalar(&mut builder, &mut first);
    decoded.too_long = builder.too_long;
    if let Some((problem, _)) = first.0 {
        return Err(statement.wrong(problem));
    }
    decoded.kind = match kind {
        ScalarKind::String => DecodedKind::Text,
        ScalarKind::Boolean(value) => DecodedKind::Bool(value),
        ScalarKind::Integer(radix) => match i64::from_str_radix(&decoded.text, radix.value()) {
            Ok(number) if !decoded.too_long => DecodedKind::Integer(number),
            _ => {
                return Err(statement.wrong(ConfigProblem::NotAllowed(
                    "a whole number of at most 64 bits",
                )));
            }
        },
        ScalarKind::Float | ScalarKind::DateTime => {
            return Err(statement.wrong(ConfigProblem::Unsupported(NUMBERS)));
        }
    };
    Ok(decoded)
}
