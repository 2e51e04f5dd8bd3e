//! What a container is for in its pod, and on what terms it runs again after an end. Read from the spec
//! once; never looks at what happened.

use crate::manifest::types::{self, PodSpec, RestartPolicy, RestartRule};

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Has to succeed before what stands behind it may start.
    Init,
    /// An init container that stays beside the regular ones.
    Sidecar,
    /// One of those that the pod is there for.
    Main,
}

fn restarts_all(rule: &RestartRule) -> bool {
    rule.action == "RestartAllContainers"
}

/// A container's role, and the policy that holds for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Terms {
    pub(crate) role: Role,
    policy: RestartPolicy,
    rules: Vec<RestartRule>,
}

impl Terms {
    /// Of all containers, in the order of `PodSpec::all_containers`.
    pub(crate) fn of(spec: &PodSpec) -> impl Iterator<Item = Self> + '_ {
        let init = |container: &types::Container| {
            if container.restarts_always() { Role::Sidecar } else { Role::Init }
        };
        let roles = spec.init_containers.iter().map(init);
        let roles = roles.chain(spec.containers.iter().map(|_| Role::Main));
        spec.all_containers().zip(roles).map(|(container, role)| Self {
            role,
            policy: container.restart_policy.unwrap_or(spec.restart_policy),
            rules: container.restart_policy_rules.clone(),
        })
    }

    /// A run that was found unwell is replaced. Rules are for ends of the container's own.
    pub(crate) fn restarts_unwell(&self) -> bool {
        self.role == Role::Sidecar || self.policy != RestartPolicy::Never
    }

    /// An end with this code starts the whole pod anew. Of several rules the first one that matches counts.
    pub(crate) fn restarts_all(&self, code: i32) -> bool {
        let rule = self.rules.iter().find(|rule| rule.exit_codes.matches(code));
        rule.is_some_and(restarts_all)
    }

    /// Some end may start the whole pod anew.
    pub(crate) fn may_restart_all(&self) -> bool {
        self.rules.iter().any(restarts_all)
    }

    /// A run that ended with this code was the last one. An init container that has succeeded has done its part, whatever
    /// its rules say.
    pub(crate) fn ends_with(&self, code: i32) -> bool {
        if self.role == Role::Init && code == 0 {
            return true;
        }
        if self.role == Role::Sidecar || self.rules.iter().any(|rule| rule.exit_codes.matches(code)) {
            return false;
        }
        match (self.policy, self.role) {
            (RestartPolicy::Never, _) => true,
            (RestartPolicy::OnFailure, _) => code == 0,
            (RestartPolicy::Always, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::types::{Container, ExitCodes, InOrNot};

    fn terms(
        role: Role,
        pod: RestartPolicy,
        own: Option<RestartPolicy>,
        rule: Option<(InOrNot, i32)>,
    ) -> Terms {
        let rules = rule.map(|(operator, code)| RestartRule {
            action: "Restart".to_owned(),
            exit_codes: ExitCodes { operator, values: vec![code] },
        });
        let container = Container {
            restart_policy: own,
            restart_policy_rules: rules.into_iter().collect(),
            ..Container::default()
        };
        let mut spec = PodSpec { restart_policy: pod, ..PodSpec::default() };
        match role {
            Role::Main => spec.containers.push(container),
            Role::Init | Role::Sidecar => spec.init_containers.push(container),
        }
        let terms = Terms::of(&spec).next().unwrap();
        assert_eq!(terms.role, role);
        terms
    }

    #[test]
    fn policies_and_rules_decide_which_end_is_the_last() {
        use InOrNot::{In, NotIn};
        use RestartPolicy::{Always, Never, OnFailure};
        for (role, pod, own, rule, last_at_0, last_at_3) in [
            (Role::Main, Always, None, None, false, false),
            (Role::Main, OnFailure, None, None, true, false),
            (Role::Main, Never, None, None, true, true),
            (Role::Main, Always, Some(Never), None, true, true),
            (Role::Main, Never, Some(Always), None, false, false),
            (Role::Main, Never, Some(Never), Some((In, 3)), true, false),
            (Role::Main, Never, Some(Never), Some((NotIn, 3)), false, true),
            (Role::Init, Always, None, None, true, false),
            (Role::Init, Never, None, None, true, true),
            (Role::Init, Never, Some(OnFailure), None, true, false),
            (Role::Init, Never, Some(Never), Some((In, 3)), true, false),
            (Role::Init, Never, Some(Never), Some((In, 0)), true, true),
            (Role::Init, Never, Some(Never), Some((NotIn, 3)), true, true),
            (Role::Sidecar, Never, Some(Always), None, false, false),
        ] {
            let terms = terms(role, pod, own, rule);
            let last = [0, 3].map(|code| terms.ends_with(code));
            assert_eq!(last, [last_at_0, last_at_3], "{terms:?}");
        }
    }
}
