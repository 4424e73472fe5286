//! Bytes put together from pieces.

/// Writes the pieces one after the other to the start of `into`, and says how many bytes they have; `None` when
/// they do not fit, and then what is in `into` means nothing.
pub(crate) fn put(into: &mut [u8], pieces: &[&[u8]]) -> Option<usize> {
    let mut rest = &mut *into;
    for piece in pieces {
        let (place, after) = rest.split_at_mut_checked(piece.len())?;
        place.copy_from_slice(piece);
        rest = after;
    }
    let left = rest.len();
    into.len().checked_sub(left)
}

/// Copies the first `length` bytes of `from` to the start of `into`; `None` when either is shorter.
pub(crate) fn copy(from: &[u8], into: &mut [u8], length: usize) -> Option<()> {
    into.get_mut(..length)?.copy_from_slice(from.get(..length)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{copy, put};

    #[test]
    fn pieces_stand_one_after_the_other_and_what_is_behind_them_stays() {
        let mut room = *b"......";
        assert_eq!(put(&mut room, &[b"ab", b"", b"c"]), Some(3));
        assert_eq!(&room, b"abc...");
        assert_eq!(put(&mut room, &[b"123", b"456"]), Some(6));
        assert_eq!(&room, b"123456");
        assert_eq!(put(&mut room, &[]), Some(0));
    }

    #[test]
    fn the_beginning_is_copied_if_both_have_it() {
        let mut room = *b"......";
        assert_eq!(copy(b"abcd", &mut room, 3), Some(()));
        assert_eq!(&room, b"abc...");
        assert_eq!(copy(b"abcd", &mut room, 5), None);
        assert_eq!(copy(b"abcdefgh", &mut room, 7), None);
    }

    #[test]
    fn pieces_that_do_not_fit_are_refused() {
        let mut room = [0; 6];
        assert_eq!(put(&mut room, &[b"123", b"4567"]), None);
        assert_eq!(put(&mut [], &[b"1"]), None);
    }
}
