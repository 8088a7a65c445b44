//! `--svg`, `--mermaid`, `--perfetto`, `--pcapng` and `--csv`: each read by the rules of its format.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sockstep;
use crate::support::{place, python3, run};

const FORMATS: [&str; 5] = ["svg", "mermaid", "perfetto", "pcapng", "csv"];

/// Where the file of each format is, and the arguments that ask for it.
fn files(name: &str) -> ([PathBuf; 5], Vec<String>) {
    let paths = FORMATS.map(|format| place(format!("exports/{name}.{format}")));
    let arguments = FORMATS.iter().zip(&paths);
    let arguments =
        arguments.flat_map(|(format, path)| [format!("--{format}"), path.display().to_string()]);
    let arguments = arguments.collect();
    (paths, arguments)
}

/// All five files of what these arguments run or show, each as its reader prints it.
fn exports(name: &str, arguments: &[&str]) -> [String; 5] {
    let (paths, options) = files(name);
    let mut all = vec![arguments[0]];
    all.extend(options.iter().map(String::as_str));
    all.extend(&arguments[1..]);
    let outcome = sockstep(&all);
    assert!(outcome.status.success(), "{outcome:?}");
    let mut read = Vec::new();
    for (format, path) in FORMATS.iter().zip(&paths) {
        let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/exports/read.py");
        let outcome = run(
            Command::new(python3()).arg(reader).arg(format).arg(path),
            b"",
        );
        assert!(outcome.status.success(), "{name}.{format}: {outcome:?}");
        read.push(outcome.stdout().to_owned());
    }
    read.try_into().unwrap()
}

/// The same of a recording.
fn exports_of(name: &str, recording: &str) -> [String; 5] {
    let trace = place(format!("exports/{name}.strace"));
    fs::write(&trace, recording).unwrap();
    exports(name, &["show", trace.to_str().unwrap()])
}

#[test]
fn a_connection_in_each_format() {
    let [svg, mermaid, perfetto, pcapng, csv] = exports("tcp", &["run", "tcp_echo", "--", "hello"]);
    for words in [
        "Server 4a. Accept a new connection",
        "SYN",
        "FIN",
        "| Received: hello",
    ] {
        assert!(svg.lines().any(|line| line == words), "{words}: {svg}");
    }
    assert_eq!(
        svg.lines().filter(|line| *line == "5 bytes").count(),
        2,
        "{svg}"
    );
    assert!(
        mermaid.contains("T0x0->>T0x1") && mermaid.contains("T0x0--)T0x1"),
        "{mermaid}"
    );
    assert!(perfetto.starts_with("2 tracks, "), "{perfetto}");
    assert_eq!(pcapng, "SYN \nSYN \nhello\nhello\nFIN \nFIN \n");
    let moved: Vec<&str> = csv.lines().collect();
    assert_eq!(
        moved[..4],
        [
            "client sendto sent \"hello\"",
            "server recvfrom received \"hello\"",
            "server sendto sent \"hello\"",
            "client recvfrom received \"hello\"",
        ],
        "{csv}"
    );
}

#[test]
fn datagrams_and_several_clients() {
    let [svg, .., pcapng, _] = exports("udp", &["run", "udp_echo", "--", "hello"]);
    assert_eq!(pcapng, "UDP hello\nUDP hello\n");
    assert!(!svg.contains("SYN"), "{svg}");

    let arguments = [
        "run",
        "tcp_echo_server",
        "tcp_echo_server_thread",
        "--clients",
        "2",
    ];
    let [svg, mermaid, perfetto, pcapng, _] = exports("clients", &arguments);
    for words in [
        "tcp_echo_server",
        "tcp_echo_server_thread",
        "client 2",
        "server, thread 3",
    ] {
        assert!(svg.lines().any(|line| line == words), "{words}: {svg}");
    }
    assert!(mermaid.contains("T1x0->>T1x"), "{mermaid}");
    assert!(perfetto.starts_with("8 tracks, "), "{perfetto}");
    assert_eq!(pcapng.matches("SYN").count(), 8, "{pcapng}");
    assert_eq!(pcapng.matches("hello 2").count(), 4, "{pcapng}");
}

#[test]
fn a_comparison_has_a_run_of_either_side() {
    let arguments = ["diff", "tcp_echo", "--scenario", "happy"];
    let [svg, _, perfetto, pcapng, _] = exports("diff", &arguments);
    for side in ["Rust", "C"] {
        let title = format!("tcp_echo, happy: equal, {side}");
        assert!(svg.lines().any(|line| line == title), "{svg}");
    }
    assert!(perfetto.starts_with("4 tracks, "), "{perfetto}");
    assert_eq!(pcapng.matches("hello").count(), 4, "{pcapng}");
}

