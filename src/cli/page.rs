//! A page of plain text of a fixed width: rows of columns, the last of which goes on below itself.

use crate::encoding::printable;

/// The width of a page, in columns.
const WIDTH: usize = 100;

/// Text that is being written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// A paragraph.
    pub(super) fn text(&mut self, text: &str) {
        self.row(&[], text);
    }

    /// A line with nothing, and what follows is called so.
    pub(super) fn heading(&mut self, text: &str) {
        self.0.push('\n');
        self.text(text);
    }

    /// Short columns with their widths, and behind them a text that goes on below itself. A column that is too long gets a line
    /// for itself.
    pub(super) fn row(&mut self, columns: &[(&str, usize)], text: &str) {
        let mut line = String::new();
        let mut indent = 0;
        for (column, width) in columns {
            indent += width;
            line.push_str(&printable(column));
            let length = line.chars().count();
            if length >= indent {
                self.line(&line);
                line = " ".repeat(indent);
            } else {
                line.push_str(&" ".repeat(indent - length));
            }
        }
        let mut fresh = true;
        for word in printable(text).split_whitespace() {
            let length = line.chars().count() + word.chars().count() + usize::from(!fresh);
            if length > WIDTH && !fresh {
                self.line(&line);
                line = " ".repeat(indent);
                fresh = true;
            }
            if !fresh {
                line.push(' ');
            }
            line.push_str(word);
            fresh = false;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    /// The page, without a line end at its end.
    pub(super) fn finish(self) -> String {
        self.0.trim_end().to_owned()
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
    fn control_characters_stay_visible() {
        let mut page = Page::default();
        page.text("a\u{1b}[2Jb\u{202e}c");
        assert_eq!(page.finish(), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
