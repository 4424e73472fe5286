//! A configuration's text as it may be shown: without its secrets.

use core::fmt;

use super::error::ConfigError;
use super::settings::AUTO;
use super::statements::{decode, read};
use super::{KEPT, SecretKey, Value};

/// Why a text could not be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedactError {
    /// It can't be told where its secrets are; what was written so far holds none.
    Unreadable(ConfigError),
    /// The writer did not take it.
    Write,
}

impl fmt::Display for RedactError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(formatter, "the configuration is not shown: {error}"),
            Self::Write => formatter.write_str("the configuration does not fit: give it more room"),
        }
    }
}

impl core::error::Error for RedactError {}

/// Writes the same text with `"***"` in the place of its secrets; comments and layout stay.
///
/// Secrets are the values of every [`SecretKey`], but for those that give nothing away: an empty one and
/// the access point's `"auto"`. A secret in a comment is not seen. The result reads as a configuration
/// that keeps the secrets.
///
/// # Errors
///
/// When the text is not TOML, or `out` does not take it.
pub fn redact(text: &str, out: &mut dyn fmt::Write) -> Result<(), RedactError> {
    let mut written = 0;
    let mut failed = false;
    read(text, &mut |statement| {
        let secret = SecretKey::ALL
            .into_iter()
            .find(|key| key.name() == statement.path);
        if let (Some(key), Some(value)) = (secret, statement.value) {
            let open = decode(statement, value).is_ok_and(|decoded| match decoded.value() {
                _ if decoded.too_long => false,
                Value::Text("") => true,
                Value::Text(AUTO) => key == SecretKey::AccessPointPassword,
                _ => false,
            });
            if !open {
                let range = value.range();
                let before = text.get(written..range.start).unwrap_or_default();
                failed |= out.write_str(before).is_err();
                failed |= write!(out, "\"{KEPT}\"").is_err();
                written = range.end;
            }
        }
        Ok(())
    })
    .map_err(RedactError::Unreadable)?;
    failed |= out
        .write_str(text.get(written..).unwrap_or_default())
        .is_err();
    if failed {
        Err(RedactError::Write)
    } else {
        Ok(())
    }
}
