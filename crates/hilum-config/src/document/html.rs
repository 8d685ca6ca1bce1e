//! Documents as one HTML page that needs nothing else.

use super::blocks::Block;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
table{border-collapse:collapse;margin:0 0 1.5rem}td,th{border:1px solid #bbb;padding:.25rem .6rem;text-align:left;vertical-align:top}\
td{font-family:ui-monospace,monospace;font-size:.9rem}nav li{list-style:none}@media print{nav{display:none}}";

pub(super) fn render(title: &str, blocks: &[Block]) -> String {
    let title = escaped(title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    contents(&mut out, blocks);
    for block in blocks {
        match block {
            Block::Heading(level, text, anchor) => {
                out.push_str(&format!(
                    "<h{level} id=\"{}\">{}</h{level}>\n",
                    escaped(anchor),
                    escaped(text)
                ));
            }
            Block::Paragraph(text) => out.push_str(&format!("<p>{}</p>\n", escaped(text))),
            Block::Table(_, rows) if rows.is_empty() => {}
            Block::Table(head, rows) => table(&mut out, head, rows),
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn contents(out: &mut String, blocks: &[Block]) {
    out.push_str("<nav><ul>\n");
    for block in blocks {
        if let Block::Heading(2, text, anchor) = block {
            out.push_str(&format!(
                "<li><a href=\"#{}\">{}</a></li>\n",
                escaped(anchor),
                escaped(text)
            ));
        }
    }
    out.push_str("</ul></nav>\n");
}

fn table(out: &mut String, head: &[String], rows: &[Vec<String>]) {
    out.push_str("<table>\n");
    if head.iter().any(|name| !name.is_empty()) {
        out.push_str("<tr>");
        head.iter()
            .for_each(|name| out.push_str(&format!("<th>{}</th>", escaped(name))));
        out.push_str("</tr>\n");
    }
    for cells in rows {
        out.push_str("<tr>");
        cells
            .iter()
            .for_each(|cell| out.push_str(&format!("<td>{}</td>", escaped(cell))));
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
