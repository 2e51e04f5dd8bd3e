//! As whom a container runs: from the pod's security contexts, the image's `USER` and the image's own
//! /etc/passwd and /etc/group, which are read from its layers without mounting them.

mod database;
pub mod ids;
mod layers;

use crate::error::{Error, Result};
use berth_core::{
    action::ImageFacts,
    manifest::{
        DesiredPod,
        types::{Container, SupplementalGroupsPolicy},
    },
};
use database::{Group, User};
use layers::Layers;

/// Bytes of an image's /etc/passwd or /etc/group; a longer one is refused.
pub const DATABASE_LEN_MAX_BYTES: u64 = 1024 * 1024;

/// As whom a process runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessUser {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups: the primary one first, those of /etc/group, `supplementalGroups`, `fsGroup`. Each once.
    pub groups: Vec<u32>,
    /// Home directory from /etc/passwd; empty if the image does not know the user.
    pub home: String,
}

/// Resolves the user of `container`. Reads the image's layers.
///
/// # Errors
/// [`Error::Config`]: the image does not know the name, or `runAsNonRoot` is broken.
pub fn resolve(pod: &DesiredPod, container: &Container, image: &ImageFacts) -> Result<ProcessUser> {
    let wanted = Wanted::of(pod, container, image)?;
    let layers = Layers::open(&image.layers)?;
    let text = |path| layers.read(path, DATABASE_LEN_MAX_BYTES).map(Option::unwrap_or_default);
    let (users, groups) = (database::users(&text("etc/passwd")?), database::groups(&text("etc/group")?));
    wanted.look_up(&users, &groups, &image.reference)
}

/// What pod and image ask for, before names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    user: Name,
    group: Option<Name>,
    supplemental: Vec<u32>,
    /// The image's /etc/group has no say.
    strict: bool,
}

/// A number, or a name of the image's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Id(u32),
    Named(String),
}

impl Name {
    fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Named(text.to_owned()), Self::Id)
    }
}

impl Wanted {
    fn of(pod: &DesiredPod, container: &Container, image: &ImageFacts) -> Result<Self> {
        let of_pod = &pod.pod.spec.security_context;
        let own = container.security_context.as_ref();
        let run_as_user = own.and_then(|sc| sc.run_as_user).or(of_pod.run_as_user);
        let run_as_group = own.and_then(|sc| sc.run_as_group).or(of_pod.run_as_group);
        let non_root = own.and_then(|sc| sc.run_as_non_root).or(of_pod.run_as_non_root);
        let (image_user, image_group) = image.user.split_once(':').unwrap_or((&image.user, ""));
        let user = match (run_as_user, image_user) {
            (Some(uid), _) => Name::Id(uid),
            (None, "") => Name::Id(0),
            (None, user) => Name::parse(user),
        };
        if non_root == Some(true) {
            verify_non_root(&user, run_as_user.is_some(), pod, container)?;
        }
        // The image's group belongs to the image's user only.
        let group = match (run_as_group, run_as_user) {
            (Some(gid), _) => Some(Name::Id(gid)),
            (None, None) if !image_group.is_empty() => Some(Name::parse(image_group)),
            _ => None,
        };
        let supplemental = of_pod.supplemental_groups.iter().copied().chain(of_pod.fs_group).collect();
        let strict = of_pod.supplemental_groups_policy == Some(SupplementalGroupsPolicy::Strict);
        Ok(Self { user, group, supplemental, strict })
    }

    fn look_up(&self, users: &[User], groups: &[Group], image: &str) -> Result<ProcessUser> {
        let known = match &self.user {
            Name::Id(uid) => users.iter().find(|user| user.uid == *uid),
            Name::Named(name) => Some(users.iter().find(|user| user.name == *name).ok_or_else(|| {
                Error::Config(format!(
                    "image {image:?} runs as user {name:?}, which its /etc/passwd does not have: set runAsUser"
                ))
            })?),
        };
        let uid = match (&self.user, known) {
            (Name::Id(uid), _) => *uid,
            (Name::Named(_), known) => known.map_or(0, |user| user.uid),
        };
        let gid = match &self.group {
            None => known.map_or(0, |user| user.gid),
            Some(Name::Id(gid)) => *gid,
            Some(Name::Named(name)) => {
                let group = groups.iter().find(|group| group.name == *name).ok_or_else(|| {
                    Error::Config(format!(
                        "image {image:?} runs as group {name:?}, which its /etc/group does not have: set runAsGroup"
                    ))
                })?;
                group.gid
            }
        };
        let member_of =
            |group: &&Group| !self.strict && known.is_some_and(|user| group.members.contains(&user.name));
        let mut all = vec![gid];
        let further = groups.iter().filter(member_of).map(|group| group.gid);
        for group in further.chain(self.supplemental.iter().copied()) {
            if !all.contains(&group) {
                all.push(group);
            }
        }
        let home = known.map_or_else(String::new, |user| user.home.clone());
        Ok(ProcessUser { uid, gid, groups: all, home })
    }
}

/// `runAsNonRoot` can be held only for a user whose number is known without the image's own word for it.
fn verify_non_root(user: &Name, by_pod: bool, pod: &DesiredPod, container: &Container) -> Result<()> {
    let place = format!(
        "(pod: \"{}_{}({})\", container: {})",
        pod.key.name, pod.key.namespace, pod.uid, container.name
    );
    let wrong = match user {
        Name::Id(0) if by_pod => "container's runAsUser breaks non-root policy".to_owned(),
        Name::Id(0) => "container has runAsNonRoot and image will run as root".to_owned(),
        Name::Id(_) => return Ok(()),
        Name::Named(name) => format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
        ),
    };
    Err(Error::Config(format!("{wrong} {place}")))
}

#[cfg(test)]
mod tests;