/// A client that has closed with bytes unread, of a server whose calls were cut by strace and are full of what formats mind.
const HOSTILE: &str = r##"10 1.0 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3 <0.00001>
10 1.1 bind(3, {sa_family=AF_INET, sin_port=htons(7000), sin_addr=inet_addr("127.0.0.1")}, 16) = 0 <0.00001>
10 1.2 listen(3, 5) = 0 <0.00001>
11 1.3 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3 <0.00001>
11 1.4 connect(3, {sa_family=AF_INET, sin_port=htons(7000), sin_addr=inet_addr("127.0.0.1")}, 16) = 0 <0.00001>
10 1.5 accept(3, {sa_family=AF_INET, sin_port=htons(7001), sin_addr=inet_addr("127.0.0.1")}, [16]) = 4 <0.00001>
11 1.6 sendto(3, "</text><script>alert(1)</script>\n;end\"#%%", 42, 0, NULL, 0) = 42 <0.00001>
10 1.7 recvfrom(4, "</text><script>alert(1)</script>\n;end\"#%%", 4096, 0, NULL, NULL) = 42 <0.00001>
10 1.8 sendto(4, "=cmd|\33[2J\376\342\200\250,\r\n"..., 100000, 0, NULL, 0) = 100000 <0.00001>
11 1.9 close(3) = 0 <0.00001>
10 2.0 recvfrom(4, 0x1234, 4096, 0, NULL, NULL) = -1 ECONNRESET (Connection reset by peer) <0.00001>
10 2.1 close(4) = 0 <0.00001>
"##;

#[test]
fn what_a_program_sends_is_text_in_each_format() {
    let [svg, mermaid, _, pcapng, csv] = exports_of("hostile", HOSTILE);
    assert!(svg.contains("</text><script>alert(1)"), "as text: {svg}");
    assert!(svg.lines().any(|line| line == "RST"), "{svg}");
    assert!(mermaid.contains("T0x0--xT0x1"), "{mermaid}");
    // What strace has left out is missing in the packet, and in its length it is there.
    assert!(
        pcapng.contains("=cmd|") && pcapng.contains(" more"),
        "{pcapng}"
    );
    assert!(pcapng.lines().any(|line| line == "RST "), "{pcapng}");
    assert!(!csv.contains('\x1b') && csv.contains("\\x1b"), "{csv}");
}

#[test]
fn nothing_is_lost_when_a_file_cannot_be_written() {
    let trace = place("exports/refused.strace");
    fs::write(&trace, HOSTILE).unwrap();
    let trace = trace.to_str().unwrap();
    let kept = place("exports/kept.svg");
    fs::write(&kept, "kept").unwrap();
    let kept_path = kept.to_str().unwrap();
    for (arguments, status, words) in [
        (
            vec!["--svg", kept_path, "--csv", "/nowhere/x.csv"],
            1,
            "--csv: /nowhere/x.csv: No such file",
        ),
        (
            vec!["--svg", kept_path, "--csv", kept_path],
            1,
            "--svg and --csv are the same file",
        ),
        (vec!["--svg", trace], 1, "is the recording"),
        (vec!["--html", trace], 1, "is the recording"),
        (
            vec!["--html", kept_path, "--csv", kept_path],
            1,
            "--html and --csv are the same file",
        ),
        (
            vec!["--html", kept_path, "--svg", "/nowhere/x.svg"],
            1,
            "--svg: /nowhere/x.svg: No such file",
        ),
        (
            vec!["--html", "-", "--csv", "-"],
            2,
            "cannot both be written to standard output",
        ),
        (
            vec!["--svg", "-", "--csv", "-"],
            2,
            "cannot both be written to standard output",
        ),
        (vec!["--svg", "-", "--json"], 2, "--json"),
    ] {
        let outcome = sockstep(&[&["show", trace][..], &arguments].concat());
        assert_eq!(
            outcome.status.code(),
            Some(status),
            "{arguments:?}: {outcome:?}"
        );
        assert!(outcome.stderr.contains(words), "{arguments:?}: {outcome:?}");
    }
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    assert_eq!(fs::read_to_string(trace).unwrap(), HOSTILE);
    let empty = place("exports/empty.strace");
    fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    let (paths, options) = files("none");
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let html = place("exports/none.html");
    let page = ["show", empty, "--html", html.to_str().unwrap()];
    let outcome = sockstep(&[&page[..], &options].concat());
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    let words = "empty.strace: no line in it is strace's";
    assert!(outcome.stderr.contains(words), "{outcome:?}");
    let left: Vec<&PathBuf> = paths
        .iter()
        .chain([&html])
        .filter(|path| path.exists())
        .collect();
    assert!(left.is_empty(), "{left:?}");

    let svg = sockstep(&["show", trace, "--svg", "-"]);
    assert!(
        svg.status.success() && svg.stdout().starts_with("<svg "),
        "{svg:?}"
    );
}

