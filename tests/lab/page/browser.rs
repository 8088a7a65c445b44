//! Chromium, driven by its chromedriver: WebDriver, which is JSON over HTTP.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::support::{Process, deadline, require, until};

/// A browser without a window. It ends when this does.
pub struct Browser {
    /// Ends when this does.
    _driver: Process,
    port: u16,
    session: String,
}

impl Browser {
    pub fn start() -> Browser {
        require("chromium", "the tests of the page");
        require(
            "chromedriver",
            "the tests of the page (the package is chromium-driver)",
        );
        let mut driver = Process::start(Command::new("chromedriver").arg("--port=0"));
        let port = loop {
            let line = driver.line();
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse().expect("a port");
            }
        };
        let mut browser = Browser {
            _driver: driver,
            port,
            session: String::new(),
        };
        let wanted = r#"{"capabilities":{"alwaysMatch":{"browserName":"chrome","goog:loggingPrefs":{"performance":"ALL","browser":"ALL"},
            "goog:chromeOptions":{"args":["--headless=new","--no-sandbox","--disable-gpu","--disable-dev-shm-usage","--hide-scrollbars"]}}}}"#;
        let (_, answer) = browser
            .exchange("POST", "/session", wanted)
            .expect("it is there");
        browser.session = field(&answer, "sessionId").unwrap_or_else(|| panic!("{answer}"));
        browser.size(1280, 720);
        browser
    }

    /// Opens a page at a moment (`#t=17`), anew.
    pub fn open(&self, file: &Path, moment: &str) {
        self.post("/url", r#"{"url":"about:blank"}"#);
        let url = quoted(&format!("file://{}{moment}", file.display()));
        self.post("/url", &format!("{{\"url\":{url}}}"));
    }

    /// What a script returns: a text.
    pub fn run(&self, script: &str) -> String {
        self.tried(script)
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What a script returns, or what the browser says instead.
    fn tried(&self, script: &str) -> Result<String, String> {
        let script = quoted(&format!("return String((() => {{ {script} }})())"));
        let body = format!("{{\"script\":{script},\"args\":[]}}");
        let answer = self.try_post("/execute/sync", &body)?;
        field(&answer, "value").ok_or(answer)
    }

    /// The text of the first element that a CSS selector finds.
    pub fn text(&self, selector: &str) -> String {
        self.run(&format!(
            "return document.querySelector({}).textContent",
            quoted(selector)
        ))
    }

    /// Waits until a script returns this. It may fail before: what it looks for is not there yet.
    pub fn wait_for(&self, script: &str, wanted: &str) {
        let wanted = Ok(wanted.to_owned());
        let found = until(|| (self.tried(script) == wanted).then_some(()));
        let last = self.tried(script);
        assert!(found.is_some(), "{script}: {last:?}, not {wanted:?}");
    }

    /// Presses a key: WebDriver's code for it.
    pub fn press(&self, key: char) {
        let key = quoted(&key.to_string());
        self.post("/actions", &format!(r#"{{"actions":[{{"type":"key","id":"keys","actions":[{{"type":"keyDown","value":{key}}},{{"type":"keyUp","value":{key}}}]}}]}}"#));
    }

    /// Clicks in the middle of an element, wherever it is.
    pub fn click(&self, selector: &str) {
        self.run(&format!(
            "document.querySelector({}).click()",
            quoted(selector)
        ));
    }

    /// Whatever comes next is asked of the first frame in the page, once that is there.
    pub fn enter_frame(&self) {
        let entered = until(|| self.try_post("/frame", r#"{"id":0}"#).ok());
        assert!(entered.is_some(), "the page has no frame");
    }

    /// The window's size: width and height in points.
    pub fn size(&self, width: u16, height: u16) {
        let mobile = width < 500;
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &format!(
                r#"{{"width":{width},"height":{height},"deviceScaleFactor":1,"mobile":{mobile}}}"#
            ),
        );
    }

    /// A command of Chromium's own protocol.
    pub fn devtools(&self, command: &str, parameters: &str) -> String {
        self.post(
            "/goog/cdp/execute",
            &format!(r#"{{"cmd":"{command}","params":{parameters}}}"#),
        )
    }

    /// What the browser has requested, and what it has complained of, since it was asked last: its own log, as JSON.
    pub fn log(&self, kind: &str) -> String {
        self.post("/se/log", &format!(r#"{{"type":"{kind}"}}"#))
    }

    fn post(&self, path: &str, body: &str) -> String {
        self.try_post(path, body)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// An answer, or the error that the driver reports.
    fn try_post(&self, path: &str, body: &str) -> Result<String, String> {
        let path = format!("/session/{}{path}", self.session);
        let (head, body) = self
            .exchange("POST", &path, body)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        if head.starts_with("HTTP/1.1 200") {
            Ok(body)
        } else {
            Err(body)
        }
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> std::io::Result<(String, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(deadline()))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all((head + body).as_bytes())?;
        let mut stream = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head)? > 0 {
            let line = head.lines().next_back().unwrap_or_default();
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }
}

impl Drop for Browser {
    /// Ends the browser; its driver ends as a process of ours.
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.exchange("DELETE", &format!("/session/{}", self.session), "");
        }
    }
}

/// The text of a key in an object of JSON.
fn field(json: &str, key: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{key}\":\""))?;
    let mut text = String::new();
    let mut letters = rest.chars();
    let mut high = None;
    loop {
        match letters.next()? {
            '"' => return Some(text),
            '\\' => match letters.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                'u' => {
                    let digits: String = letters.by_ref().take(4).collect();
                    let unit = u16::from_str_radix(&digits, 16).ok()?;
                    let units: Vec<u16> = high.take().into_iter().chain([unit]).collect();
                    match String::from_utf16(&units) {
                        Ok(letter) => text += &letter,
                        Err(_) => high = Some(unit),
                    }
                }
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

/// A text as JSON, and as JavaScript, has it.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
