//! Where the fields of a CSV text lie (RFC 4180): commas, line ends of either kind, quotes around a field and doubled
//! within it. A quote inside a bare field is a character like any other.

use std::borrow::Cow;

/// A field as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// Its first byte's place in the text.
    pub(super) start: usize,
    /// Its bytes, quotes included, without what ends it.
    pub(super) raw: &'a [u8],
    /// Whether its line ends after it.
    pub(super) is_last: bool,
}

/// Why a text cannot be cut into fields, with the position of the field at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A quote that is never closed.
    Open(usize),
    /// Something between a closing quote and the end of its field.
    AfterQuote(usize),
}

/// Walks over a text field by field.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Starts at byte `at` of `text`, where a line starts.
    pub(super) fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// Goes over lines without anything in them, to the first byte of the next line that is none; `None` at the end.
    pub(super) fn line(&mut self) -> Option<usize> {
        loop {
            match self.text[self.at..] {
                [] | [b'\r'] => return None,
                [b'\n', ..] => self.at += 1,
                [b'\r', b'\n', ..] => self.at += 2,
                _ => return Some(self.at),
            }
        }
    }

    /// The next field of the line.
    #[inline]
    pub(super) fn field(&mut self) -> Result<Field<'a>, Fault> {
        let start = self.at;
        let end = if self.text.get(start) == Some(&b'"') { self.quoted_end(start)? } else { self.bare_end(start) };
        let is_last = self.text.get(end) != Some(&b',');
        self.at = self.text.len().min(end + 1);
        let raw = &self.text[start..end];
        // Of the line end CR LF the CR is left.
        let raw = if is_last { raw.strip_suffix(b"\r").unwrap_or(raw) } else { raw };
        Ok(Field { start, raw, is_last })
    }

    /// The first comma or line end from `start` on, or the end of the text.
    fn bare_end(&self, start: usize) -> usize {
        let length = self.text[start..].iter().position(|byte| matches!(byte, b',' | b'\n'));
        length.map_or(self.text.len(), |length| start + length)
    }

    /// What ends the field that opens a quote at `start`.
    fn quoted_end(&self, start: usize) -> Result<usize, Fault> {
        let mut at = start + 1;
        loop {
            at += self.text[at..].iter().position(|byte| *byte == b'"').ok_or(Fault::Open(start))? + 1;
            match self.text[at..] {
                [b'"', ..] => at += 1,
                [] | [b',' | b'\n', ..] => return Ok(at),
                [b'\r'] | [b'\r', b'\n', ..] => return Ok(at + 1),
                _ => return Err(Fault::AfterQuote(start)),
            }
        }
    }
}

/// What a field says, without its quotes; `None` where that is not UTF-8.
pub(super) fn text_of(raw: &[u8]) -> Option<Cow<'_, str>> {
    match raw {
        [b'"', inside @ .., b'"'] => {
            let inside = std::str::from_utf8(inside).ok()?;
            Some(if inside.contains('"') { inside.replace("\"\"", "\"").into() } else { inside.into() })
        }
        bare => std::str::from_utf8(bare).ok().map(Cow::Borrowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of a text.
    fn lines(text: &str) -> Result<Vec<Vec<String>>, Fault> {
        let mut fields = Fields::new(text.as_bytes(), 0);
        let mut lines = Vec::new();
        while fields.line().is_some() {
            let mut line = Vec::new();
            loop {
                let field = fields.field()?;
                line.push(text_of(field.raw).unwrap().into_owned());
                if field.is_last {
                    break;
                }
            }
            lines.push(line);
        }
        Ok(lines)
    }

    #[test]
    fn fields_are_cut_where_they_end() {
        for (text, wanted) in [
            ("", vec![]),
            ("\n\r\n\r", vec![]),
            ("a,b\n1,2\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a,b\r\n1,2", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a,b\r\n1,2\r", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("\n\na\n\n\r\n1\n\n", vec![vec!["a"], vec!["1"]]),
            (",\n,", vec![vec!["", ""], vec!["", ""]]),
            ("\"\"\n", vec![vec![""]]),
            ("\"a,\"\"\r\nb\"\r\n\"\"\"\",\"x\"", vec![vec!["a,\"\r\nb"], vec!["\"", "x"]]),
            ("5\" nail,6\"\n a \"b\" ,\t", vec![vec!["5\" nail", "6\""], vec![" a \"b\" ", "\t"]]),
            ("a\rb,c\r\r\n", vec![vec!["a\rb", "c\r"]]),
        ] {
            assert_eq!(lines(text).unwrap(), wanted, "{text:?}");
        }
        assert_eq!(lines("a,\"b\n\"\"").unwrap_err(), Fault::Open(2));
        assert_eq!(lines("a\n\"b\"c\n").unwrap_err(), Fault::AfterQuote(2));
        assert_eq!(lines("\"b\"\rc").unwrap_err(), Fault::AfterQuote(0));
    }
}
