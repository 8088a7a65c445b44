//! `--html FILE`: runs as one page that any browser opens, without a network. Data from a recording
//! is in it only as text: in JSON whose `<` is escaped.

pub mod compared;
mod keep;
mod scene;
mod source;
mod words;

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::common::text::acts_on_a_terminal;
use crate::draw::json::{array, escape, object, shown as text};
use crate::draw::story::Story;
use crate::draw::target::Target;
use crate::strace::line::Entry;
use crate::world::Side;
use compared::Marked;
use keep::{BRIEF, Limits, WHOLE};
use scene::Scene;
use source::{Files, Sources};

pub const OPTION: &str = "--html";

/// Set by `check`, which puts many pages into one: a page and a picture keep little of a long run.
pub const BRIEF_RUN: &str = "SOCKSTEP_BRIEF_RUN";

#[derive(clap::Args)]
pub struct Options {
    /// Write a page for a browser: step through the run, share it, print it; - is standard output
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Take the page's words from this file, to translate it: a JSON object as in {"step": "Schritt"}
    #[arg(long, value_name = "FILE", requires = "html")]
    words: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct SourceOptions {
    /// Show this source of the server in the page
    #[arg(long, value_name = "FILE", requires = "html")]
    server_source: Option<PathBuf>,
    /// Show this source of the client in the page
    #[arg(long, value_name = "FILE", requires = "html")]
    client_source: Option<PathBuf>,
}

impl SourceOptions {
    /// The sources of the client's and the server's program, if they are ours, or the files that
    /// the user has named.
    pub fn read(&self, programs: [Option<&str>; 2]) -> Result<Sources, String> {
        let mut sources = Sources::of(programs);
        for (side, path) in [
            (Side::Client, &self.client_source),
            (Side::Server, &self.server_source),
        ] {
            if let Some(path) = path {
                sources.read(side, path)?;
            }
        }
        Ok(sources)
    }
}

impl Options {
    pub fn is_wanted(&self) -> bool {
        self.html.is_some()
    }

    pub fn path(&self) -> Option<&Path> {
        self.html.as_deref()
    }

    /// The requested page, with this title. Fails before the run if the file cannot be written. It
    /// must not be `input`, which is being read.
    pub fn begin(&self, title: String, input: Option<&Path>) -> Result<Option<Page>, String> {
        let Some(file) = &self.html else {
            return Ok(None);
        };
        let words = self.words.as_deref().map(words::read).transpose()?;
        Ok(Some(Page {
            target: Target::open(OPTION, file, input)?,
            title,
            words,
            brief: env::var_os(BRIEF_RUN).is_some(),
            scene: None,
            scenes: Vec::new(),
            files: Files::default(),
        }))
    }
}

pub struct Page {
    target: Target,
    title: String,
    /// The page's own words in another language: a JSON object.
    words: Option<String>,
    brief: bool,
    /// The current run, and the earlier ones as JSON.
    scene: Option<Scene>,
    scenes: Vec<String>,
    /// The sources that the runs name.
    files: Files,
}

impl Page {
    /// Begins a run.
    pub fn run(&mut self, sources: Sources) {
        self.begin_run(String::new(), sources, Story::default());
    }

    /// Begins a run of many clients.
    pub fn run_of_clients(&mut self, title: String, sources: Sources) {
        self.begin_run(title, sources, Story::of_clients());
    }

    fn begin_run(&mut self, title: String, sources: Sources, story: Story) {
        self.end_run();
        self.scene = Some(Scene::new(title, sources, story, self.limits()));
    }

    /// The file that it is written to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    pub fn is_brief(&self) -> bool {
        self.brief
    }

    fn limits(&self) -> &'static Limits {
        if self.brief { &BRIEF } else { &WHOLE }
    }

    fn end_run(&mut self) {
        if let Some(mut scene) = self.scene.take() {
            self.scenes.push(scene.json(&mut self.files));
        }
    }

    /// Shows two runs side by side: their names, their programs if they are ours, and their events.
    pub fn compare(
        &mut self,
        title: &str,
        names: [&str; 2],
        programs: [Option<&str>; 2],
        runs: [Marked; 2],
    ) {
        let mut both = Vec::new();
        for (name, run) in names.into_iter().zip(runs) {
            let mut scene = Scene::new(
                name.to_owned(),
                Sources::of(programs),
                Story::default(),
                self.limits(),
            );
            for (side, entry, mark) in run {
                scene.mark(side, &entry, mark);
                scene.traced(side as usize, side, entry);
            }
            both.push(scene.json(&mut self.files));
        }
        let both = array(both.into_iter());
        let scene = object(&[("title", text(title)), ("both", both)]);
        self.scenes.push(scene);
    }

    /// Takes an entry of a side's trace.
    pub fn traced(&mut self, source: usize, side: Side, entry: Entry) {
        if let Some(scene) = &mut self.scene {
            scene.traced(source, side, entry);
        }
    }

    /// Writes the page.
    pub fn end(mut self) -> Result<(), String> {
        self.end_run();
        let own = self.words.as_deref().unwrap_or("{}");
        let data = object(&[
            ("title", text(&self.title)),
            ("own", own.to_owned()),
            ("scenes", array(self.scenes.into_iter())),
            ("files", self.files.json()),
        ]);
        let page = include_str!("page/page.html");
        // Only these scripts and styles run: the page's security policy names their hashes, and no
        // script in the data can have one of them.
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        let page = &page.replace("NONCE", &format!("{:016x}", hasher.finish()));
        let parts = [
            ("/*CSS*/", include_str!("page/page.css").to_owned()),
            ("/*WORDS*/", harmless(words::WORDS)),
            ("/*DATA*/", harmless(&data)),
            ("/*JS*/", include_str!("page/page.js").to_owned()),
        ];
        let mut whole = String::new();
        let mut rest = page.as_str();
        for (mark, part) in parts {
            let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
            whole.push_str(before);
            whole.push_str(&part);
            rest = after;
        }
        whole.push_str(rest);
        self.target.write(whole.as_bytes())
    }
}

/// JSON for a page: `<` occurs only in strings and is escaped there, so that no markup can begin or
/// end.
fn harmless(json: &str) -> String {
    let mut page = String::new();
    for c in json.chars() {
        if c == '<' || (c > '~' && acts_on_a_terminal(c)) {
            escape(c, &mut page);
        } else {
            page.push(c);
        }
    }
    page
}
