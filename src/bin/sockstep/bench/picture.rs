//! Curves over the number of connections as an SVG picture, light or dark as its viewer prefers.
//! Text from a command line is escaped.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

use std::fmt::Write; // writing into memory does not fail

use crate::draw::xml::escape;
use crate::lectures::crossings::grouped;

/// How many connections.
pub const COUNTS: [u16; 4] = [1, 8, 64, 512];

/// A server's name and its values over each number of connections.
pub struct Curve {
    pub name: String,
    /// Relative to the reference; `None` if the server cannot have that many connections.
    pub round_trips: Vec<Option<f64>>,
    pub private_kib: Vec<Option<f64>>,
}

const WIDTH: f64 = 1200.0;
/// A curve's colours, on a light and on a dark background.
const COLOURS: [[&str; 2]; 10] = [
    ["#5c5c5c", "#b8b8b8"],
    ["#b3261e", "#ff8a80"],
    ["#0b5c8a", "#7cc4f0"],
    ["#8a4b00", "#f0b060"],
    ["#00695c", "#4dd0b8"],
    ["#6a1b9a", "#ce93d8"],
    ["#ad1457", "#f48fb1"],
    ["#1a1a1a", "#ffffff"],
    ["#33691e", "#aed581"],
    ["#283593", "#9fa8da"],
];
/// A mark for points, drawn around 0,0: curves can be told apart without colours too.
const MARKS: [&str; 5] = [
    "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z",
    "M-4.5,-4.5h9v9h-9z",
    "M0,-6l6,11h-12z",
    "M0,-6.5l6.5,6.5l-6.5,6.5l-6.5,-6.5z",
    "M0,6l6,-11h-12z",
];

/// A part of the picture with two axes.
struct Panel {
    left: f64,
    title: &'static str,
    /// Its horizontal lines, from the bottom: the position from 0 to 1, and the label.
    lines: Vec<(f64, String)>,
    /// The points of each curve: the positions from 0 to 1, and the last value as text.
    points: Vec<(Vec<Option<f64>>, String)>,
}

const TOP: f64 = 120.0;
const HIGH: f64 = 400.0;
const WIDE: f64 = 330.0;
/// Between two labels.
const LINE: f64 = 21.0;

pub fn picture(curves: &[Curve], notes: &[String]) -> String {
    let below = TOP + HIGH + 75.0;
    let height = below + 20.0 * notes.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"t d\" \
         font-family=\"system-ui, sans-serif\" font-size=\"16\">\n\
         <title id=\"t\">Designs of an echo server under the same load</title>\n<desc id=\"d\">{}</desc>\n<style>\n",
        escape(&in_words(curves))
    );
    svg += ".paper { fill: #fff } text { fill: #1a1a1a } .pale { fill: #5c5c5c } .line { stroke: #d5d5d5 }\n";
    svg += &style(0);
    svg += "@media (prefers-color-scheme: dark) {\n\
            .paper { fill: #16181b } text { fill: #eee } .pale { fill: #b0b0b0 } .line { stroke: #3a3e44 }\n";
    svg += &style(1);
    svg += "}\n.curve { fill: none; stroke-width: 2.5; stroke-linejoin: round } .lead { fill: none; stroke-width: 1; \
            stroke-dasharray: 2 3 }\n</style>\n";
    let _ = writeln!(
        svg,
        "<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text x=\"60\" y=\"48\" font-size=\"26\" font-weight=\"600\">Designs of an echo server under the same load</text>"
    );
    for panel in [round_trips(curves), memory(curves)] {
        panel.draw(curves, &mut svg);
    }
    for (at, note) in notes.iter().enumerate() {
        let y = below + 20.0 * at as f64;
        let mut note = note.clone();
        if note.chars().count() > 150 {
            note = note.chars().take(149).chain(['…']).collect();
        }
        let _ = writeln!(
            svg,
            "<text class=\"pale\" x=\"60\" y=\"{y}\" font-size=\"14\">{}</text>",
            escape(&note)
        );
    }
    svg + "</svg>\n"
}

