//! A file that is typed: its lines become pieces, which go to flash as they are complete.
//!
//! Guarantees: no more of the file is in memory than a piece and a line; once a line was refused nothing
//! of the file is kept, and what follows is passed over up to its end.

use core::fmt;

use base64ct::{Base64, Encoding};

use super::typing::Typing;
use crate::uploads::{Name, PIECE, PutError, Uploads};

/// How a file is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines of text; each ends with a line feed in the file.
    Text,
    /// Lines of base64 (RFC 4648, 4), each decodable by itself.
    Base64,
}

/// A file in the making.
pub(super) struct Receiving {
    form: Form,
    /// How many bytes it will have, where that was said.
    length: Option<usize>,
    refused: Option<PutError>,
}

/// What is said of lines that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// They are waited for.
    LinesFollow,
    /// So many bytes are on flash.
    Stored(usize),
    /// Nothing of them will be.
    Refused,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinesFollow => {
                formatter.write_str("type or paste it, then a line that is a single .")
            }
            Self::Stored(bytes) => write!(formatter, "{bytes} bytes"),
            Self::Refused => formatter.write_str("refused: end it with a line that is a single ."),
        }
    }
}

impl Receiving {
    pub(super) async fn begin(
        name: &Name,
        form: Form,
        length: Option<usize>,
        uploads: &Uploads<'_>,
    ) -> Self {
        Self {
            form,
            length,
            refused: uploads.begin(name).await.err(),
        }
    }

    pub(super) fn note(&self) -> Note {
        match self.refused {
            None => Note::LinesFollow,
            Some(_) => Note::Refused,
        }
    }

    /// Takes the line that has ended.
    pub(super) async fn line(
        &mut self,
        typing: &mut Typing<'_>,
        uploads: &Uploads<'_>,
    ) -> Option<Note> {
        let taken = match self.refused {
            Some(_) => Ok(None),
            None => self.take(typing, uploads).await,
        };
        match taken {
            Ok(Some(stored)) => return Some(Note::Stored(stored)),
            Ok(None) if self.refused.is_none() => return None,
            Ok(None) => {}
            Err(error) => self.refused = Some(error),
        }
        typing.clear();
        taken.err().map(|_| Note::Refused)
    }

    async fn take(
        &self,
        typing: &mut Typing<'_>,
        uploads: &Uploads<'_>,
    ) -> Result<Option<usize>, PutError> {
        typing.line().map_err(|_| PutError::Line)?;
        let kept = match self.form {
            Form::Text => typing.keep_line(),
            Form::Base64 => {
                let decode = |line: &mut [u8]| Some(Base64::decode_in_place(line).ok()?.len());
                typing.keep_decoded(decode).ok_or(PutError::Base64)?;
                true
            }
        };
        if !kept {
            return Err(PutError::Line);
        }
        let mut stored = None;
        while let Some(piece) = typing.text().get(..PIECE) {
            stored = Some(uploads.add(piece).await?);
            typing.consume(PIECE);
        }
        Ok(stored)
    }

    /// Takes what is left of the file and its end; returns how many bytes it has.
    pub(super) async fn end(&self, rest: &[u8], uploads: &Uploads<'_>) -> Result<usize, PutError> {
        let ended = match self.refused {
            Some(error) => Err(error),
            None => self.finish(rest, uploads).await,
        };
        if ended.is_err() {
            // What stays on flash is removed before the next file is put, or at the next boot.
            let _ = uploads.give_up().await;
        }
        ended
    }

    async fn finish(&self, rest: &[u8], uploads: &Uploads<'_>) -> Result<usize, PutError> {
        if !rest.is_empty() {
            uploads.add(rest).await?;
        }
        uploads.finish(self.length).await
    }
}
