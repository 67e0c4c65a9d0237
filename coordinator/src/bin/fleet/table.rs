//! Tables that fit the terminal: long columns are cut, and where that is not enough, the least
//! important ones are left out. In a file or a pipe everything is written in full.

use crate::look::{Look, Tone, cut, cut_start, width};

/// Cells between two columns.
const GAP: usize = 2;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    /// Numbers stand to the right.
    right: bool,
    /// The end of its text says most.
    end: bool,
    /// Fewest cells it is of use in; none where it must not be cut.
    least: Option<usize>,
    /// Columns of higher rank are left out first; 0 never is.
    rank: u8,
}

impl Column {
    /// A column that is never cut or left out.
    pub(crate) const fn new(title: &'static str) -> Self {
        Self {
            title,
            right: false,
            end: false,
            least: None,
            rank: 0,
        }
    }

    /// With its text to the right.
    pub(crate) const fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// Cut to as few cells as `least`.
    pub(crate) const fn cut(mut self, least: usize) -> Self {
        self.least = Some(least);
        self
    }

    /// Cut to as few cells as `least`, its end kept: of a path or a long rule that says most.
    pub(crate) const fn cut_start(mut self, least: usize) -> Self {
        self.end = true;
        self.cut(least)
    }

    /// Left out before those of lower rank.
    pub(crate) const fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }
}

/// One cell; its text has nothing in it that acts on a terminal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            tone: Tone::Plain,
        }
    }
}

impl Cell {
    /// With a tone.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

/// A table, or one part of it after the other: the widths are those of the first rows.
pub(crate) struct Table {
    columns: Vec<Column>,
    /// Cells of each column, none where it is left out; once the first rows are known.
    widths: Option<Vec<Option<usize>>>,
    look: Look,
}

impl Table {
    /// A table of these columns.
    pub(crate) fn new(look: &Look, columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            widths: None,
            look: *look,
        }
    }

    /// The next rows; the first time with the titles above them.
    pub(crate) fn rows(&mut self, rows: &[Vec<Cell>]) -> String {
        let mut out = String::new();
        let widths = if let Some(widths) = self.widths.take() {
            widths
        } else {
            let widths = self.fit(rows);
            let columns = self.columns.iter();
            let titles = columns.map(|column| Cell::toned(column.title, Tone::Faint));
            let titles: Vec<_> = titles.collect();
            self.write(&mut out, &widths, &titles);
            widths
        };
        for row in rows {
            self.write(&mut out, &widths, row);
        }
        self.widths = Some(widths);
        out
    }

    fn write(&self, out: &mut String, widths: &[Option<usize>], row: &[Cell]) {
        let shown = self.columns.iter().zip(widths).zip(row);
        let shown: Vec<_> = shown
            .filter_map(|((column, width), cell)| Some((column, (*width)?, cell)))
            .collect();
        for (number, (column, cells, cell)) in shown.iter().enumerate() {
            let text = match self.look.width {
                Some(_) if column.end => cut_start(&cell.text, *cells),
                Some(_) => cut(&cell.text, *cells),
                None => cell.text.clone(),
            };
            let room = " ".repeat(cells.saturating_sub(width(&text)));
            let painted = self.look.paint(cell.tone, &text);
            let last = number + 1 == shown.len();
            match (column.right, last) {
                (true, _) => out.extend([room.as_str(), &painted]),
                (false, true) => out.push_str(&painted),
                (false, false) => out.extend([painted.as_str(), &room]),
            }
            if !last {
                out.push_str(&" ".repeat(GAP));
            }
        }
        let end = out.trim_end_matches(' ').len();
        out.truncate(end);
        out.push('\n');
    }

