//! What an administrator's act changes, line by line: the resources of now beside those that would be.

use similar::TextDiff;
use tapgate_api::{AdminAction, BrowserChange};
use tapgate_audit::Change as What;

use crate::Authority;
use crate::ceremony::{Pending, Work};
use crate::change::{Plan, Step};
use crate::limits::DETAILS_MAX;
use crate::token;

/// How many unchanged lines stand around a change.
const AROUND: usize = 3;

impl Authority {
    /// The changes of a pending act; none where it writes no resource, or can't be done any more.
    pub(super) fn changes(&self, pending: &Pending) -> Vec<BrowserChange> {
        let Pending::Tap(tap) = pending else { return Vec::new() };
        let Work::Admin { body, .. } = &tap.work else { return Vec::new() };
        let action = token::from_text(body).and_then(|body| serde_json::from_slice(&body).ok());
        let plan = match action {
            Some(AdminAction::PutResources { yaml, replace }) => self.plan_put("<stdin>", &yaml, replace),
            Some(AdminAction::DeleteResource { kind, name }) => self.plan_delete(&kind, &name),
            Some(AdminAction::Invite { .. } | AdminAction::RotateAuthority { .. }) | None => return Vec::new(),
        };
        plan.map(|plan| self.differences(&plan)).unwrap_or_default()
    }

    fn differences(&self, plan: &Plan) -> Vec<BrowserChange> {
        let Ok(now) = self.documents() else { return Vec::new() };
        let mut left = DETAILS_MAX;
        let difference = |step: &Step| {
            let old = now.stored(step.kind, &step.name).map_or("", |document| document.yaml.as_str());
            let new = step.yaml().unwrap_or_default();
            let mut diff =
                TextDiff::from_lines(&ended(old), &ended(new)).unified_diff().context_radius(AROUND).to_string();
            if diff.len() > left {
                diff = format!("@@ {} bytes of changes, too many to be shown @@\n", diff.len());
            }
            left = left.saturating_sub(diff.len());
            BrowserChange { title: title(step), diff }
        };
        plan.steps.iter().map(difference).collect()
    }
}

/// With one line's end behind it, so that its absence is no difference.
fn ended(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

fn title(step: &Step) -> String {
    let what = match step.what {
        What::Created => "create",
        What::Updated => "update",
        What::Deleted => "delete",
    };
    format!("{what} {} \"{}\"", step.kind, step.name)
}