fn style(ground: usize) -> String {
    let mut text = String::new();
    for (at, colours) in COLOURS.iter().enumerate() {
        let colour = colours[ground];
        let _ = writeln!(
            text,
            ".c{at} {{ fill: {colour}; stroke: {colour} }} text.c{at} {{ stroke: none }}"
        );
    }
    text
}

fn round_trips(curves: &[Curve]) -> Panel {
    let all = curves
        .iter()
        .flat_map(|curve| curve.round_trips.iter().flatten());
    let most = all
        .copied()
        .filter(|value| value.is_finite())
        .fold(1.2, f64::max);
    let step = [0.2, 0.5, 1.0, 2.0, 5.0]
        .into_iter()
        .find(|step| most / step <= 8.0);
    let step = step.unwrap_or(most / 4.0);
    let count = (most / step - 1e-9).ceil();
    let top = count * step;
    let lines = (0..=count as u32).map(|at| {
        let value = f64::from(at) * step;
        (value / top, format!("{value:.1}"))
    });
    let points = curves.iter().map(|curve| {
        let places = curve.round_trips.iter().map(|value| Some((*value)? / top));
        (places.collect(), written(&curve.round_trips, 2))
    });
    Panel {
        left: 60.0,
        title: "Round trips a second, epoll = 1",
        lines: lines.collect(),
        points: points.collect(),
    }
}

/// Over powers of ten.
fn memory(curves: &[Curve]) -> Panel {
    let all: Vec<f64> = curves
        .iter()
        .flat_map(|curve| curve.private_kib.iter().flatten())
        .map(|kib| kib.max(1.0).log10())
        .collect();
    let least = all
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min)
        .min(9.0)
        .floor();
    let most = all.iter().copied().fold(least + 1.0, f64::max).ceil();
    let place = |kib: f64| (kib.max(1.0).log10() - least) / (most - least);
    let lines = (least as i32..=most as i32).map(|power| {
        let kib = 10f64.powi(power);
        (place(kib), grouped(kib.round_ties_even() as u64))
    });
    let points = curves.iter().map(|curve| {
        let places = curve.private_kib.iter().map(|kib| kib.map(place));
        (
            places.collect(),
            last(&curve.private_kib)
                .map_or(String::new(), |kib| grouped(kib.round_ties_even() as u64)),
        )
    });
    Panel {
        left: 670.0,
        title: "Private memory of the server, KiB",
        lines: lines.collect(),
        points: points.collect(),
    }
}

/// The last value of a curve.
fn last(values: &[Option<f64>]) -> Option<f64> {
    values.iter().flatten().last().copied()
}

fn written(values: &[Option<f64>], decimals: usize) -> String {
    last(values).map_or(String::new(), |value| format!("{value:.decimals$}"))
}

