//! `check --html FILE`: the verdicts in one page, and each failure with its picture. It loads nothing; the page to step through a
//! failure stands in it whole, in a frame that can reach nothing outside.

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
    let mut nonces = String::new();
    for page in report.rows.iter().map(|row| &row.picture.page) {
        if let Some(nonce) = nonce_of(page) {
            let _ = write!(nonces, " 'nonce-{nonce}'");
        }
    }
    let scripts = if nonces.is_empty() {
        " 'none'"
    } else {
        &nonces
    };
    // The pictures bring their own style.
    let body = body.replace(PICTURES_STYLE, &format!("<style nonce=\"{nonce}\">"));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src{scripts}; style-src 'nonce-{nonce}'{nonces}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"generator\" content=\"sockstep\">\n\
         <title>sockstep check</title>\n<style nonce=\"{nonce}\">\n{CSS}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// What stands in the page's own style instead: the policy lets no attribute do it.
const PICTURES_ATTRIBUTE: &str = " style=\"stroke-dasharray:none\"";
/// No other text has this: `<` is escaped.
const PICTURES_STYLE: &str = "<style>";

/// A page within this one is held to this one's policy too: the nonce of its own script and style.
fn nonce_of(page: &str) -> Option<&str> {
    page.split_once("'nonce-")?.1.get(..16)
}

/// A page as an attribute's value between single quotes: its many double quotes and lines stay as they are.
fn framed(page: &str) -> String {
    escape(page).replace("&quot;", "\"").replace("&#10;", "\n")
}

fn failure(report: &Report, row: &Kept) -> String {
    let mut text = format!(
        "<section>\n<h2 id=\"{0}\">{0}</h2>\n<p>{1}</p>\n<p class=\"said\">{2}</p>\n",
        row.name,
        escape(row.question),
        escape(&row.said)
    );
    if !row.facts().is_empty() {
        let _ = writeln!(text, "<pre>{}</pre>", escape(&row.facts().join("\n")));
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
    if !row.picture.svg.is_empty() {
        let svg = row.picture.svg.replace(PICTURES_ATTRIBUTE, "");
        let _ = writeln!(
            text,
            "<figure tabindex=\"0\" role=\"group\" aria-label=\"{}, as a picture\">\n{svg}</figure>",
            row.name
        );
    }
    if !row.picture.page.is_empty() {
        let _ = writeln!(
            text,
            "<details>\n<summary>Step through {0}</summary>\n<iframe sandbox=\"allow-scripts\" title=\"{0}, call by call\" srcdoc='{1}'></iframe>\n</details>",
            row.name,
            framed(&row.picture.page)
        );
    }
    text + "</section>\n"
}
