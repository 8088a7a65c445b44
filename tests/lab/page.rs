//! `--html`: one page that needs no other file, tested in a real browser, with any bytes that a
//! program may send.

pub mod browser;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::sockstep;
use crate::support::{Process, Program, at_this_load, place, python3, scratch, until};
use browser::Browser;

/// Keys, as WebDriver has them.
const LEFT: char = '\u{e012}';
const RIGHT: char = '\u{e014}';
const HOME: char = '\u{e011}';
const END: char = '\u{e010}';

/// The page of a run.
fn page(name: &str, arguments: &[&str]) -> PathBuf {
    let file = place(format!("page/{name}")).with_extension("html");
    let html = ["run", "--html", file.to_str().unwrap()];
    let outcome = sockstep(&[&html, arguments].concat());
    assert!(outcome.status.success(), "{outcome:?}");
    file
}

/// The page of a recording.
fn page_of(name: &str, recording: &str) -> PathBuf {
    let trace = place(format!("page/{name}")).with_extension("strace");
    fs::write(&trace, recording).unwrap();
    let file = place(format!("page/{name}")).with_extension("html");
    let outcome = sockstep(&[
        "show",
        "--html",
        file.to_str().unwrap(),
        trace.to_str().unwrap(),
    ]);
    assert!(outcome.status.success(), "{outcome:?}");
    file
}

