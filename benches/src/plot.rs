//! A figure's distribution as an SVG: for each side one curve, the value below which each share of the batches lies.

use std::fmt::Write as _;

/// How many shares of a distribution are kept: every twentieth, and both ends.
pub(crate) const SHARES: usize = 21;

/// The values below which 0 %, 5 %, … and 100 % lie.
pub(crate) type Values = [f64; SHARES];

/// The whole picture.
const WIDTH: f64 = 520.0;
/// The same.
const HEIGHT: f64 = 260.0;
/// What is left of the curves: the values.
const LEFT: f64 = 84.0;
/// What is above them: the title and the names.
const TOP: f64 = 52.0;
/// What is right of them.
const RIGHT: f64 = 16.0;
/// What is below them: the shares.
const BOTTOM: f64 = 34.0;

/// How many lines across there are above the lowest.
const LINES: u32 = 4;

/// Colours that stand apart on light and on dark, also to those who see no red.
const COLOURS: [&str; 2] = ["#2a78c2", "#d9822b"];

/// The picture; `label` writes a value with its unit.
pub(crate) fn svg(title: &str, sides: &[(&str, &Values)], label: impl Fn(f64) -> String) -> String {
    let all = || sides.iter().flat_map(|(_, values)| values.iter().copied());
    let most = all().fold(f64::MIN_POSITIVE, f64::max);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>{title}</title>\n<style>text{{fill:#333}}.g{{stroke:#ccc}}@media (prefers-color-scheme: \
         dark){{text{{fill:#ddd}}.g{{stroke:#555}}}}</style>\n<text x=\"{LEFT}\" y=\"18\" font-weight=\"bold\">{title}</text>\n",
        title = escaped(title)
    );
    let x = |share: f64| LEFT + (WIDTH - LEFT - RIGHT) * share;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / most);
    // Writing to a String does not fail.
    for line in 0..=LINES {
        let value = most * f64::from(line) / f64::from(LINES);
        let (at, left, right) = (y(value), LEFT - 6.0, WIDTH - RIGHT);
        writeln!(
            text,
            "<path class=\"g\" d=\"M{LEFT} {at:.1}H{right}\"/><text x=\"{left}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            at + 4.0,
            escaped(&label(value))
        )
        .unwrap_or_default();
    }
    for percent in [0_u32, 25, 50, 75, 100] {
        let (at, below) = (x(f64::from(percent) / 100.0), HEIGHT - BOTTOM + 18.0);
        writeln!(text, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{percent} %</text>")
            .unwrap_or_default();
    }
    let mut named = LEFT;
    for ((name, values), colour) in sides.iter().zip(COLOURS) {
        let steps = f64::from(u32::try_from(SHARES.saturating_sub(1)).unwrap_or(1));
        let points =
            (0_u32..).zip(values.iter()).map(|(n, value)| format!("{:.1},{:.1}", x(f64::from(n) / steps), y(*value)));
        let points: Vec<String> = points.collect();
        writeln!(
            text,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n<rect x=\"{named}\" y=\"28\" \
             width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"38\">{}</text>",
            points.join(" "),
            named + 14.0,
            escaped(name)
        )
        .unwrap_or_default();
        named += 34.0 + 7.0 * f64::from(u32::try_from(name.chars().count()).unwrap_or_default());
    }
    text.push_str("</svg>\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_holds_its_curves() {
        let mut low = [100.0; SHARES];
        low[SHARES - 1] = 200.0;
        let high = [400.0; SHARES];
        let text = svg("a < b & c", &[("the gate", &low), ("\"direct\"", &high)], |value| format!("{value:.0} ns"));
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"), "{text}");
        assert!(text.contains("<title>a &lt; b &amp; c</title>") && text.contains("&quot;direct&quot;"), "{text}");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("<polyline")).collect();
        assert_eq!(lines.len(), 2);
        // The highest value is at the top, a quarter of it a quarter above the bottom; each end at its side.
        assert!(lines[1].contains("points=\"84.0,52.0 ") && lines[1].contains(" 504.0,52.0\""), "{}", lines[1]);
        assert!(lines[0].contains("points=\"84.0,182.5 ") && lines[0].contains(" 504.0,139.0\""), "{}", lines[0]);
        assert!(text.contains(">0 ns<") && text.contains(">400 ns<") && text.contains(">100 %<"), "{text}");
        assert_eq!(text.matches('<').count(), text.matches('>').count());
    }

    #[test]
    fn nothing_but_zeros_is_a_picture_too() {
        let text = svg("w", &[("s", &[0.0; SHARES])], |value| value.to_string());
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
