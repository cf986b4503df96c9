//! Writes HTML. Whatever is not written in this program's source is escaped.

use crate::encoding::is_printable;

/// A page in the making.
pub(super) struct Html(String);

/// A cell of a table: parts below each other.
pub(super) struct Cell(Vec<(Style, String)>);

#[derive(Clone, Copy)]
enum Style {
    Text,
    Code,
    Small,
    /// Something to be pleased with.
    Good,
    /// Something to look at.
    Bad,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self(vec![(Style::Text, text.into())])
    }

    pub(super) fn code(text: impl Into<String>) -> Self {
        Self(vec![(Style::Code, text.into())])
    }

    /// Marked as good or bad, in words and in colour.
    pub(super) fn judged(good: bool, text: impl Into<String>) -> Self {
        let style = if good { Style::Good } else { Style::Bad };
        Self(vec![(style, text.into())])
    }

    /// The same with small print below, if there is any.
    pub(super) fn small(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.0.push((Style::Small, text));
        }
        self
    }
}

impl Html {
    pub(super) fn new() -> Self {
        Self(String::new())
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    /// Markup of this program.
    pub(super) fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Text of whoever.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push('\n'),
                c if is_printable(c) => self.0.push(c),
                _ => self.0.push('\u{fffd}'),
            }
        }
    }

    /// An element, with its attributes behind its name, that holds a text.
    pub(super) fn element(&mut self, tag: &'static str, text: &str) {
        self.raw("<");
        self.raw(tag);
        self.raw(">");
        self.text(text);
        self.raw("</");
        self.raw(tag.split(' ').next().unwrap_or(tag));
        self.raw(">\n");
    }

    /// Begins a section, and names the files that its evidence is in.
    pub(super) fn section(&mut self, title: &'static str, files: &[&'static str]) {
        self.raw("<section>\n");
        self.element("h2", title);
        if !files.is_empty() {
            self.raw("<p class=\"evidence\">Evidence: ");
            for (at, file) in files.iter().enumerate() {
                self.raw(if at == 0 { "<code>" } else { ", <code>" });
                self.text(file);
                self.raw("</code>");
            }
            self.raw("</p>\n");
        }
    }

    pub(super) fn end_section(&mut self) {
        self.raw("</section>\n");
    }

    /// A list of names and values.
    pub(super) fn facts<'a>(&mut self, facts: impl IntoIterator<Item = (&'a str, String)>) {
        self.raw("<dl>\n");
        for (name, value) in facts {
            self.element("dt", name);
            self.element("dd", &value);
        }
        self.raw("</dl>\n");
    }

    pub(super) fn list(&mut self, items: impl IntoIterator<Item = String>) {
        self.raw("<ul>\n");
        for item in items {
            self.element("li", &item);
        }
        self.raw("</ul>\n");
    }

    /// A table; nothing where it would have no rows.
    pub(super) fn table(&mut self, columns: &[&'static str], rows: Vec<Vec<Cell>>) {
        if rows.is_empty() {
            return;
        }
        self.raw("<table>\n<thead><tr>");
        for column in columns {
            self.element("th", column);
        }
        self.raw("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.raw("<tr>");
            for cell in row {
                self.raw("<td>");
                for (style, text) in cell.0 {
                    self.element(
                        match style {
                            Style::Text => "div",
                            Style::Code => "code",
                            Style::Small => "div class=\"small\"",
                            Style::Good => "div class=\"good\"",
                            Style::Bad => "div class=\"bad\"",
                        },
                        &text,
                    );
                }
                self.raw("</td>");
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody>\n</table>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        let mut html = Html::new();
        html.element(
            "td class=\"x\"",
            "<script>alert(\"a\" & 'b')</script>\u{1b}[2J\u{202e}",
        );
        assert_eq!(
            html.finish(),
            "<td class=\"x\">&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;\u{fffd}[2J\u{fffd}</td>\n"
        );
    }
}
