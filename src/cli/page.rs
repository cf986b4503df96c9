//! A page of plain text of a fixed width: rows of columns, the last of which goes on below itself.

use crate::encoding::printable;

/// The width of a page, in columns.
const WIDTH: usize = 100;

/// Text that is being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    colours: bool,
}

/// What a colour says. What it is on says it in words too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Well.
    Good,
    /// On a condition, or not known.
    Doubtful,
    /// Not well.
    Bad,
}

impl Colour {
    /// ISO 6429, Select Graphic Rendition.
    fn code(self) -> &'static str {
        match self {
            Self::Good => "\u{1b}[32m",
            Self::Doubtful => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
        }
    }
}

impl Page {
    /// A page with colours, or without.
    pub(super) fn with_colours(colours: bool) -> Self {
        Self {
            colours,
            ..Self::default()
        }
    }

    /// A paragraph.
    pub(super) fn text(&mut self, text: &str) {
        self.row(&[], text);
    }

    /// A line with nothing, and what follows is called so.
    pub(super) fn heading(&mut self, text: &str) {
        self.text.push('\n');
        self.text(text);
    }

    /// Short columns with their widths, and behind them a text that goes on below itself. A column that is too long gets a line
    /// for itself.
    pub(super) fn row(&mut self, columns: &[(&str, usize)], text: &str) {
        self.coloured_row(columns, None, text);
    }

    /// The same with the last of the short columns in a colour.
    pub(super) fn coloured_row(
        &mut self,
        columns: &[(&str, usize)],
        colour: Option<Colour>,
        text: &str,
    ) {
        let colour = colour.filter(|_| self.colours);
        let mut line = String::new();
        // What is seen of the line: a colour takes no room.
        let mut length = 0;
        let mut indent = 0;
        for (place, (column, width)) in columns.iter().enumerate() {
            indent += width;
            let column = printable(column);
            length += column.chars().count();
            match colour.filter(|_| place + 1 == columns.len()) {
                Some(colour) => {
                    line.push_str(colour.code());
                    line.push_str(&column);
                    line.push_str("\u{1b}[0m");
                }
                None => line.push_str(&column),
            }
            if length >= indent {
                self.line(&line);
                line = " ".repeat(indent);
            } else {
                line.push_str(&" ".repeat(indent - length));
            }
            length = indent;
        }
        let mut fresh = true;
        for word in printable(text).split_whitespace() {
            let more = word.chars().count() + usize::from(!fresh);
            if length + more > WIDTH && !fresh {
                self.line(&line);
                line = " ".repeat(indent);
                length = indent;
                fresh = true;
            }
            if !fresh {
                line.push(' ');
                length += 1;
            }
            line.push_str(word);
            length += word.chars().count();
            fresh = false;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// The page, without a line end at its end.
    pub(super) fn finish(self) -> String {
        self.text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_goes_on_below_itself_within_the_width() {
        let mut page = Page::default();
        let words = "word ".repeat(60);
        page.row(&[("  name", 10), ("value", 12)], &words);
        let text = page.finish();
        assert!(
            text.starts_with("  name    value       word word"),
            "{text}"
        );
        assert!(text.lines().count() > 1);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        for line in text.lines().skip(1) {
            assert!(line.starts_with(&" ".repeat(22)), "{line}");
        }
    }

    #[test]
    fn a_column_that_is_too_long_has_a_line_for_itself() {
        let mut page = Page::default();
        page.row(&[("much-too-long", 6)], "text");
        assert_eq!(page.finish(), "much-too-long\n      text");
    }

    #[test]
    fn a_colour_takes_no_room_and_is_left_out_where_there_are_none() {
        let row = |colours| {
            let mut page = Page::with_colours(colours);
            page.coloured_row(&[("  name", 10), ("no", 5)], Some(Colour::Bad), "text");
            page.finish()
        };
        assert_eq!(row(false), "  name    no   text");
        assert_eq!(row(true), "  name    \u{1b}[31mno\u{1b}[0m   text");
    }

    #[test]
    fn control_characters_stay_visible() {
        let mut page = Page::default();
        page.text("a\u{1b}[2Jb\u{202e}c");
        assert_eq!(page.finish(), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
