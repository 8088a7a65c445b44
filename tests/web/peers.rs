//! The Web programs with others' that are too large to install for every run: wget and Chromium ask our server, and our client
//! asks nginx. By hand:
//!
//! ```sh
//! apt-get install wget chromium nginx-light
//! cargo test --release --test web peers -- --ignored
//! ```

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Outcome, Process, Program, Server, assert_bytes, for_each, random_bytes, require, run, scratch,
    until,
};

const PURPOSE: &str = "the tests with large programs";
const BIG: usize = 1_000_000;

/// A blue picture of 40 by 30, as a browser takes it in a file.
const PICTURE: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'><rect width='40' height='30' fill='blue'/></svg>";
/// A page that says what the browser made of its picture, its style and its script.
const PAGE: &str =
    "<!DOCTYPE html><link rel=stylesheet href=style.css><a href='sub/'>there</a><img src='pic.svg'>
<script src='script.js'></script>";
const SCRIPT: &str = "onload = () => { let i = document.images[0];
    document.title = `${i.naturalWidth}x${i.naturalHeight} ${getComputedStyle(document.body).color}`; }";

/// A directory to be served, `root`, in one of the test's own.
fn site(name: &str) -> PathBuf {
    let place = scratch(format!("peers-{name}"));
    fs::create_dir_all(place.join("root/sub")).expect("a directory of our own");
    for (file, text) in [
        ("index.html", PAGE),
        ("style.css", "body { color: rgb(1, 2, 3) }"),
        ("script.js", SCRIPT),
        ("pic.svg", PICTURE),
        ("sub/index.html", "<a href='../two%20words.html'>two</a>"),
        ("two words.html", "<p>the end</p>"),
    ] {
        fs::write(place.join("root").join(file), text).expect("a file of our own");
    }
    fs::write(place.join("root/big.bin"), random_bytes(7, BIG)).expect("a file of our own");
    place
}

fn serve(program: Program, place: &Path) -> Server {
    let root = place.join("root");
    Server::start(program, &["--root", root.to_str().expect("text")])
}

#[test]
#[ignore = "by hand: needs wget"]
fn wget_copies_a_site_and_continues_a_download() {
    require("wget", PURPOSE);
    for_each(&["web_server"], |program| {
        let place = site(&format!("wget-{:?}", program.lang));
        let server = serve(program, &place);
        let url = format!("http://127.0.0.1:{}", server.port);
        let wget = |args: &[&str]| {
            let mut command = Command::new("wget");
            let said = run(command.current_dir(&place).arg("-nv").args(args), b"");
            assert!(said.status.success(), "{said:?}");
        };
        wget(&["-r", "-nH", "-P", "copy", &format!("{url}/")]);
        for file in ["index.html", "pic.svg", "style.css", "two words.html"] {
            let read = |dir: &str| fs::read(place.join(dir).join(file)).expect("it is there");
            assert_bytes(&read("copy"), &read("root"));
        }
        fs::write(place.join("big.bin"), &random_bytes(7, BIG)[..300_000]).expect("ours");
        wget(&["-c", &format!("{url}/big.bin")]);
        let whole = fs::read(place.join("big.bin")).expect("ours");
        assert_bytes(&whole, &random_bytes(7, BIG));
        server.stop();
    });
}

#[test]
#[ignore = "by hand: needs chromium"]
fn chromium_renders_a_page_with_its_picture() {
    require("chromium", PURPOSE);
    for_each(&["web_server"], |program| {
        let place = site(&format!("chromium-{:?}", program.lang));
        let server = serve(program, &place);
        let mut chromium = Command::new("chromium");
        chromium.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--dump-dom",
        ]);
        let profile = place.join("profile");
        chromium.arg(format!("--user-data-dir={}", profile.display()));
        let said = run(
            chromium.arg(format!("http://127.0.0.1:{}/", server.port)),
            b"",
        );
        let title = "<title>40x30 rgb(1, 2, 3)</title>";
        assert!(said.stdout().contains(title), "{said:?}");
        server.stop();
    });
}

#[test]
#[ignore = "by hand: needs nginx"]
fn nginx_is_understood() {
    require("nginx", PURPOSE);
    let place = site("nginx");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.expect("a port is free").port();
    let config = format!(
        "daemon off; master_process off; pid pid; error_log stderr crit; events {{ }}
        http {{
            access_log off; types {{ text/html html; }} ssi on;
            client_body_temp_path 1; proxy_temp_path 2; fastcgi_temp_path 3; uwsgi_temp_path 4; scgi_temp_path 5;
            server {{
                listen 127.0.0.1:{port}; root root;
                location /moved {{ return 302 /sub/; }}
            }}
        }}"
    );
    fs::write(place.join("conf"), config).expect("a file of our own");
    let place_text = place.to_str().expect("text");
    let mut nginx = Process::start(
        Command::new("nginx").args(["-e", "stderr", "-p", place_text, "-c", "conf"]),
    );
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    until(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok()).expect("nginx listens");
    for_each(&["web_client"], |program| {
        let get = |args: &[&str]| run(program.command().args(args), b"");
        assert_bytes(&get(&[&url("/big.bin")]).stdout, &random_bytes(7, BIG));
        let chunked = get(&["-i", &url("/sub/")]); // nginx does not know its length beforehand
        assert!(chunked.stdout().contains("Transfer-Encoding: chunked\r\n"));
        assert!(chunked.stdout().ends_with("'>two</a>"), "{chunked:?}");
        let head = get(&["--head", &url("/big.bin")]);
        assert!(head.stdout().contains("Content-Length: 1000000\r\n"));
        assert_eq!(
            get(&["--fail", &url("/nothing")]),
            Outcome::new(22, "", "the server answered 404\n")
        );
        let file = place.join(format!("file-{:?}", program.lang));
        let path = file.to_str().expect("text");
        assert_eq!(get(&["-o", path, &url("/big.bin")]), Outcome::done(""));
        assert_bytes(&fs::read(file).expect("ours"), &random_bytes(7, BIG));
    });
    let followed = run(
        Program::rust("web_client")
            .command()
            .args(["-L", &url("/moved")]),
        b"",
    );
    assert!(followed.stdout().ends_with("'>two</a>"), "{followed:?}");
    nginx.signal(nix::sys::signal::Signal::SIGTERM);
    nginx.end();
}