    fn fit(&self, rows: &[Vec<Cell>]) -> Vec<Option<usize>> {
        let natural = self.columns.iter().enumerate().map(|(number, column)| {
            let cells = rows.iter().filter_map(|row| row.get(number));
            let longest = cells.map(|cell| width(&cell.text)).max();
            longest.unwrap_or(0).max(width(column.title))
        });
        let natural: Vec<usize> = natural.collect();
        let columns = self.columns.iter().enumerate();
        let kept = columns.map(|(number, column)| {
            let mut cells = rows.iter().filter_map(|row| row.get(number));
            // A column that may be left out and has nothing in it says nothing.
            column.rank == 0 || cells.any(|cell| !cell.text.is_empty())
        });
        let mut kept: Vec<bool> = kept.collect();
        loop {
            let wanted = kept.iter().zip(&natural);
            let mut widths: Vec<_> = wanted.map(|(kept, width)| kept.then_some(*width)).collect();
            let Some(room) = self.look.width else {
                return widths;
            };
            if self.shrink(&mut widths, room) {
                return widths;
            }
            let ranked = self.columns.iter().enumerate();
            let least = ranked
                .filter(|(number, column)| column.rank > 0 && kept.get(*number) == Some(&true))
                .max_by_key(|(_, column)| column.rank);
            match least.and_then(|(number, _)| kept.get_mut(number)) {
                Some(kept) => *kept = false,
                None => return widths, // all that is left is needed: the terminal wraps it
            }
        }
    }

    /// Takes from the widest column that may be cut until all fit; says whether they do.
    fn shrink(&self, widths: &mut [Option<usize>], room: usize) -> bool {
        loop {
            let shown: Vec<usize> = widths.iter().flatten().copied().collect();
            let needed = shown.iter().sum::<usize>() + GAP * shown.len().saturating_sub(1);
            if needed <= room {
                return true;
            }
            let widest = self.columns.iter().zip(widths.iter_mut());
            let widest = widest.filter_map(|(column, width)| {
                let width = width.as_mut()?;
                (*width > column.least?).then_some(width)
            });
            match widest.max_by_key(|width| **width) {
                Some(width) => *width -= 1,
                None => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("NAME").cut(6),
        Column::new("N").right(),
        Column::new("MESSAGE").cut(8),
        Column::new("ID").rank(1),
    ];

    fn row(name: &str, number: u32, message: &str) -> Vec<Cell> {
        vec![
            name.into(),
            number.to_string().into(),
            message.into(),
            "0123456789".into(),
        ]
    }

    fn table(width: Option<usize>, rows: &[Vec<Cell>]) -> String {
        let look = Look {
            width,
            colour: false,
        };
        Table::new(&look, &COLUMNS).rows(rows)
    }

    #[test]
    fn a_table_fits_by_cutting_and_then_by_leaving_out() {
        let rows = [
            row("shop", 7, "a rather long message"),
            row("日本語の店", 12, "短い"),
        ];
        assert_eq!(
            table(None, &rows),
            "NAME         N  MESSAGE                ID\n\
             shop         7  a rather long message  0123456789\n\
             日本語の店  12  短い                   0123456789\n"
        );
        assert_eq!(
            table(Some(38), &rows),
            "NAME         N  MESSAGE     ID\n\
             shop         7  a rather …  0123456789\n\
             日本語の店  12  短い        0123456789\n"
        );
        assert_eq!(
            table(Some(24), &rows),
            "NAME        N  MESSAGE\n\
             shop        7  a rather…\n\
             日本語の…  12  短い\n"
        );
    }

    #[test]
    fn later_rows_keep_the_widths_of_the_first() {
        let look = Look::default();
        let mut table = Table::new(&look, &COLUMNS);
        table.rows(&[row("shop", 7, "m")]);
        assert_eq!(
            table.rows(&[row("longer", 7, "m")]),
            "longer  7  m        0123456789\n"
        );
    }

    #[test]
    fn colours_take_no_room() {
        let look = Look {
            width: None,
            colour: true,
        };
        let rows = [vec![Cell::toned("ab", Tone::Good), "c".into()]];
        let text = Table::new(&look, &COLUMNS[..2]).rows(&rows);
        assert!(text.ends_with("\x1b[32mab\x1b[0m    c\n"), "{text:?}");
    }

    proptest! {
        #[test]
        fn no_line_is_longer_than_the_terminal(
            names in prop::collection::vec("[a-zé日]{0,30}", 1..5),
            message in "[a-zé日 ]{0,60}",
            room in 24_usize..90,
        ) {
            let rows: Vec<_> = names.iter().map(|name| row(name, 100, &message)).collect();
            for line in table(Some(room), &rows).lines() {
                prop_assert!(width(line) <= room, "{} in {room}: {line}", width(line));
            }
        }
    }
}
