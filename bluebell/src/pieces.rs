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

#[cfg(test)]
mod tests {
    use super::put;

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
    fn pieces_that_do_not_fit_are_refused() {
        let mut room = [0; 6];
        assert_eq!(put(&mut room, &[b"123", b"4567"]), None);
        assert_eq!(put(&mut [], &[b"1"]), None);
    }
}
