//! Links of the pages lead somewhere: to a file, to a heading of it.

use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PAGES: [&str; 4] = [
    "README.md",
    "ffi-notes.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

#[test]
fn every_link_of_a_page_leads_to_a_file_and_a_heading() {
    let mut links = 0;
    for page in PAGES {
        let text = read(page);
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { page } else { file };
            assert!(Path::new(ROOT).join(file).exists(), "{page}: {link}");
            if !anchor.is_empty() {
                let there = headings(&read(file)).any(|heading| heading == anchor);
                assert!(there, "{page}: {file} has no heading #{anchor}");
            }
            links += 1;
        }
    }
    assert!(links > 50, "only {links} links were found");
}

#[test]
fn the_notes_list_each_of_their_sections_at_the_top() {
    let notes = read("ffi-notes.md");
    let (contents, sections) = notes
        .split_once("\n## For every call\n")
        .expect("the sections begin with this one");
    let sections: Vec<&str> = sections
        .lines()
        .filter(|line| line.starts_with("## ") || line.starts_with("```"))
        .collect();
    for anchor in headings(&sections.join("\n")) {
        assert!(
            contents.contains(&format!("(#{anchor})")),
            "the list lacks #{anchor}"
        );
    }
}

/// The anchors that a page's headings get: lower case, hyphens for spaces, no punctuation.
fn headings(page: &str) -> impl Iterator<Item = String> {
    let mut in_code = false;
    page.lines().filter_map(move |line| {
        in_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        let is_heading = !in_code && heading.len() < line.len() && heading.starts_with(' ');
        is_heading.then(|| {
            let kept = heading.trim().chars();
            let kept = kept.filter(|&c| c.is_alphanumeric() || " -_".contains(c));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
    })
}

fn read(page: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}
