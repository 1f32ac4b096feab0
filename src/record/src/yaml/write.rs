//! Writing YAML with fixed bytes: key order is the caller's, floats are shortest-round-trip, texts are quoted where
//! plain ones could be read as something else. Own code, because recipes are identified by their bytes and these must
//! not follow a library's taste.

use std::fmt::Write as _;

/// `text` as a scalar, plain where no YAML 1.1 or 1.2 reader takes it for anything but this text.
pub(crate) fn text(text: &str) -> String {
    const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain_start = match text.as_bytes() {
        [first, ..] if first.is_ascii_alphabetic() || *first == b'_' => true,
        // `../data`, but not `.5` and not `.inf`.
        [b'.', b'.', b'/', ..] | [b'.', b'/', ..] => true,
        _ => false,
    };
    let plain = plain_start
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte))
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `value` with the fewest digits that read back to the same bits, always as a float: `1.0`, `2.0e-12`.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return ".nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.into();
    }
    let short = format!("{value:?}");
    match short.split_once('e') {
        // YAML 1.1 readers want a point in the mantissa and a sign in the exponent.
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
        None => short,
    }
}

/// `[a, b]` of written values.
pub(crate) fn list(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(", "))
}

/// `{a: 1, b: 2}` of keys and written values, without those that are absent.
pub(crate) fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let pairs = pairs.into_iter().filter_map(|(key, value)| Some(format!("{}: {}", text(key), value?)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// A document in the making.
#[derive(Default)]
pub(crate) struct Page(String);

impl Page {
    /// A comment line.
    pub(crate) fn comment(&mut self, comment: &str) {
        self.0.push_str("# ");
        self.0.push_str(comment);
        self.0.push('\n');
    }

    /// `key: value`, nothing where there is no value.
    pub(crate) fn line(&mut self, key: &str, value: Option<String>) {
        self.noted(key, value, "");
    }

    /// `key: value   # note`.
    pub(crate) fn noted(&mut self, key: &str, value: Option<String>, note: &str) {
        let Some(value) = value else { return };
        let start = self.0.len();
        let _ = write!(self.0, "{}: {value}", text(key));
        if !note.is_empty() {
            let width = self.0[start..].chars().count();
            let _ = write!(self.0, "{}# {note}", " ".repeat(52usize.saturating_sub(width).max(2)));
        }
        self.0.push('\n');
    }

    /// `key:` over the indented lines `key: value`; `key: {}` where there are none.
    pub(crate) fn block(&mut self, key: &str, pairs: impl IntoIterator<Item = (String, String)>) {
        let mut pairs = pairs.into_iter().peekable();
        if pairs.peek().is_none() {
            return self.line(key, Some("{}".into()));
        }
        let _ = writeln!(self.0, "{}:", text(key));
        for (key, value) in pairs {
            let _ = writeln!(self.0, "  {}: {value}", text(&key));
        }
    }

    /// `key:` over the lines `- value`; `key: []` where there are none.
    pub(crate) fn items(&mut self, key: &str, values: impl IntoIterator<Item = String>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return self.line(key, Some("[]".into()));
        }
        let _ = writeln!(self.0, "{}:", text(key));
        for value in values {
            let _ = writeln!(self.0, "  - {value}");
        }
    }

    /// The bytes.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn floats_look_like_floats() {
        for (value, written) in [
            (2e-12, "2.0e-12"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e300, "1.0e+300"),
            (5e-324, "5.0e-324"),
            (0.36704255, "0.36704255"),
        ] {
            assert_eq!(number(value), written);
        }
    }

    #[test]
    fn texts_that_could_be_something_else_are_quoted() {
        for plain in ["three-stage-nn", "../data/a.csv", "ctl_vehicle", "stage1/x.onnx", "e5"] {
            assert_eq!(text(plain), plain);
        }
        for quoted in
            ["", "no", "True", "NULL", "007", "1e5", ".inf", "-x", "*", "a b", "a: b", "#a", "~", "2020-01-01"]
        {
            assert_eq!(text(quoted), format!("\"{quoted}\""));
        }
        assert_eq!(text("a\"b\\\n"), r#""a\"b\\\n""#);
    }

    #[test]
    fn a_page_has_fixed_bytes() {
        let mut page = Page::default();
        page.comment("hello");
        page.noted("a", Some("1".into()), "one");
        page.line("b", None);
        page.block("c", [("x".into(), map([("k", Some("v".into())), ("gone", None)]))]);
        page.block("d", []);
        page.items("e", [list(["1".to_owned(), "2".to_owned()])]);
        page.items("f", []);
        let want = format!("# hello\na: 1{}# one\nc:\n  x: {{k: v}}\nd: {{}}\ne:\n  - [1, 2]\nf: []\n", " ".repeat(48));
        assert_eq!(page.finish(), want);
    }

    proptest! {
        #[test]
        fn every_float_comes_back_bit_for_bit(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            let back: f64 = serde_yaml::from_str(&number(value)).unwrap();
            prop_assert_eq!(back.to_bits(), bits);
        }

        #[test]
        fn every_text_comes_back_in_block_and_flow(key in any::<String>(), value in any::<String>()) {
            let mut page = Page::default();
            page.block("block", [(key.clone(), text(&value))]);
            page.line("flow", Some(map([(key.as_str(), Some(text(&value)))])));
            let page = page.finish();
            let back: BTreeMap<String, BTreeMap<String, String>> = serde_yaml::from_str(&page).unwrap();
            prop_assert_eq!(&back["block"][&key], &value);
            prop_assert_eq!(&back["flow"][&key], &value);
        }
    }
}
