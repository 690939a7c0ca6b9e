//! The rows, their targets, and the table for the README.

use std::fmt;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) target: Target,
    pub(crate) measured: Measured,
}

/// What must hold.
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// For information.
    None,
}

/// What was found.
pub(crate) enum Measured {
    /// The program's number divided by the bare handler's, once for each pair of runs.
    Ratios(Vec<f64>),
    /// In bytes; beside it the bare handler's, where that tells something.
    Bytes(u64, Option<u64>),
}

impl Row {
    pub(crate) fn is_met(&self) -> bool {
        let value = self.measured.value();
        match self.target {
            Target::AtLeast(least) => value >= least,
            Target::AtMost(most) => value <= most,
            Target::None => true,
        }
    }
}

impl Measured {
    /// The median of the ratios, or megabytes.
    fn value(&self) -> f64 {
        match self {
            Self::Ratios(ratios) => median(ratios),
            Self::Bytes(bytes, _) => megabytes(*bytes),
        }
    }

    fn unit(&self) -> &'static str {
        match self {
            Self::Ratios(_) => "×",
            Self::Bytes(..) => "MB",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.measured.unit();
        write!(f, "| {} | ", self.what)?;
        match self.target {
            Target::AtLeast(least) => write!(f, "≥ {least} {unit} | ")?,
            Target::AtMost(most) => write!(f, "≤ {most} {unit} | ")?,
            Target::None => f.write_str("| ")?,
        }
        match &self.measured {
            Measured::Ratios(ratios) => {
                let (least, most) = ratios.iter().fold((f64::MAX, 0_f64), |(least, most), ratio| (least.min(*ratio), most.max(*ratio)));
                write!(f, "{:.2} × ({least:.2} to {most:.2}) |", median(ratios))
            }
            Measured::Bytes(bytes, None) => write!(f, "{:.1} MB |", megabytes(*bytes)),
            Measured::Bytes(bytes, Some(bare)) => write!(f, "{:.1} MB (bare: {:.1}) |", megabytes(*bytes), megabytes(*bare)),
        }
    }
}

/// Of at least one number.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

#[expect(clippy::cast_precision_loss, reason = "a file and a process are smaller than what an f64 can count")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
