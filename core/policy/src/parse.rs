//! From YAML to documents: every problem at once, each with its line.

use tapgate_model::ObjectName;

use crate::at::{At, Findings};
use crate::limits::{DOCUMENT_MAX, PROBLEMS_MAX, TEXT_MAX};
use crate::metadata::Metadata;
use crate::resource::{Document, Resource, ResourceKind};
use crate::section::Section;
use crate::split::{Piece, split};
use crate::{
    AppResource, AuthPreference, DbResource, DesktopResource, KubeResource, Lock, NodeResource, OidcResource, Problem,
    Role, User, locate, preference, role, yaml,
};

/// Reads a text of one or more documents. `source` is the file's name, or `<stdin>`.
pub fn parse(source: &str, text: &str) -> Result<Vec<Document>, Vec<Problem>> {
    let alone = |line, what: String| vec![Problem { source: source.to_owned(), line, what }];
    if text.len() > TEXT_MAX {
        return Err(alone(1, format!("the text is larger than {} MiB (split it)", TEXT_MAX / 1024 / 1024)));
    }
    let pieces = split(text)
        .map_err(|line| alone(line, "nothing may follow `---` or `...` on its line (start a new line)".to_owned()))?;
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for piece in pieces {
        match document(source, &piece) {
            Ok(document) => documents.push(document),
            Err(found) => problems.extend(found),
        }
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}

fn document(source: &str, piece: &Piece<'_>) -> Result<Document, Vec<Problem>> {
    let problem = |line: usize, what: String| Problem {
        source: source.to_owned(),
        line: piece.line + line.saturating_sub(1),
        what,
    };
    if piece.text.len() > DOCUMENT_MAX {
        return Err(vec![problem(1, format!("the document is larger than {} KiB (split it)", DOCUMENT_MAX / 1024))]);
    }
    let tree = yaml::read(piece.text).map_err(|bad| vec![problem(bad.line, bad.what)])?;
    let findings = Findings::default();
    let read = read(&At::root(&tree, &findings));
    let list = findings.into_list();
    match read {
        Some((name, resource)) if list.is_empty() => Ok(Document {
            kind: kind_of(&resource),
            name,
            yaml: piece.text.trim_end().to_owned() + "\n",
            resource,
            source: source.to_owned(),
            line: piece.line,
        }),
        _ => {
            let mut problems: Vec<_> =
                list.into_iter().map(|(path, what)| problem(locate::line(piece.text, &path), what)).collect();
            problems.sort_by_key(|problem| problem.line);
            problems.dedup();
            Err(problems)
        }
    }
}

const fn kind_of(resource: &Resource) -> ResourceKind {
    match resource {
        Resource::Role(_) => ResourceKind::Role,
        Resource::User(_) => ResourceKind::User,
        Resource::ClusterAuthPreference(_) => ResourceKind::ClusterAuthPreference,
        Resource::Node(_) => ResourceKind::Node,
        Resource::Db(_) => ResourceKind::Db,
        Resource::KubeCluster(_) => ResourceKind::KubeCluster,
        Resource::App(_) => ResourceKind::App,
        Resource::WindowsDesktop(_) => ResourceKind::WindowsDesktop,
        Resource::Lock(_) => ResourceKind::Lock,
        Resource::Oidc(_) => ResourceKind::Oidc,
    }
}

fn read(root: &At<'_>) -> Option<(ObjectName, Resource)> {
    if root.field("kind").is_none() && root.field("teleport").is_some() {
        root.problem(
            "this is a configuration file, not a resource (put `second_factors` and `webauthn` into the `spec` of a \
             cluster_auth_preference)",
        );
        return None;
    }
    let top = Section::open(root.clone(), "the document")?;
    let kind = top.need("kind", "role").and_then(|at| kind(&at))?;
    let version = version(&top, kind);
    let metadata = top.need("metadata", "{name: ...}").and_then(|at| Section::open(at, "metadata"));
    let metadata = metadata.map(|section| Metadata::read(section, kind));
    sub_kind(&top, kind);
    let spec = top.need("spec", "{}").and_then(|at| Section::open(at, spec_of(kind)));
    top.finish();
    let metadata = metadata?;
    let resource = resource(kind, version, &metadata, spec?)?;
    let name = metadata.name_text().parse().ok()?;
    Some((name, resource))
}

fn kind(at: &At<'_>) -> Option<ResourceKind> {
    let text = at.text()?;
    let kind = ResourceKind::exact(text);
    if kind.is_none() {
        at.problem(format!("`kind: {text}` is not supported (use {})", ResourceKind::list()));
    }
    kind
}

/// Reads the version, as a number; the newest one stands in where it is bad, which is reported.
fn version(top: &Section<'_>, kind: ResourceKind) -> u8 {
    let versions: &[&str] = match kind {
        ResourceKind::Role => role::VERSIONS,
        ResourceKind::User | ResourceKind::ClusterAuthPreference | ResourceKind::Node | ResourceKind::Lock => &["v2"],
        ResourceKind::Oidc => &["v2", "v3"],
        ResourceKind::Db | ResourceKind::KubeCluster | ResourceKind::App | ResourceKind::WindowsDesktop => &["v3"],
    };
    let newest = versions.last().copied().unwrap_or_default();
    let numbers: Vec<_> = versions.iter().map(|text| (*text, number(text))).collect();
    top.need("version", newest).and_then(|at| at.choice(&numbers)).unwrap_or_else(|| number(newest))
}

fn number(version: &str) -> u8 {
    version.trim_start_matches('v').parse().unwrap_or_default()
}

/// A node is always an OpenSSH server; nothing else has a kind below its kind.
fn sub_kind(top: &Section<'_>, kind: ResourceKind) {
    if kind == ResourceKind::Node
        && let Some(at) = top.take("sub_kind")
    {
        let _ = at.choice(&[("openssh", ())]);
    }
}

const fn spec_of(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Role => "role spec",
        ResourceKind::User => "user spec",
        ResourceKind::ClusterAuthPreference => "cluster_auth_preference spec",
        ResourceKind::Node => "node spec",
        ResourceKind::Db => "db spec",
        ResourceKind::KubeCluster => "kube_cluster spec",
        ResourceKind::App => "app spec",
        ResourceKind::WindowsDesktop => "windows_desktop spec",
        ResourceKind::Lock => "lock spec",
        ResourceKind::Oidc => "oidc spec",
    }
}

