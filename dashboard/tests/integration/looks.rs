//! The style sheet: text can be read in both themes.

use crate::support::Site;

type Colour = [f64; 3];

/// Channels of `#rrggbb`, 0-1.
fn colour(hex: &str) -> Colour {
    let channel = |at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
    [channel(1), channel(3), channel(5)]
}

/// Relative luminance, as WCAG 2 defines it.
fn luminance(colour: Colour) -> f64 {
    let linear = colour.map(|value| {
        if value <= 0.03928 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(a: Colour, b: Colour) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// `share` of `above` over `below`.
fn mix(above: Colour, below: Colour, share: f64) -> Colour {
    std::array::from_fn(|at| above[at] * share + below[at] * (1.0 - share))
}

#[tokio::test]
async fn every_colour_of_text_can_be_read_on_every_ground() {
    let css = Site::new().get("/assets/fleet.css").await.ok().text;
    let pairs = css.lines().filter_map(|line| {
        let (name, rest) = line
            .trim()
            .strip_prefix("--")?
            .split_once(": light-dark(")?;
        let (light, dark) = rest.strip_suffix(");")?.split_once(", ")?;
        Some((name, [colour(light), colour(dark)]))
    });
    let (grounds, texts): (Vec<_>, Vec<_>) = pairs
        .filter(|(name, _)| !["line", "edge"].contains(name))
        .partition(|(name, _)| ["ground", "panel", "raised"].contains(name));
    assert_eq!((grounds.len(), texts.len()), (3, 9), "the sheet's palette");
    for theme in 0..2 {
        for (ground, below) in &grounds {
            for (text, above) in &texts {
                let (above, below) = (above[theme], below[theme]);
                let plain = contrast(above, below);
                assert!(plain >= 4.5, "{text} on {ground}: {plain:.2}");
                // Badges and chips stand on a tenth of their own colour, on a panel.
                let chip = contrast(above, mix(above, below, 0.1));
                assert!(
                    *ground != "panel" || chip >= 4.5,
                    "{text} in a chip: {chip:.2}"
                );
            }
        }
    }
}
