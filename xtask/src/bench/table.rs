//! Prints the results as the Markdown table that the README shows.

use super::machine::Machine;
use super::plan::{BUSY_POLL_US, Contender, LINES, Line, Plan, Target};
use super::results::{Results, median};
use super::rounds::STOLEN_MOST;
use std::fmt::Write as _;

/// Cores that other programs may keep busy before latencies are disturbed.
const OTHERS_MOST: f64 = 0.1;

/// The whole text.
pub(super) fn print(
    machine: &Machine,
    plan: &Plan,
    results: &Results,
) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "| | direct | pass-through | nginx | Gantry | Gantry : pass-through | target | reached |\n\
         |---|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for line in LINES {
        print_line(&mut text, line, results)?;
    }
    writeln!(text, "\n{}.", machine.describe())?;
    print_notes(&mut text, plan, results)?;
    Ok(text)
}

fn print_line(text: &mut String, line: &Line, results: &Results) -> std::fmt::Result {
    write!(text, "| {} |", line.label)?;
    for contender in Contender::ALL {
        let figure = results.median(line.row, contender);
        let figure = figure.map_or("-".to_owned(), |figure| number(figure, line.decimals));
        write!(text, " {figure} |")?;
    }
    let (ratio, target) = (ratio(line, results), wanted(line.target));
    let reached = reached(line, results).map_or("-", |yes| if yes { "yes" } else { "**no**" });
    writeln!(text, " {ratio} | {target} | {reached} |")
}

/// Ratio of the medians, and in brackets the lowest and highest ratio of a round.
fn ratio(line: &Line, results: &Results) -> String {
    let Some(whole) = ratio_of_medians(line, results) else { return "-".to_owned() };
    let ours = results.samples(line.row, Contender::Gantry);
    let theirs = results.samples(line.yardstick, Contender::PassThrough);
    let mut each: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    each.sort_by(f64::total_cmp);
    match (each.first(), each.last()) {
        (Some(least), Some(most)) if each.len() > 1 => {
            format!("{whole:.2} ({least:.2} to {most:.2})")
        }
        _ => format!("{whole:.2}"),
    }
}

fn ratio_of_medians(line: &Line, results: &Results) -> Option<f64> {
    if !matches!(line.target, Target::Ratio(_)) {
        return None;
    }
    let ours = results.median(line.row, Contender::Gantry)?;
    let theirs = results.median(line.yardstick, Contender::PassThrough)?;
    Some(ours / theirs)
}

fn wanted(target: Target) -> String {
    match target {
        Target::Ratio(most) => format!("≤ {most:.1} ×"),
        Target::Most(most) => format!("≤ {most}"),
        Target::None => "-".to_owned(),
    }
}

fn reached(line: &Line, results: &Results) -> Option<bool> {
    match line.target {
        Target::Ratio(most) => ratio_of_medians(line, results).map(|ratio| ratio <= most),
        Target::Most(most) => {
            results.median(line.row, Contender::Gantry).map(|figure| figure <= most)
        }
        Target::None => None,
    }
}

fn print_notes(text: &mut String, plan: &Plan, results: &Results) -> std::fmt::Result {
    writeln!(
        text,
        "\nMedians of {} rounds. CPU is user and system time of the proxy's process under 64 busy \
         connections, or 200 streams with an event each 10 ms, in each round over {} slices in \
         which the proxies take turns, what they put off to later included; translated rows are \
         divided by the pass-through's plain figure. Added latency is the proxy's less that of the \
         direct way, which its column shows whole, from the moment a request was due; a \
         virtual core that fell asleep takes tens of µs to wake, so it is measured with cores \
         kept awake by idle loops too, and with `busy_poll_us = {BUSY_POLL_US}`, which keeps its \
         core busy while there is traffic. \
         Gantry runs with token check, access check, routing, records and metrics on.",
        plan.rounds, plan.slices
    )?;
    if let Some(bytes) = median(&results.record_bytes) {
        writeln!(text, "\nGantry left about {bytes:.0} bytes of records per request.")?;
    }
    for (contender, why) in &results.absent {
        writeln!(text, "\n**{}: {why}.**", contender.name())?;
    }
    for invalid in &results.invalid {
        writeln!(text, "\n**Invalid: {invalid}.**")?;
    }
    print_disturbance(text, results)
}

/// What else went on in this machine and in its host.
fn print_disturbance(text: &mut String, results: &Results) -> std::fmt::Result {
    let most = results.stolen.iter().copied().fold(0.0, f64::max);
    let above = results.stolen.iter().filter(|share| **share > STOLEN_MOST).count();
    writeln!(
        text,
        "\nThe host took more than {} of the cores' time from {} measurements of CPU time and \
         latency; they were taken again, {} times in all, and the least disturbed count. Of the {} \
         that count, {above} stayed above; the worst lost {}.",
        percent(STOLEN_MOST),
        results.repeated,
        results.repetitions,
        results.stolen.len(),
        percent(most)
    )?;
    let others = median(&results.other_work).unwrap_or_default();
    if others > OTHERS_MOST {
        writeln!(
            text,
            "\n**Other programs kept {others:.1} cores busy: do not quote the latencies.**"
        )?;
    }
    Ok(())
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Digits in groups of three before the point.
fn number(figure: f64, decimals: usize) -> String {
    let text = format!("{figure:.decimals$}");
    let (whole, rest) =
        text.split_at_checked(text.find('.').unwrap_or(text.len())).unwrap_or_default();
    let digits = whole.trim_start_matches('-');
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::super::plan::Row;
    use super::*;

    #[test]
    fn groups_digits() {
        let cases = [
            (0.05, 3, "0.050"),
            (-1234.5, 1, "-1,234.5"),
            (999.0, 0, "999"),
            (1e6, 0, "1,000,000"),
        ];
        for (figure, decimals, expected) in cases {
            assert_eq!(number(figure, decimals), expected);
        }
    }

    #[test]
    fn says_whether_a_target_is_reached() {
        let mut results = Results::default();
        for sample in [20.0, 22.0, 90.0] {
            results.add(Row::Plain, Contender::PassThrough, sample);
            results.add(Row::Plain, Contender::Gantry, sample * 1.5);
            results.add(Row::ChatToMessages, Contender::Gantry, sample * 3.1);
        }
        results.add(Row::Idle, Contender::Gantry, 29.9);
        let mut text = String::new();
        for line in LINES {
            print_line(&mut text, line, &results).unwrap();
        }
        let lines: Vec<&str> = text.lines().collect();
        let starts = |start: &str| *lines.iter().find(|line| line.starts_with(start)).unwrap();
        assert_eq!(
            starts("| CPU per plain"),
            "| CPU per plain request, µs | - | 22.0 | - | 33.0 | 1.50 (1.50 to 1.50) \
             | ≤ 1.5 × | yes |"
        );
        assert!(starts("| CPU per request, chat to").ends_with("| ≤ 3.0 × | **no** |"));
        assert!(starts("| memory when idle").ends_with("| 29.9 | - | ≤ 30 | yes |"));
        assert!(starts("| added p50 at 5").ends_with("| - | - | ≤ 0.1 | - |"));
    }
}