#[test]
fn a_unix_domain_socket_has_no_packets_and_that_is_said() {
    let trace = place("exports/unix.strace");
    let recording = r#"10 1.0 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0 <0.00001>
10 1.1 write(3, "hello", 5) = 5 <0.00001>
10 1.2 read(4, "hello", 5) = 5 <0.00001>
10 1.3 close(3) = 0 <0.00001>
"#;
    fs::write(&trace, recording).unwrap();
    let file = place("exports/unix.pcapng");
    let svg = sockstep(&["show", trace.to_str().unwrap(), "--svg", "-"]);
    assert!(!svg.stdout().contains("FIN"), "{svg:?}");
    let outcome = sockstep(&[
        "show",
        trace.to_str().unwrap(),
        "--pcapng",
        file.to_str().unwrap(),
    ]);
    assert!(outcome.status.success(), "{outcome:?}");
    let words = "--pcapng: left out, as they are neither TCP nor UDP: 2 sends and ends";
    assert!(outcome.stderr.contains(words), "{outcome:?}");
}

#[test]
fn what_turns_or_hides_text_is_an_escape_in_every_file() {
    let hostile: Vec<char> = "\u{1b}\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{180e}\u{200f}\u{2028}\u{2029}\u{202e}\u{2066}\u{feff}\u{e0041}"
        .chars()
        .collect();
    let text: String = hostile.iter().flat_map(|c| ['=', *c]).collect();
    let recording = format!(
        r#"10 1.1 execve("./{text}", ["./{text}"], 0x7ffe /* 1 var */) = 0
10 1.2 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
10 1.3 bind(3, {{sa_family=AF_INET, sin_port=htons(7000), sin_addr=inet_addr("127.0.0.1")}}, 16) = 0
10 1.4 listen(3, 5) = 0
10 1.5 write(1, "{text}\n", 50) = 50
10 1.6 accept(3, NULL, NULL) = 4
10 1.7 recvfrom(4, "{text}", 500, 0, NULL, NULL) = 50
10 1.8 +++ killed by {text} +++
"#
    );
    let trace = place(format!("exports/={text}.strace"));
    fs::write(&trace, recording).unwrap();
    let words = place("exports/turning.json");
    fs::write(&words, format!("{{\"step\":\"<b>{}\"}}", &text[2..])).unwrap(); // no control byte is JSON
    let source = place("exports/turning.c");
    fs::write(&source, format!("int main(void) {{ /* {text} */ }}\r\n")).unwrap();
    let (paths, mut options) = files("turning");
    let page = place("exports/turning.html");
    for (option, path) in [
        ("--html", &page),
        ("--words", &words),
        ("--server-source", &source),
    ] {
        options.extend([option.to_owned(), path.display().to_string()]);
    }
    let trace = trace.to_str().unwrap();
    options.push(trace.to_owned());
    let mut arguments = vec!["show"];
    arguments.extend(options.iter().map(String::as_str));
    assert!(sockstep(&arguments).status.success());
    let json = sockstep(&["show", "--json", trace]);
    let mut all = vec![("json", json.stdout().to_owned())];
    for path in paths.iter().chain([&page]) {
        let extension = path.extension().unwrap().to_str().unwrap();
        let bytes = fs::read(path).unwrap();
        all.push((extension, String::from_utf8_lossy(&bytes).into_owned()));
    }
    for (format, text) in all {
        if format == "pcapng" {
            // The packet has the bytes themselves, and its comment an escape.
            assert_eq!(text.matches('\u{202e}').count(), 1);
            continue;
        }
        let found = hostile.iter().find(|c| text.contains(**c));
        assert_eq!(found, None, "{format}");
        assert!(format != "csv" || text.contains("\n'="), "{text}");
    }
}