fn resource(kind: ResourceKind, version: u8, metadata: &Metadata<'_>, spec: Section<'_>) -> Option<Resource> {
    match kind {
        ResourceKind::Role => Role::read(metadata.name(), version, spec).map(|role| Resource::Role(Box::new(role))),
        ResourceKind::User => User::read(metadata.name(), spec).map(Resource::User),
        ResourceKind::ClusterAuthPreference => {
            if metadata.name_text() != preference::NAME {
                metadata.problem("there is one cluster_auth_preference (name it `cluster-auth-preference`)");
            }
            Some(Resource::ClusterAuthPreference(AuthPreference::read(spec)))
        }
        ResourceKind::Node => NodeResource::read(metadata, spec).map(Resource::Node),
        ResourceKind::Db => DbResource::read(metadata, spec).map(Resource::Db),
        ResourceKind::KubeCluster => KubeResource::read(metadata, spec).map(Resource::KubeCluster),
        ResourceKind::App => AppResource::read(metadata, spec).map(Resource::App),
        ResourceKind::WindowsDesktop => DesktopResource::read(metadata, spec).map(Resource::WindowsDesktop),
        ResourceKind::Lock => Lock::read(metadata.name(), spec).map(Resource::Lock),
        ResourceKind::Oidc => OidcResource::read(metadata.name(), spec).map(|oidc| Resource::Oidc(Box::new(oidc))),
    }
}