/// The recordings of a server and a client that echo this.
fn echo_of(text: &str, times: usize) -> String {
    let mut lines = String::from(
        r#"10 1.000000 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3 <0.000010>
10 1.000100 bind(3, {sa_family=AF_INET, sin_port=htons(7000), sin_addr=inet_addr("127.0.0.1")}, 16) = 0 <0.000010>
10 1.000200 listen(3, 5) = 0 <0.000010>
20 1.001000 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3 <0.000010>
20 1.001100 connect(3, {sa_family=AF_INET, sin_port=htons(7000), sin_addr=inet_addr("127.0.0.1")}, 16) = 0 <0.000010>
10 1.000300 accept(3, {sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 4 <0.000900>
"#,
    );
    let length = strace_length(text);
    for turn in 0..times {
        let at = 1_002_000 + 400 * turn;
        let line = |pid: u8, offset: usize, call: &str, fd: u8, asked: &str, took: u32| {
            let at = at + offset;
            format!(
                "{pid} {}.{:06} {call}({fd}, \"{text}\", {asked}, 0, NULL{}) = {length} <0.{took:06}>\n",
                at / 1_000_000,
                at % 1_000_000,
                if call == "sendto" { ", 0" } else { ", NULL" }
            )
        };
        lines += &line(20, 0, "sendto", 3, &length.to_string(), 10);
        lines += &line(10, 20, "recvfrom", 4, "99999999", 10);
        lines += &line(10, 50, "sendto", 4, &length.to_string(), 10);
        lines += &line(20, 30, "recvfrom", 3, "99999999", 100);
    }
    lines
        + "20 9.000000 close(3) = 0 <0.000010>\n10 9.000100 recvfrom(4, \"\", 4096, 0, NULL, NULL) = 0 <0.000010>\n10 9.000200 close(4) = 0 <0.000010>\n"
}

/// How many bytes a string of strace's has.
fn strace_length(text: &str) -> usize {
    let mut letters = text.bytes().peekable();
    let mut count = 0;
    while let Some(letter) = letters.next() {
        if letter == b'\\' && letters.next().is_some_and(|next| next.is_ascii_digit()) {
            while letters.next_if(u8::is_ascii_digit).is_some() {}
        }
        count += 1;
    }
    count
}

/// Steps on to the first moment whose live words have all of these.
fn step_to(browser: &Browser, words: &[&str]) -> usize {
    browser.press(HOME);
    let all: usize = browser
        .run("return document.getElementById('slider').max")
        .parse()
        .unwrap();
    for moment in 1..=all {
        let live = browser.text("#live");
        if words.iter().all(|word| live.contains(word)) {
            return moment;
        }
        browser.press(RIGHT);
    }
    panic!("no moment has {words:?}");
}

const MOMENT: &str = "return location.hash + ' ' + document.getElementById('count').textContent.split(' ')[0] + ' ' + document.getElementById('slider').value";

#[test]
fn each_key_the_buttons_the_slider_a_click_and_the_address_choose_the_moment() {
    let file = page("keys", &["tcp_echo", "--", "hello"]);
    let browser = Browser::start();
    browser.open(&file, "");
    let at = |moment: usize| format!("#t={moment} {moment} {moment}");
    browser.press(RIGHT);
    assert_eq!(browser.run(MOMENT), at(2));
    browser.press(RIGHT);
    browser.press(LEFT);
    assert_eq!(browser.run(MOMENT), at(2));
    browser.press(END);
    let last: usize = browser
        .run("return document.getElementById('slider').max")
        .parse()
        .unwrap();
    assert_eq!(browser.run(MOMENT), at(last));
    browser.press(RIGHT); // there is no more
    assert_eq!(browser.run(MOMENT), at(last));
    browser.press(HOME);
    browser.press(LEFT);
    assert_eq!(browser.run(MOMENT), at(1));
    browser.run("const speed = document.getElementById('speed'); speed.value = '200'; speed.dispatchEvent(new Event('change'))");
    browser.press(' ');
    browser.wait_for("return document.getElementById('play').getAttribute('aria-label') + document.getElementById('slider').value", &format!("Play{last}"));
    browser.click("#first");
    browser.click("#next");
    browser.click("#next");
    browser.click("#back");
    assert_eq!(browser.run(MOMENT), at(2));
    browser.run("const slider = document.getElementById('slider'); slider.value = 5; slider.dispatchEvent(new Event('input'))");
    assert_eq!(browser.run(MOMENT), at(5));
    browser.run("document.querySelectorAll('.event')[6].click()");
    assert_eq!(browser.run(MOMENT), at(7));
    // A link to a moment shows it, and so does one within the page; one that is too far shows the last.
    browser.open(&file, "#t=9");
    assert_eq!(browser.run(MOMENT), at(9));
    browser.run("location.hash = '#t=4'");
    browser.wait_for(MOMENT, &at(4));
    browser.open(&file, "#t=999");
    assert_eq!(
        browser.run("return document.getElementById('slider').value"),
        last.to_string()
    );
    assert_eq!(
        browser.run("return document.querySelectorAll('[aria-current=step].event').length"),
        "1"
    );
    let complaints = browser.log("browser");
    assert!(complaints.contains("\"value\":[]"), "{complaints}");
}

#[test]
fn calls_that_have_not_returned_at_an_interrupt_stand_there_as_blocked() {
    let directory = scratch("page/interrupted");
    let file = |name: &str| directory.join(name).display().to_string();
    let python = |script: &str| format!("{} -c 'import socket; {script}'", python3());
    let server = python(
        r#"s = socket.create_server(("127.0.0.1", {port})); c = s.accept()[0]; c.recv(9); c.recv(9)"#,
    );
    let client = python(
        r#"c = socket.create_connection(("127.0.0.1", {port})); c.send(b"hello"); c.recv(9)"#,
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockstep"));
    command.args(["run", "--server", &server, "--client", &client, "--json"]);
    for format in ["html", "csv", "svg", "perfetto"] {
        command.args([format!("--{format}"), file(&format!("run.{format}"))]);
    }
    let mut process = Process::start(command.args(["--keep", &file("")]));
    // Each has begun a receive, which strace has not ended the line of.
    let waits = |side: &str| {
        let recording = fs::read_to_string(file(side)).unwrap_or_default();
        let last = recording.rsplit('\n').next().unwrap_or_default();
        last.contains(" recvfrom(") && (side == "client.strace" || recording.contains("hello"))
    };
    let both = || {
        ["client.strace", "server.strace"]
            .iter()
            .all(|side| waits(side))
    };
    until(|| both().then_some(())).expect("they wait for each other");
    process.signal(Signal::SIGINT);
    let outcome = process.end();
    let open = |text: &str| text.matches("<unfinished ...>").count();
    assert_eq!(open(outcome.stdout()), 2, "{outcome:?}");
    for format in ["csv", "perfetto"] {
        let text = fs::read_to_string(file(&format!("run.{format}"))).unwrap();
        assert_eq!(open(&text), 2, "{text}");
    }
    let svg = fs::read_to_string(file("run.svg")).unwrap();
    assert_eq!(svg.matches("has not returned").count(), 2, "{svg}");

    let browser = Browser::start();
    browser.open(file("run.html").as_ref(), "#t=999");
    let heads = "return [...document.querySelectorAll('.head .blocked.stuck')].map((it) => it.textContent).join()";
    assert_eq!(
        browser.run(heads),
        "waits in recv for server: deadlock,waits in recv for client: deadlock"
    );
    assert!(browser.text("#live").contains("waits in recv for "));
    let open = "return [...document.querySelectorAll('.break')].filter((it) => it.textContent.startsWith('has not returned, waited ')).length";
    assert_eq!(browser.run(open), "2");
}

#[test]
fn each_pane_follows_the_moment() {
    let file = page("panes", &["tcp_echo", "--", "hello"]);
    let browser = Browser::start();
    browser.open(&file, "");
    let marked = "return [...document.querySelectorAll('#source .here')].map((it) => it.textContent).join(' / ')";
    let titles = "return [...document.querySelectorAll('#source h3')].map((it) => it.firstChild.data.split(':')[0]).join(' ')";

    // The server waits for a client.
    step_to(&browser, &["Server 4a", "waits in accept for client"]);
    assert!(
        browser
            .text("#step [aria-current]")
            .contains("Server 4a. Accept a new connection")
    );
    assert_eq!(
        browser.run("return document.querySelectorAll('#step li').length"),
        "6"
    );
    assert!(
        browser
            .text("#step")
            .contains("takes the next client off that queue")
    );
    assert_eq!(browser.run(titles), "tcp_echo_server.rs tcp_echo_server.c");
    let lines = browser.run(marked);
    assert!(
        lines.split(" / ").count() == 2 && lines.split(" / ").all(|line| line.contains("accept")),
        "{lines}"
    );
    assert!(
        browser
            .text("#sockets tbody")
            .contains("TCP, listening, queue 0 of 5")
    );
    assert!(
        browser
            .text("#line")
            .contains("accept(3, … <unfinished ...>")
    );
    assert!(
        browser
            .text(".head.server")
            .contains("waits in accept for client")
    );
    assert!(browser.text(".head.client").contains("not started"));
    assert_eq!(
        browser.run("return document.querySelectorAll('.event.client:not(.later)').length"),
        "0"
    );

    // The client has sent, and the server has not received yet.
    step_to(&browser, &["Client 3", "sendto(3, \"hello\", 5, 0) = 5"]);
    let lines = browser.run(marked);
    assert!(
        lines.split(" / ").all(|line| line.contains("send")),
        "{lines}"
    );
    let sent = browser.text("#sockets tr[aria-current]");
    assert!(
        sent.contains("client 3") && sent.contains("5 B5 B"),
        "{sent}"
    );
    assert!(browser.text("#bytes mark").contains("68 65 6c 6c 6f"));
    assert!(
        browser
            .text("#line")
            .starts_with("sendto(3, \"hello\", 5, 0, NULL, 0) = 5 <0.")
    );

    // The server answers.
    step_to(&browser, &["Server 4b", "sendto(4, \"hello\", 5, 0) = 5"]);
    for call in ["send_all(", "sendAll("] {
        assert!(
            browser.run(marked).contains(call),
            "{}",
            browser.run(marked)
        );
    }
    assert!(browser.text("#bytes").contains("0–5"));
    let end = step_to(&browser, &["Server 4c"]);
    assert!(browser.text("#step").contains("Server 4c") && end > 10);
    browser.press(END);
    assert!(browser.text(".head.server").contains("ended"));
    assert_eq!(
        browser.run("return document.querySelectorAll('.later').length"),
        "0"
    );
    let arrows = browser.run(
        "return [...document.querySelectorAll('.label')].map((it) => it.textContent).join(' ')",
    );
    for label in ["SYN", "5 B", "FIN"] {
        assert!(arrows.contains(label), "{arrows}");
    }
}

/// A client that sends and closes at once has sent bytes that the server has yet to receive, and then has not.
#[test]
fn bytes_of_a_client_that_has_closed_are_unread_until_they_are_received() {
    let recording = echo_of("hello", 0).replace(
        "20 9.000000 close",
        "20 2.000000 sendto(3, \"hello\", 5, 0, NULL, 0) = 5 <0.000010>\n20 2.100000 close",
    );
    let recording = recording.replace(
        "10 9.000100 recv",
        "10 3.000000 recvfrom(4, \"hello\", 4096, 0, NULL, NULL) = 5 <0.000010>\n10 9.000100 recv",
    );
    let file = page_of("closed-early", &recording);
    let browser = Browser::start();
    browser.open(&file, "");
    let row = "return [...document.querySelectorAll('#sockets tr')].map((it) => it.textContent).find((it) => it.startsWith('server 4'))";
    step_to(&browser, &["client close(3)"]);
    let seen = browser.run(row);
    assert!(seen.ends_with("5 B"), "{seen}");
    step_to(&browser, &["server recvfrom(4, \"hello\""]);
    let seen = browser.run(row);
    assert_eq!(seen.matches("5 B").count(), 1, "{seen}");
}

#[test]
fn a_page_asks_nothing_of_anybody_fits_a_phone_and_prints_the_whole_ladder() {
    let file = page("echo", &["tcp_echo", "--", "hello"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.len() < 400 << 10, "{} bytes", text.len());
    assert!(text.contains("default-src 'none'") && !text.contains("unsafe"));
    let browser = Browser::start();
    browser.log("performance");
    browser.open(&file, "#t=12");
    browser.press(END);
    let log = browser.log("performance");
    let requested: Vec<&str> = log.split("Network.requestWillBeSent\\\"").skip(1).collect();
    let own = format!("\\\"url\\\":\\\"file://{}", file.display());
    assert!(
        requested
            .iter()
            .all(|it| it.contains(&own) || it.contains("about:blank")),
        "{requested:?}"
    );
    assert!(log.contains(&own), "the log has requests");

    let overflow = "const wide = [...document.querySelectorAll('body *')].filter((it) => !it.closest('.off, option') && it.getBoundingClientRect().right > innerWidth + 1); return wide.map((it) => it.tagName + it.className).join() + (document.documentElement.scrollWidth > innerWidth ? 'page' : '')";
    for (width, height) in [(1280, 720), (390, 844)] {
        browser.size(width, height);
        browser.open(&file, "#t=12");
        assert_eq!(browser.run(overflow), "", "{width}");
        let seen = browser.run("const it = document.querySelector('.event[aria-current]').getBoundingClientRect(), room = document.getElementById('lanes').getBoundingClientRect(); return it.top >= room.top && it.bottom <= room.bottom");
        assert_eq!(seen, "true", "the moment is on the screen of {width}");
    }
    // Nothing scrolls within what scrolls, but what is wide.
    let nested = "return [...document.querySelectorAll('#panes *')].filter((it) => it.scrollHeight > it.clientHeight + 2 && /auto|scroll/.test(getComputedStyle(it).overflowY)).length";
    assert_eq!(browser.run(nested), "0");

    browser.size(1280, 720);
    browser.open(&file, "#t=3");
    browser.devtools("Emulation.setEmulatedMedia", r#"{"media":"print"}"#);
    let printed = "const lanes = document.getElementById('lanes'); return getComputedStyle(document.getElementById('panes')).display + ' ' + (lanes.scrollHeight <= lanes.clientHeight + 1) + ' ' + (document.body.scrollHeight > 720) + ' ' + getComputedStyle(document.querySelector('.arrow.later')).opacity";
    assert_eq!(browser.run(printed), "none true true 1");
    let pdf = browser.devtools("Page.printToPDF", "{}");
    assert!(pdf.contains("\"data\":\"JVBERi"), "no PDF");
    browser.devtools("Emulation.setEmulatedMedia", r#"{"media":"","features":[{"name":"prefers-reduced-motion","value":"reduce"},{"name":"prefers-color-scheme","value":"dark"}]}"#);
    let calm = "return getComputedStyle(document.getElementById('lanes')).scrollBehavior + ' ' + getComputedStyle(document.querySelector('.event')).transitionDuration + ' ' + getComputedStyle(document.documentElement).backgroundColor";
    assert_eq!(browser.run(calm), "auto 0s rgb(21, 23, 26)");
    assert_eq!(
        browser.run("return getComputedStyle(document.querySelector('.event')).userSelect"),
        "text"
    );
}

#[test]
fn what_a_program_sends_is_text_and_never_markup() {
    let python = python3();
    let hostile = "<script>document.title=1</script></script><img src=x onerror=alert(1)>\u{2028}\\x1b[2J<!--";
    let client = format!(
        "'{python}' -c 'import socket,sys; s = socket.create_connection((\"127.0.0.1\", int(sys.argv[1]))); s.sendall(sys.argv[2].encode()); s.recv(99)' {{port}} '{hostile}'"
    );
    let server = Program::rust("tcp_echo_server").at_the_port();
    let words = place("page/words.json");
    fs::write(
        &words,
        r#"{"step": "</script><script>document.title = 2</script>", "lang": "de"}"#,
    )
    .unwrap();
    let source = place("page/<img src=x>.c");
    fs::write(
        &source,
        "int main() { </script><script>document.title = 3</script> }\n",
    )
    .unwrap();
    let file = page(
        "hostile",
        &[
            "--words",
            words.to_str().unwrap(),
            "--client-source",
            source.to_str().unwrap(),
            "--server",
            &server,
            "--client",
            &client,
        ],
    );
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("<script").count(), 3, "the page's own");
    assert_eq!(text.matches("</script").count(), 3, "the page's own");
    assert!(!text.contains('\u{2028}') && !text.contains('\u{1b}') && !text.contains("<img"));
    let browser = Browser::start();
    browser.open(&file, "");
    step_to(&browser, &["<script>document.title=1</script>"]);
    assert!(
        browser.run("return document.title").starts_with('\''),
        "{}",
        browser.run("return document.title")
    );
    assert_eq!(
        browser.run(
            "return document.querySelectorAll('img, iframe, main script, header script').length"
        ),
        "0"
    );
    assert!(browser.text("#h-step").starts_with("</script>"));
    assert!(browser.text("#source").contains("<img src=x>.c"));
    let complaints = browser.log("browser");
    assert!(complaints.contains("\"value\":[]"), "{complaints}");
}

#[test]
fn five_million_bytes_and_control_bytes_change_their_own_box_alone() {
    let text = r"<b>\0\33[2J\342\200\250</script>".to_owned() + &"A".repeat(5_000_000);
    let file = page_of("large", &echo_of(&text, 1));
    let length = fs::metadata(&file).unwrap().len();
    assert!(length < 400 << 10, "{length} bytes");
    let browser = Browser::start();
    browser.open(&file, "");
    step_to(&browser, &["Client 3", "sendto(3"]);
    assert!(
        browser.text("#bytes").contains("more bytes"),
        "{}",
        browser.text("#bytes")
    );
    assert!(
        browser
            .text("#bytes mark")
            .starts_with("3c 62 3e 00 1b 5b 32 4a"),
        "{}",
        browser.text("#bytes mark")
    );
    assert_eq!(
        browser.run("return document.querySelectorAll('main b').length"),
        "0"
    );
}

#[test]
fn a_long_run_is_folded_and_says_what_is_left_out() {
    let recording = echo_of("hello", 5_000);
    let file = page_of("long", &recording);
    let length = fs::metadata(&file).unwrap().len();
    assert!(length < 5 << 20, "{length} bytes");
    let browser = Browser::start();
    let start = Instant::now();
    browser.open(&file, "");
    let fold = browser.text(".event.fold");
    let took = start.elapsed();
    assert!(took < at_this_load(20), "{took:?}"); // a busy machine's; by hand 2 s
    assert!(
        fold.contains("more events of these kinds")
            && fold.contains("sendto × ")
            && fold.contains("bytes to the server"),
        "{fold}"
    );
    // What is shown and what is counted is all there was.
    let shown: usize = browser
        .run("return document.querySelectorAll('.event:not(.begun):not(.fold)').length")
        .parse()
        .unwrap();
    let counted: usize = fold
        .split(' ')
        .next()
        .unwrap()
        .replace(',', "")
        .parse()
        .unwrap();
    assert_eq!(shown + counted, recording.lines().count());
    browser.press(END);
    assert!(browser.text("#live").contains("close(4)"));
    assert!(
        browser.text("#sockets").contains("25,000 B"),
        "{}",
        browser.text("#sockets")
    );
}

#[test]
fn many_clients_have_a_column_each_and_several_servers_a_choice() {
    let file = page(
        "clients",
        &[
            "tcp_echo",
            "tcp_echo_server_thread",
            "--clients",
            "3",
            "--think",
            "1000",
        ],
    );
    let browser = Browser::start();
    browser.open(&file, "#s=2&t=1");
    assert_eq!(
        browser.run("return document.querySelectorAll('.head.client').length"),
        "3"
    );
    assert!(
        browser
            .run("return document.querySelectorAll('.head.server').length")
            .parse::<u8>()
            .unwrap()
            >= 3
    );
    assert!(!browser.text("#grid").contains("SIGCONT"));
    assert_eq!(
        browser.run("return document.getElementById('scene').selectedOptions[0].textContent"),
        "tcp_echo_server_thread"
    );
    browser.run("const scene = document.getElementById('scene'); scene.value = '0'; scene.dispatchEvent(new Event('change'))");
    assert_eq!(browser.run("return location.hash"), "#s=1&t=1");
    // One client is served and the others wait, whichever is first.
    step_to(&browser, &["client [", "waits in recv for server"]);
    // Connections not yet accepted are shown in the queue, with their clients.
    assert!(
        browser.text("#sockets").contains("queue "),
        "{}",
        browser.text("#sockets")
    );
}

#[test]
fn words_of_a_course_stand_in_the_page_and_a_bad_file_is_named() {
    let words = place("page/bad.json");
    let html = place("page/bad.html");
    for (text, complaint) in [
        ("{\"steps\": \"Schritt\"}", "line 1: no word \"steps\""),
        ("{\"step\": \"Schritt\"", "a comma or } is missing"),
        ("\u{feff}{}", "a JSON object is missing"),
        ("{\"step\": 1}", "a text in double quotes is missing"),
    ] {
        fs::write(&words, text).unwrap();
        let outcome = sockstep(&[
            "run",
            "tcp_echo",
            "--html",
            html.to_str().unwrap(),
            "--words",
            words.to_str().unwrap(),
        ]);
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert!(
            outcome.stderr.contains("bad.json") && outcome.stderr.contains(complaint),
            "{outcome:?}"
        );
    }
    let outcome = sockstep(&["run", "tcp_echo", "--html", "/nowhere/at/all.html"]);
    assert!(
        outcome.stderr.contains("/nowhere/at/all.html"),
        "{outcome:?}"
    );
}

#[test]
fn diff_has_both_sides_in_one_page_with_their_differences_marked() {
    let file = place("page/twins.html");
    let html = file.to_str().unwrap();
    let outcome = sockstep(&["diff", "tcp_echo", "--scenario", "happy", "--html", html]);
    assert!(outcome.status.success(), "{outcome:?}");
    let browser = Browser::start();
    browser.open(&file, "");
    let heads = "return [...document.querySelectorAll('.head')].map((it) => it.firstChild.textContent.trim()).join(', ')";
    assert_eq!(
        browser.run(heads),
        "Rust client, Rust server, C client, C server"
    );
    assert_eq!(
        browser.run("return document.querySelectorAll('.differs').length"),
        "0"
    );
    step_to(&browser, &["Rust server", "accept(3"]);
    // The same call of the other side is the same moment, in the same row.
    let beside = "const [one, other] = document.querySelectorAll('.event[aria-current], .event.also'); return one.textContent.slice(0, 9) + other.textContent.slice(0, 9) + (one.style.gridRow === other.style.gridRow)";
    assert_eq!(browser.run(beside), "accept(3,accept(3,true");
    assert_eq!(
        browser.run("return document.querySelectorAll('#line pre').length"),
        "2"
    );

    let [one, other] =
        ["tcp_echo_server", "tcp_upper_server"].map(|name| Program::rust(name).at_the_port());
    let outcome = sockstep(&[
        "diff",
        "--scenario",
        "word",
        "--server",
        &one,
        "--server",
        &other,
        "--html",
        html,
    ]);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    browser.open(&file, "");
    assert_eq!(browser.run(heads), "A server, B server");
    let differs = browser.run("return [...document.querySelectorAll('.event.differs')].map((it) => it.firstChild.data).join(' ')");
    assert!(
        differs.contains("sendto(4, \"hello") && differs.contains("HELLO"),
        "{differs}"
    );
    assert_eq!(
        browser.run("return document.querySelectorAll('.event:not(.differs)').length > 3"),
        "true"
    );
}

/// By hand, since axe comes from npm: CONTRIBUTING.md has the command.
#[test]
#[ignore = "AXE names axe.min.js"]
fn axe_finds_nothing_against_a_page() {
    let axe = std::env::var("AXE").expect("AXE is the path of axe.min.js");
    let axe = fs::read_to_string(axe).unwrap();
    let html = place("page/axe.html");
    let twins = place("page/axe-twins.html");
    let diff = [
        "diff",
        "tcp_echo",
        "--scenario",
        "happy",
        "--html",
        twins.to_str().unwrap(),
    ];
    assert!(sockstep(&diff).status.success());
    let failures = place("page/axe-check.html");
    let server = Program::rust("tcp_echo_server").at_the_port();
    let fails = [
        "check",
        "--contract",
        "tcp-upper",
        "--only",
        "word",
        "--only",
        "every-byte",
        "--server",
        &server,
        "--html",
        failures.to_str().unwrap(),
    ];
    assert_eq!(sockstep(&fails).status.code(), Some(1));
    let browser = Browser::start();
    let mut all = Vec::new();
    let mut check = |name: &str| {
        let options = "{resultTypes: ['violations', 'incomplete']}";
        browser.run(&format!("{axe}; window.found = ''; axe.run(document, {options}).then((result) => {{ window.found = 'done ' + result.violations.map((it) => it.id + ': ' + it.nodes.map((node) => node.target + ' ' + node.failureSummary).join('; ')).join('\\n'); }});"));
        browser.wait_for("return window.found.slice(0, 4)", "done");
        let found = browser.run("return window.found");
        if found != "done " {
            all.push(format!("{name}: {found}"));
        }
    };
    for (name, arguments) in [
        ("tcp_echo", &["tcp_echo"][..]),
        ("udp_echo", &["udp_echo"]),
        ("web", &["web"]),
        ("clients", &["tcp_echo_server_thread", "--clients", "3"]),
    ] {
        let outcome = sockstep(&[&["run", "--html", html.to_str().unwrap()], arguments].concat());
        assert!(outcome.status.success(), "{outcome:?}");
        for scheme in ["light", "dark"] {
            browser.devtools(
                "Emulation.setEmulatedMedia",
                &format!(r#"{{"features":[{{"name":"prefers-color-scheme","value":"{scheme}"}},{{"name":"prefers-reduced-motion","value":"reduce"}}]}}"#),
            );
            for (width, height) in [(1280, 720), (390, 844)] {
                browser.size(width, height);
                for moment in ["#t=1", "#t=9", "#t=14"] {
                    browser.open(&html, moment);
                    check(&format!("{name} {scheme} {width} {moment}"));
                }
            }
        }
    }
    for scheme in ["light", "dark"] {
        browser.devtools(
            "Emulation.setEmulatedMedia",
            &format!(r#"{{"features":[{{"name":"prefers-color-scheme","value":"{scheme}"}}]}}"#),
        );
        for (width, height) in [(1280, 720), (390, 844)] {
            browser.size(width, height);
            browser.open(&twins, "#t=9");
            check(&format!("diff {scheme} {width}"));
            browser.open(&failures, "");
            check(&format!("check {scheme} {width}"));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
