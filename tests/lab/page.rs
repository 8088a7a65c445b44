//! `--html`: one page that needs nothing else, in a real browser, and whatever a program has sent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Program, python3, require, run};

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");

/// The page of a run.
fn page(name: &str, arguments: &[&str]) -> PathBuf {
    require("strace", "the page");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&place).unwrap();
    let file = place.join(name).with_extension("html");
    let mut command = Command::new(SOCKSTEP);
    command.arg("run").arg("--html").arg(&file).args(arguments);
    let outcome = run(&mut command, b"");
    assert!(outcome.status.success(), "{outcome:?}");
    file
}

/// What a browser has made of it at this moment.
fn seen(file: &Path, moment: usize) -> String {
    require("chromium", "the page");
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]);
    chromium.arg(format!("file://{}#t={moment}", file.display()));
    let outcome = run(&mut chromium, b"");
    assert!(outcome.status.success(), "{outcome:?}");
    outcome.stdout().to_owned()
}

/// The element with this id, up to its end tag.
fn element<'a>(dom: &'a str, id: &str, end: &str) -> &'a str {
    let at = dom
        .find(&format!("id=\"{id}\""))
        .unwrap_or_else(|| panic!("no {id}"));
    let rest = &dom[at..];
    &rest[..rest.find(end).unwrap_or(rest.len())]
}

#[test]
fn a_run_is_one_page_that_asks_nothing_of_anybody() {
    let file = page("echo", &["tcp_echo", "--", "hello"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.len() < 400 << 10, "{} bytes", text.len());
    assert!(text.contains("default-src 'none'"));
    for outside in ["http://", "https://", "src=", "@import", "url(", "fetch("] {
        let found = text.matches(outside).count();
        let of_svg = text.matches("http://www.w3.org/2000/svg").count();
        let allowed = match outside {
            "http://" => of_svg,
            "url(" => text.matches("url(#").count(), // the page's own
            _ => 0,
        };
        assert_eq!(found, allowed, "{outside}");
    }
}

#[test]
fn each_moment_has_its_step_its_call_its_source_its_sockets_and_its_bytes() {
    let file = page("moments", &["tcp_echo", "--", "hello"]);
    let first = seen(&file, 1);
    assert!(
        element(&first, "call", "</div>").contains("socket(AF_INET"),
        "{first}"
    );
    assert!(first.contains("future"));
    // The server's answer, wherever a busy machine has it.
    let answer = (8..16).map(|moment| seen(&file, moment)).find(|dom| {
        let live = element(dom, "live", "</p>");
        live.contains("Server 4b. Communicate") && live.contains("sendto(4, \"hello\"")
    });
    let answer = answer.expect("the server answers");
    assert!(
        element(&answer, "step", "</ol>").contains("aria-current=\"step\">Server 4b. Communicate")
    );
    let source = element(&answer, "source", "id=\"sockets\"");
    for (name, call) in [
        ("tcp_echo_server.rs:", "send_all("),
        ("tcp_echo_server.c:", "sendAll("),
    ] {
        let at = source
            .find(name)
            .unwrap_or_else(|| panic!("{name}: {source}"));
        let mark = &source[at + source[at..].find("<mark>").expect("a line is marked")..];
        let line = &mark[..mark.find("</mark>").unwrap()];
        assert!(line.contains(call), "{line}");
    }
    let sockets = element(&answer, "sockets", "</table>");
    assert!(
        sockets.contains("listening") && sockets.contains("connected"),
        "{sockets}"
    );
    assert!(element(&answer, "bytes", "</div></div>").contains("68 65 6c 6c 6f"));
    assert!(element(&answer, "line", "</pre>").contains("sendto(4, \"hello\", 5, 0, NULL, 0) = 5"));
}

#[test]
fn what_a_program_sends_is_text_and_never_markup() {
    let python = python3();
    let hostile =
        "<script>document.title=1</script></script><img src=x onerror=alert(1)>\u{2028}\\x1b[2J";
    let client = format!(
        "'{python}' -c 'import socket,sys; s = socket.create_connection((\"127.0.0.1\", int(sys.argv[1]))); s.sendall(sys.argv[2].encode()); s.recv(99)' {{port}} '{hostile}'"
    );
    let server = format!(
        "{} --bind 127.0.0.1 {{port}}",
        Program::rust("tcp_echo_server").path().display()
    );
    let file = page("hostile", &["--server", &server, "--client", &client]);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("<script").count(), 2, "the page's own");
    assert_eq!(text.matches("</script").count(), 2, "the page's own");
    assert!(!text.contains('\u{2028}') && !text.contains('\u{1b}'));
    let dom = seen(&file, 1);
    assert!(!dom.contains("<img") && dom.contains("<title>"));
    let title = &dom[dom.find("<title>").unwrap()..];
    assert!(
        title.starts_with("<title>") && !title.starts_with("<title>1<"),
        "{}",
        &title[..60]
    );
}
