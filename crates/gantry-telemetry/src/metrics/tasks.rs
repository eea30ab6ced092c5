//! How background work does, as metrics. The label is the name of the work, which the program has.

use super::text::Page;
use crate::names::{self, Metric};
use gantry_runtime::reconcile::{State, Status};

/// What a metric says of a task.
type Reading = fn(&Status) -> u64;

const METRICS: [(Metric, Reading); 4] = [
    (names::TASK_RUNS, |status| status.runs),
    (names::TASK_FAILURES, |status| status.failures),
    (names::TASK_FAILING, |status| {
        u64::from(status.failures_in_a_row > 0 || status.state == State::Ended)
    }),
    (names::TASK_SUCCESS, |status| status.last_success_ms.unwrap_or(0) / 1000),
];

pub(super) fn render(statuses: &[Status], page: &mut Page) {
    for (metric, value) in METRICS {
        page.head(metric);
        for status in statuses {
            page.sample(metric.name, &[("task", status.name)], value(status));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_has_its_numbers() {
        let good = Status {
            name: "good",
            state: State::Waiting,
            period_ms: 1,
            runs: 3,
            failures: 1,
            failures_in_a_row: 0,
            last_run_ms: None,
            last_success_ms: Some(5_999),
            last_error: Some("a host".to_owned()),
            last_error_ms: None,
        };
        let bad =
            Status { name: "bad", failures_in_a_row: 1, last_success_ms: None, ..good.clone() };
        let ended = Status { name: "ended", state: State::Ended, ..good.clone() };
        let mut page = Page::default();
        render(&[good, bad, ended], &mut page);
        let page = page.into_string();
        for line in [
            "gantry_task_runs_total{task=\"good\"} 3",
            "gantry_task_failures_total{task=\"good\"} 1",
            "gantry_task_failing{task=\"good\"} 0",
            "gantry_task_failing{task=\"bad\"} 1",
            "gantry_task_failing{task=\"ended\"} 1",
            "gantry_task_last_success_timestamp_seconds{task=\"good\"} 5",
            "gantry_task_last_success_timestamp_seconds{task=\"bad\"} 0",
        ] {
            assert!(page.contains(&format!("{line}\n")), "{line}: {page}");
        }
        assert!(!page.contains("a host"), "texts of errors are for the list of tasks");
    }
}
