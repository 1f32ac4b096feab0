//! Sentences that fit the terminal.

/// What stands before the text of a message; what follows on the next lines stands under that text.
const LABELS: [&str; 2] = ["hint: ", "error: "];

/// `line` in as many lines as it takes to stay within `width` columns, broken at spaces. What stands between backticks
/// is to be copied and stays whole where it has room in a line of its own; a word that is too long stays too long.
pub(crate) fn wrap(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let indent = indent(line, width);
    let room = width.saturating_sub(indent);
    let mut out = String::with_capacity(line.len() + 64);
    let mut column = 0;
    // Spaces before the first word belong to it.
    let start = line.len() - line.trim_start_matches(' ').len();
    let mut put = |space: &str, word: &str| {
        let (space_columns, word_columns) = (space.len(), columns(word));
        if column > indent && column + space_columns + word_columns > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push_str(space);
            column += space_columns;
        }
        out.push_str(word);
        column += word_columns;
    };
    put(&line[..start], "");
    for (space, word) in words(&line[start..], true) {
        if columns(word) > room {
            let parts = words(word, false).into_iter().enumerate();
            parts.for_each(|(at, (within, part))| put(if at == 0 { space } else { within }, part));
        } else {
            put(space, word);
        }
    }
    out
}

/// Where lines after the first begin: under the text that follows a label or the last gap between columns, unless that
/// leaves less than half of the width; else two columns in.
fn indent(line: &str, width: usize) -> usize {
    let labeled = LABELS.iter().find(|label| line.starts_with(**label)).map(|label| label.len());
    let gap = line.trim_end().rfind("  ").map(|at| columns(&line[..at]) + 2);
    let start = line.chars().take_while(|c| *c == ' ').count();
    labeled.or_else(|| gap.filter(|at| *at > start && 2 * at <= width)).unwrap_or(start + 2)
}

/// Words, each with the spaces before it; with `code`, what stands between backticks is one word.
fn words(text: &str, code: bool) -> Vec<(&str, &str)> {
    let (mut all, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let start = rest.len() - rest.trim_start_matches(' ').len();
        let mut quoted = false;
        let end = rest[start..].char_indices().find(|(_, c)| {
            quoted ^= code && *c == '`';
            *c == ' ' && !quoted
        });
        let end = end.map_or(rest.len(), |(at, _)| start + at);
        all.push((&rest[..start], &rest[start..end]));
        rest = &rest[end..];
    }
    all
}

/// Columns that a text takes on a terminal: escape sequences for color take none.
pub(crate) fn columns(text: &str) -> usize {
    let mut escaped = false;
    text.chars()
        .filter(|c| {
            let hidden = escaped || *c == '\x1b';
            escaped = hidden && *c != 'm';
            !hidden
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_broken_at_spaces() {
        assert_eq!(wrap("short", 10), "short");
        assert_eq!(wrap("one two three four", 10), "one two\n  three\n  four");
        assert_eq!(wrap("hint: run the other command", 16), "hint: run the\n      other\n      command");
        assert_eq!(wrap("  at   models/c/one two", 17), "  at   models/c/one\n       two");
        assert_eq!(wrap("  name  does  a lot of good", 20), "  name  does  a lot\n    of good");
        assert_eq!(wrap("  name  a lot of good", 17), "  name  a lot of\n        good");
        assert_eq!(wrap("take `blend list checks` then", 22), "take\n  `blend list checks`\n  then");
        assert_eq!(wrap("`a much longer line of code`", 12), "`a much\n  longer\n  line of\n  code`");
        assert_eq!(wrap("a_word_that_is_too_long", 10), "a_word_that_is_too_long");
        assert_eq!(wrap("\x1b[31mfault\x1b[0m: a b c", 12), "\x1b[31mfault\x1b[0m: a b c");
        assert_eq!(wrap("an open ` stays a word of its own", 12), "an open `\n  stays a\n  word of\n  its own");
    }

    #[test]
    fn nothing_is_lost_and_no_line_is_too_long() {
        const LETTERS: [char; 8] = ['a', 'b', 'é', ' ', ' ', '`', 'c', 'd'];
        let mut seed = 1_u64;
        let mut next = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for _ in 0..500 {
            let (length, width) = (next(300), 40 + next(80) as usize);
            let text: String = (0..length).map(|_| LETTERS[next(8) as usize]).collect();
            let wrapped = wrap(&text, width);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&wrapped), words(&text));
            for line in wrapped.lines().filter(|line| columns(line) > width) {
                assert_eq!(words(line).len(), 1, "{line}");
            }
        }
    }
}
