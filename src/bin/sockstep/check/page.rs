//! `check --html FILE`: the verdicts in one page, and each failure with its picture. It runs no script and loads nothing.

use std::fmt::Write; // into memory, which does not fail
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::check::report::{Kept, Report};
use crate::draw::xml::escape;

const CSS: &str = include_str!("page.css");

/// The page. `unfinished` says why it is not the last word, if it is not.
pub fn page(report: &Report, unfinished: &str) -> String {
    let title = format!(
        "{} {}, as {}",
        report.kind,
        report.command,
        report.contract.name()
    );
    let mut body = format!(
        "<h1>sockstep check</h1>\n<p class=\"said\">{}</p>\n",
        escape(&title)
    );
    let sum = report.sum();
    let _ = writeln!(
        body,
        "<p><strong>{}</strong></p>",
        escape(if unfinished.is_empty() {
            &sum
        } else {
            unfinished
        })
    );
    body.push_str("<table>\n<caption>The checks</caption>\n");
    for row in &report.rows {
        let name = match row.outcome {
            "FAIL" => format!("<a href=\"#{0}\">{0}</a>", row.name),
            _ => row.name.to_owned(),
        };
        let said = if matches!(row.outcome, "ok" | "FAIL") {
            ""
        } else {
            &row.said
        };
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\">{name}</th><td class=\"{}\">{0}</td><td>{} <span class=\"said\">{}</span></td></tr>",
            row.outcome,
            escape(row.question),
            escape(said)
        );
    }
    body.push_str("</table>\n");
    for row in report.rows.iter().filter(|row| row.outcome == "FAIL") {
        body.push_str(&failure(report, row));
    }
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let nonce = format!("{:016x}", hasher.finish());
    // The pictures bring their own style.
    let body = body.replace(PICTURES_STYLE, &format!("<style nonce=\"{nonce}\">"));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"generator\" content=\"sockstep\">\n\
         <title>sockstep check</title>\n<style nonce=\"{nonce}\">\n{CSS}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// No other text has this: `<` is escaped.
const PICTURES_STYLE: &str = "<style>";

fn failure(report: &Report, row: &Kept) -> String {
    let mut text = format!(
        "<section>\n<h2 id=\"{0}\">{0}</h2>\n<p>{1}</p>\n<p class=\"said\">{2}</p>\n",
        row.name,
        escape(row.question),
        escape(&row.said)
    );
    if !row.bytes.is_empty() {
        let _ = writeln!(text, "<pre>{}</pre>", escape(&row.bytes.join("\n")));
    }
    let _ = writeln!(
        text,
        "<dl>\n<dt>Why it matters</dt><dd>{}</dd>",
        escape(row.why)
    );
    for (what, command) in report.commands(row) {
        let _ = writeln!(
            text,
            "<dt>{what}</dt><dd><code>{}</code></dd>",
            escape(&command)
        );
    }
    text.push_str("</dl>\n");
    if !row.picture.is_empty() {
        let _ = writeln!(text, "<figure>\n{}</figure>", row.picture);
    }
    text + "</section>\n"
}
