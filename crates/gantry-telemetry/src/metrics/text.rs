//! Writes Prometheus' text format 0.0.4. Numbers are printed exactly, from integers.

use super::histogram::Histogram;
use crate::names::Metric;
use std::fmt::{Display, Write};

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page in the making. Writing to a string cannot fail, so results are ignored.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// `# HELP` and `# TYPE`; the samples of the metric have to follow directly.
    pub(super) fn head(&mut self, metric: Metric) {
        let (name, help) = (metric.name, metric.help);
        let kind = metric.kind.as_str();
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A metric without labels.
    pub(super) fn single(&mut self, metric: Metric, value: impl Display) {
        self.head(metric);
        self.sample(metric.name, &[], value);
    }

    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.labelled(name, "", labels, None);
        let _ = writeln!(self.0, " {value}");
    }

    /// All lines of a histogram; `unit_us` is the unit of the page in microseconds.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        labels: Labels<'_>,
        values: &Histogram,
        unit_us: u64,
    ) {
        for (bound_us, count) in values.cumulative() {
            let bound = Fixed { value: bound_us, unit: unit_us }.to_string();
            self.labelled(name, "_bucket", labels, Some(&bound));
            let _ = writeln!(self.0, " {count}");
        }
        let count = values.count();
        self.labelled(name, "_bucket", labels, Some("+Inf"));
        let _ = writeln!(self.0, " {count}");
        self.labelled(name, "_sum", labels, None);
        let _ = writeln!(self.0, " {}", Fixed { value: values.sum_us(), unit: unit_us });
        self.labelled(name, "_count", labels, None);
        let _ = writeln!(self.0, " {count}");
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn labelled(&mut self, name: &str, suffix: &str, labels: Labels<'_>, le: Option<&str>) {
        self.0.push_str(name);
        self.0.push_str(suffix);
        let mut open = '{';
        for (label, value) in labels.iter().copied().chain(le.map(|le| ("le", le))) {
            self.0.push(open);
            self.0.push_str(label);
            self.0.push_str("=\"");
            self.escaped(value);
            self.0.push('"');
            open = ',';
        }
        if open == ',' {
            self.0.push('}');
        }
    }

    fn escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
    }
}

/// `value / unit` as a decimal, `unit` being a power of ten: exact, without trailing zeros.
pub(super) struct Fixed {
    pub(super) value: u64,
    pub(super) unit: u64,
}

impl Display for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = self.unit.max(1);
        write!(f, "{}", self.value / unit)?;
        let rest = self.value % unit;
        if rest == 0 {
            return Ok(());
        }
        let digits = unit.ilog10() as usize;
        let fraction = format!("{rest:0digits$}");
        write!(f, ".{}", fraction.trim_end_matches('0'))
    }
}
