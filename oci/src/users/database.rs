//! /etc/passwd and /etc/group of an image. Pure; a line that cannot be read is skipped, as a C library does.

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
}

/// A line of /etc/group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) gid: u32,
    pub(super) members: Vec<String>,
}

/// `name:password:uid:gid:comment:home:shell`.
pub(super) fn users(text: &[u8]) -> Vec<User> {
    let text = String::from_utf8_lossy(text);
    let user = |line: &str| {
        let mut fields = line.trim_end().split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?.to_owned();
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        let home = fields.nth(1).unwrap_or_default().to_owned();
        Some(User { name, uid, gid, home })
    };
    text.lines().filter_map(user).collect()
}

/// `name:password:gid:member,member`.
pub(super) fn groups(text: &[u8]) -> Vec<Group> {
    let text = String::from_utf8_lossy(text);
    let group = |line: &str| {
        let mut fields = line.trim_end().split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?.to_owned();
        let gid = fields.nth(1)?.parse().ok()?;
        let members = fields.next().unwrap_or_default().split(',');
        let members = members.filter(|member| !member.is_empty()).map(str::to_owned).collect();
        Some(Group { name, gid, members })
    };
    text.lines().filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_bad_ones_skipped() {
        let text = b"root:x:0:0:root:/root:/bin/sh\n#no:x:1:1::/:\n\nbad:x:one:1::/:\nshort:x:7:8\nmin:x:9\n\
            big:x:4294967296:0::/:\n\xff:x:5:5::/five:\n";
        let names: Vec<_> = users(text).into_iter().map(|user| (user.uid, user.gid, user.home)).collect();
        assert_eq!(names, [(0, 0, "/root".into()), (7, 8, String::new()), (5, 5, "/five".into())]);
        let text = b"wheel:x:10:root,op\nempty:x:11:\nshort:x:12\nbad:x:y:root\n:x:13:root\n";
        let found: Vec<_> = groups(text).into_iter().map(|group| (group.gid, group.members)).collect();
        assert_eq!(found, [(10, vec!["root".into(), "op".into()]), (11, vec![]), (12, vec![])]);
    }
}
