//! Two kinds of plot, as SVG by hand: readable on light and dark pages, without any script.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.quiet{fill:#59636e}.grid{stroke:#d1d9e0;stroke-width:1}.a{stroke:#0969da}\
    .b{stroke:#bc4c00}.a,.b{fill:none;stroke-width:2.5}.dash{stroke-dasharray:6 4}.bar{fill:#0969da}.ta{fill:#0969da}.tb{fill:#bc4c00}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.quiet{fill:#9198a1}.grid{stroke:#3d444d}.a{stroke:#4493f8}.b{stroke:#f0883e}.bar{fill:#4493f8}\
    .ta{fill:#4493f8}.tb{fill:#f0883e}}";

fn page(title: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"{title}\"><style>{STYLE}</style><text x=\"0\" y=\"16\" font-weight=\"600\">{title}</text>{body}</svg>\n"
    )
}

/// Named numbers, the greatest first.
pub(super) fn bars(title: &str, of: &[(String, u64)]) -> String {
    let most = of.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let mut sorted = of.to_vec();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut body = String::new();
    let mut y = 34.0;
    for (name, count) in &sorted {
        let length = (ratio(*count, most) * 330.0).max(1.0);
        let _ = write!(
            body,
            "<text x=\"310\" y=\"{:.0}\" text-anchor=\"end\">{name}</text><rect class=\"bar\" x=\"320\" y=\"{y:.0}\" width=\"{length:.1}\" \
             height=\"18\" rx=\"2\"/><text class=\"quiet\" x=\"{:.1}\" y=\"{:.0}\">{count}</text>",
            y + 14.0,
            328.0 + length,
            y + 14.0
        );
        y += 26.0;
    }
    page(title, y + 6.0, &body)
}

/// A line: its class, its name, its points.
pub(super) struct Line {
    /// `a` or `b`, with `dash` or without.
    pub(super) class: &'static str,
    /// Stands beside its end.
    pub(super) name: String,
    /// From left to right.
    pub(super) points: Vec<(f64, f64)>,
}

/// What an axis says, where.
pub(super) struct Axis {
    /// What is measured.
    pub(super) name: &'static str,
    /// Its ends.
    pub(super) ends: (f64, f64),
    /// Values and what is written there.
    pub(super) marks: Vec<(f64, String)>,
}

/// Lines over two axes.
pub(super) fn lines(title: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let (left, right, top, bottom) = (58.0, WIDTH - 190.0, 34.0, 300.0);
    let place = |axis: &Axis, at: f64, from: f64, to: f64| from + (at - axis.ends.0) / (axis.ends.1 - axis.ends.0) * (to - from);
    let mut body = String::new();
    for (at, text) in &y.marks {
        let y = place(y, *at, bottom, top);
        let _ = write!(
            body,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"quiet\" x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{text}</text>",
            left - 8.0,
            y + 4.0
        );
    }
    for (at, text) in &x.marks {
        let x = place(x, *at, left, right);
        let _ = write!(body, "<text class=\"quiet\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>", bottom + 18.0);
    }
    let _ = write!(body, "<text class=\"quiet\" x=\"{left}\" y=\"{}\">{}; upwards: {}</text>", bottom + 40.0, x.name, y.name);
    // Names that would lie on one another move down.
    let mut ends: Vec<(f64, &Line)> =
        lines.iter().map(|line| (line.points.last().map_or(bottom, |(_, at)| place(y, *at, bottom, top)), line)).collect();
    ends.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let mut free = top;
    for (at, line) in ends {
        let points: Vec<String> =
            line.points.iter().map(|(at_x, at_y)| format!("{:.1},{:.1}", place(x, *at_x, left, right), place(y, *at_y, bottom, top))).collect();
        let label = at.max(free);
        free = label + 17.0;
        let colour = if line.class.starts_with('a') { "ta" } else { "tb" };
        let _ = write!(
            body,
            "<polyline class=\"{}\" points=\"{}\"/><text class=\"{colour}\" x=\"{}\" y=\"{:.1}\">{}</text>",
            line.class,
            points.join(" "),
            right + 8.0,
            label + 4.0,
            line.name
        );
    }
    page(title, bottom + 52.0, &body)
}

fn ratio(part: u64, of: u64) -> f64 {
    float(part) / float(of)
}

/// Counts here are far below what a float holds exactly.
pub(super) fn float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_are_whole() {
        let bars = bars("made up", &[("one".to_owned(), 1), ("nine".to_owned(), 9)]);
        assert!(bars.find(">9<").unwrap() < bars.find(">1<").unwrap(), "the greatest first");
        let axis = || Axis { name: "n", ends: (0.0, 1.0), marks: vec![(0.5, "half".to_owned())] };
        let line = Line { class: "a dash", name: "made up line".to_owned(), points: vec![(0.0, 0.0), (1.0, 1.0)] };
        let plot = lines("made up", &axis(), &axis(), &[line]);
        assert!(plot.contains("points=\"58.0,300.0 570.0,34.0\"") && plot.contains("made up line"), "{plot}");
        for plot in [bars, plot] {
            assert!(plot.starts_with("<svg") && plot.ends_with("</svg>\n") && plot.contains("prefers-color-scheme"));
        }
    }
}