impl Panel {
    fn draw(&self, curves: &[Curve], svg: &mut String) {
        let across =
            |at: usize| self.left + 20.0 + (WIDE - 40.0) * at as f64 / (COUNTS.len() - 1) as f64;
        let up = |place: f64| TOP + HIGH * (1.0 - place);
        let (right, middle) = (self.left + WIDE, self.left + WIDE / 2.0);
        let _ = writeln!(
            svg,
            "<g>\n<text x=\"{}\" y=\"92\" font-size=\"19\">{}</text>",
            self.left, self.title
        );
        for (place, text) in &self.lines {
            let y = up(*place);
            let _ = writeln!(
                svg,
                "<path class=\"line\" d=\"M{},{y:.1}H{right}\"/><text class=\"pale\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" \
                 font-size=\"14\">{text}</text>",
                self.left,
                self.left - 8.0,
                y + 5.0
            );
        }
        for (at, count) in COUNTS.iter().enumerate() {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{count}</text>",
                across(at),
                TOP + HIGH + 24.0
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"pale\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">connections</text>",
            TOP + HIGH + 46.0
        );

        let labels = self.labels();
        for (number, ((places, value), label)) in self.points.iter().zip(labels).enumerate() {
            let (colour, mark) = (number % COLOURS.len(), MARKS[number % MARKS.len()]);
            let points: Vec<(f64, f64)> = places
                .iter()
                .enumerate()
                .filter_map(|(at, place)| Some((across(at), up((*place)?))))
                .collect();
            let path: Vec<String> = points
                .iter()
                .map(|(x, y)| format!("{x:.1},{y:.1}"))
                .collect();
            let _ = writeln!(
                svg,
                "<path class=\"c{colour} curve\" d=\"M{}\"/>",
                path.join("L")
            );
            for (x, y) in &points {
                let _ = writeln!(
                    svg,
                    "<path class=\"c{colour}\" d=\"{mark}\" transform=\"translate({x:.1},{y:.1})\"/>"
                );
            }
            let mut name = escape(&curves[number].name);
            if let Some((x, y)) = points.last().filter(|_| points.len() == COUNTS.len()) {
                let (from, to) = (x + 9.0, right + 12.0);
                let _ = writeln!(
                    svg,
                    "<path class=\"c{colour} lead\" d=\"M{from:.1},{y:.1}L{to},{label:.1}\"/>"
                );
            } else {
                name += " at 1";
            }
            let _ = writeln!(
                svg,
                "<path class=\"c{colour}\" d=\"{mark}\" transform=\"translate({},{label:.1})\"/>\
                 <text class=\"c{colour}\" x=\"{}\" y=\"{:.1}\">{name}  {value}</text>",
                right + 22.0,
                right + 34.0,
                label + 5.5
            );
        }
        *svg += "</g>\n";
    }

    /// The position of each curve's label: beside its last point, but moved if labels would
    /// overlap.
    fn labels(&self) -> Vec<f64> {
        let wish = |places: &Vec<Option<f64>>| {
            let last = places.last().copied().flatten();
            TOP + HIGH * (1.0 - last.unwrap_or(-1.0)) // below all others if it has no last point
        };
        let mut order: Vec<(usize, f64)> = self
            .points
            .iter()
            .map(|(places, _)| wish(places))
            .enumerate()
            .collect();
        order.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        let mut labels = vec![0.0; order.len()];
        let mut room = TOP + HIGH + 10.0;
        for (left, (at, wish)) in order.iter().enumerate().rev() {
            let above = TOP - 10.0 + LINE * left as f64; // room for the labels above it
            room = wish.min(room).max(above);
            labels[*at] = room;
            room -= LINE;
        }
        labels
    }
}

/// The picture in words, for readers who cannot see it.
fn in_words(curves: &[Curve]) -> String {
    let all: Vec<String> = curves
        .iter()
        .map(|curve| {
            let (ratio, kib) = (
                written(&curve.round_trips, 2),
                written(&curve.private_kib, 0),
            );
            format!(
                "{}: {ratio} of epoll's round trips and {kib} KiB",
                curve.name
            )
        })
        .collect();
    format!(
        "Over the most connections that each was measured with: {}.",
        all.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, last: f64) -> Curve {
        Curve {
            name: name.to_owned(),
            round_trips: vec![Some(1.0), Some(0.9), Some(0.8), Some(last)],
            private_kib: vec![Some(100.0), Some(200.0), Some(900.0), Some(90_000.0 * last)],
        }
    }

    #[test]
    fn what_a_command_says_stands_as_text() {
        let svg = picture(
            &[curve("<b>&\"\u{1b}", 0.5)],
            &["</text><script>".to_owned()],
        );
        assert!(svg.contains("&lt;b&gt;&amp;&quot;\u{fffd}"), "{svg}");
        assert!(
            !svg.contains("<script>") && !svg.contains('\u{1b}'),
            "{svg}"
        );
    }

    #[test]
    fn labels_do_not_cover_each_other() {
        let curves: Vec<Curve> = (0..14)
            .map(|at| curve(&at.to_string(), 0.5 + f64::from(at % 3) / 1000.0))
            .collect();
        let mut labels = round_trips(&curves).labels();
        labels.sort_by(f64::total_cmp);
        for pair in labels.windows(2) {
            assert!(pair[1] - pair[0] >= LINE - 0.01, "{labels:?}");
        }
    }
}
