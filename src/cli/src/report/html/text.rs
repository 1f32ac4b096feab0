//! Text on the page. Whatever comes from outside (names, YAML strings, file names) goes through [`esc`].

use std::fmt::{self, Display, Formatter, Write as _};

/// A text that shows as it is written: markup in it is text, control characters are visible.
pub(crate) struct Esc<'a>(&'a str);

/// See [`Esc`]. Safe between tags and inside quoted attributes.
pub(crate) fn esc(text: &str) -> Esc<'_> {
    Esc(text)
}

impl Display for Esc<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Neither invisible characters nor those that turn the direction of what follows.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_char('\u{fffd}')?,
                c if c.is_control() && c != '\n' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A sentence with `` `names` `` set as code, escaped.
pub(crate) fn with_code(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let parts: Vec<&str> = text.split('`').collect();
    // A lone backtick is a character like any other.
    let paired = parts.len() % 2 == 1;
    for (i, part) in parts.iter().enumerate() {
        let _ = match (paired, i % 2) {
            (true, 1) => write!(out, "<code>{}</code>", esc(part)),
            (false, _) if i > 0 => write!(out, "`{}", esc(part)),
            _ => write!(out, "{}", esc(part)),
        };
    }
    out
}

/// A number with `digits` decimals and a true minus sign.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        // What rounds to zero has no sign.
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
        Some(rest) => format!("\u{2212}{rest}"),
        None => text,
    }
}

/// As [`fixed`], with a sign in front of a positive number too.
pub(crate) fn signed(value: f64, digits: usize) -> String {
    let text = fixed(value, digits);
    let is_zero = text.chars().all(|c| c == '0' || c == '.');
    if value > 0.0 && !is_zero { format!("+{text}") } else { text }
}

/// A score in the metric's unit, to the digits that a person compares.
pub(crate) fn score(value: f64) -> String {
    fixed(value, if value.abs() >= 100.0 { 4 } else { 6 })
}

/// A score, or a dash.
pub(crate) fn score_or_dash(value: Option<f64>) -> String {
    value.map_or_else(dash, score)
}

/// What stands where there is no number.
pub(crate) fn dash() -> String {
    "\u{2013}".to_owned()
}

/// `21,948`.
pub(crate) fn thousands(value: usize) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 row`, `21,948 rows`.
pub(crate) fn many(count: usize, what: &str) -> String {
    format!("{} {what}{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// A key to sort by: the shortest text that reads back to the number, nothing where there is none.
pub(crate) fn key(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(String::new, |value| format!("{value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        let hostile = "</script><img src=x onerror='alert(1)'>\"&\u{202e}\u{0}";
        let shown = esc(hostile).to_string();
        assert!(!shown.contains(['<', '>', '"', '\'', '\u{202e}', '\u{0}']), "{shown}");
        assert!(shown.starts_with("&lt;/script&gt;") && shown.contains("&amp;"));
    }

    #[test]
    fn names_in_sentences_are_code() {
        assert_eq!(with_code("model `a<b` is"), "model <code>a&lt;b</code> is");
        assert_eq!(with_code("a lone ` stays"), "a lone ` stays");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!((fixed(-0.5, 2), fixed(-1e-9, 3)), ("\u{2212}0.50".to_owned(), "0.000".to_owned()));
        assert_eq!(
            (signed(0.25, 1), signed(-0.25, 2), signed(0.0, 1)),
            ("+0.2".into(), "\u{2212}0.25".into(), "0.0".into())
        );
        assert_eq!((many(1, "row"), many(21_948, "row")), ("1 row".to_owned(), "21,948 rows".to_owned()));
        assert_eq!((key(Some(0.1)), key(Some(f64::NAN)), key(None)), ("0.1".to_owned(), String::new(), String::new()));
    }
}
