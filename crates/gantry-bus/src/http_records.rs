//! Records to a control plane elsewhere.

use crate::control_plane::{ControlPlane, Question};
use crate::records::{Records, Refused, Segment};
use gantry_runtime::errors::sentence;
use http::{Method, StatusCode};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends segments to `POST /api/svc/v1/gateway/records`.
pub struct HttpRecords(pub ControlPlane);

impl Records for HttpRecords {
    async fn accept(&self, segment: Segment) -> Result<(), Refused> {
        let question = Question {
            method: Method::POST,
            path_and_query: format!("/api/svc/v1/gateway/records?segment={}", segment.name),
            body: segment.body,
            timeout: TIMEOUT,
        };
        let answer = self.0.ask(question).await;
        let status = answer.map_err(|error| Refused::ForNow(sentence(&error)))?.status;
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::BAD_REQUEST => {
                Err(Refused::ForGood("the control plane refuses the segment".to_owned()))
            }
            status => Err(Refused::ForNow(format!("the control plane answered {status}"))),
        }
    }
}
