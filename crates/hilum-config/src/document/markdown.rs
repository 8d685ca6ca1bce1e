//! Documents as Markdown.

use super::blocks::Block;

pub(super) fn render(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Heading(level, text, _) => {
                out.push_str(&"#".repeat(usize::from(*level)));
                out.push_str(&format!(" {}\n\n", line(text)));
            }
            Block::Paragraph(text) => out.push_str(&format!("{}\n\n", line(text))),
            Block::Table(_, rows) if rows.is_empty() => {}
            Block::Table(head, rows) => {
                row(&mut out, head);
                out.push_str(&format!("|{}\n", "---|".repeat(head.len())));
                rows.iter().for_each(|cells| row(&mut out, cells));
                out.push('\n');
            }
        }
    }
    out
}

fn row(out: &mut String, cells: &[String]) {
    out.push('|');
    for cell in cells {
        out.push_str(&format!(" {} |", line(cell)));
    }
    out.push('\n');
}

/// One line in which nothing is markup.
fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' => {
                out.extend(['\\', c])
            }
            c => out.push(c),
        }
    }
    out
}
