//! `tapctl edit`: a resource in the user's own editor, and back to the gate.

use std::path::{Path, PathBuf};
use std::process::Command;

use similar::TextDiff;
use tapgate_api::AdminAction;

use super::resources::{Selector, documents, get};
use super::{Context, admin, output};
use crate::error::{Act as _, Failure, Result, printable};
use crate::files;

/// Fetches, edits, and puts. An edit that the gate refuses is kept, and it is said where.
pub async fn edit(context: &Context, selector: &Selector) -> Result<()> {
    if !selector.is_one() {
        return Err(Failure::new("edit takes one resource").advise("use cap or KIND/NAME"));
    }
    let before = documents(&get(context, selector).await?);
    let folder = tempfile::Builder::new()
        .prefix("tapctl-edit-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir()
        .act(|| "a folder for the edit cannot be made".to_owned())?;
    let file = folder.path().join(format!("{}.yaml", selector.kind));
    files::write_private(&file, before.as_bytes())?;
    run_editor(&file)?;
    let after = std::fs::read_to_string(&file).act(|| format!("{} cannot be read", file.display()))?;
    if after.trim() == before.trim() {
        return output::write("no changes were made\n");
    }
    eprint!("{}", printable(&difference(&before, &after)));
    match admin::change(context, &AdminAction::PutResources { yaml: after, replace: true }).await {
        Ok(outcome) => output::write(&admin::lines(&outcome)),
        Err(failure) => {
            let kept: PathBuf = folder.keep();
            let kept = kept.join(format!("{}.yaml", selector.kind));
            eprintln!("The edit is kept in {}; tapctl create --force -f puts it again.", kept.display());
            Err(failure)
        }
    }
}

/// What the edit changes, as a unified difference: seen before the tap that signs it.
fn difference(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after).unified_diff().context_radius(3).header("now", "edited").to_string()
}

/// `$VISUAL`, else `$EDITOR`, else `vi`; it may be a command with arguments, so a shell reads it.
fn run_editor(file: &Path) -> Result<()> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(file)
        .status()
        .act(|| format!("the editor {editor} cannot be started"))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("the editor {editor} has failed, so nothing was changed")).advise("set EDITOR"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_shown_by_its_changed_lines() {
        let difference = difference("a: 1\nb: 2\n", "a: 1\nb: 3\n");
        assert_eq!(difference, "--- now\n+++ edited\n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n+b: 3\n");
    }
}
