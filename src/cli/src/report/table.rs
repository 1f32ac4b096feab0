//! Plain text tables: columns as wide as their widest cell, numbers to the right.

/// A table that is filled row by row.
pub(crate) struct TextTable {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl TextTable {
    /// Columns with their titles; those that start with `>` are aligned to the right.
    pub(crate) fn new(titles: &[&str]) -> Self {
        Self {
            header: titles.iter().map(|title| title.trim_start_matches('>').to_owned()).collect(),
            rows: Vec::new(),
            right: titles.iter().map(|title| title.starts_with('>')).collect(),
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The same table with the texts of its first column shortened until the lines fit `width`, as far as they can.
    pub(crate) fn fit(mut self, width: usize) -> Self {
        let longest = |lines: &[String]| lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let over = longest(&self.lines()).saturating_sub(width);
        let first = self.rows.iter().map(|row| row[0].chars().count()).max().unwrap_or(0);
        if over > 0 {
            let room = first.saturating_sub(over).max(12);
            self.rows.iter_mut().for_each(|row| row[0] = shorten(&row[0], room));
        }
        self
    }

    /// The lines, the header first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = std::iter::once(&self.header).chain(&self.rows);
            cells.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        std::iter::once(&self.header)
            .chain(&self.rows)
            .map(|row| {
                let cells: Vec<String> = row
                    .iter()
                    .enumerate()
                    .map(|(column, cell)| {
                        let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                        if self.right[column] { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
                    })
                    .collect();
                format!("  {}", cells.join("  ")).trim_end().to_owned()
            })
            .collect()
    }
}

/// A text of at most `room` characters: what names tell apart stands at their ends, so the middle goes.
pub(crate) fn shorten(text: &str, room: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= room {
        return text.to_owned();
    }
    let (head, tail) = (room.saturating_sub(1).div_ceil(2), room.saturating_sub(1) / 2);
    characters[..head].iter().chain(&['…']).chain(&characters[characters.len() - tail..]).collect()
}

/// A bar of `width` characters for a share in [0, 1].
pub(crate) fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = TextTable::new(&["model", ">score"]);
        table.row(vec!["a".into(), "1.0".into()]);
        table.row(vec!["longer".into(), "10.25".into()]);
        assert_eq!(table.lines(), ["  model   score", "  a         1.0", "  longer  10.25"]);
        assert_eq!(shorten("4_Default_Xgboost", 9), "4_De…oost");
        assert_eq!(table.fit(20).lines()[2], "  longer  10.25");
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(1.5, 2), "██");
        assert_eq!(bar(0.0, 2), "");
    }
}
