//! What keeps networks apart. Without a second network there is nothing of it. Pure.
//!
//! - What a pod sends to an address of another network (a pod's, or the node's beside those) is dropped before anything
//!   else looks at it.
//! - What gets there by a translation, it does to a port that a pod has on the node, and to nothing else: translations
//!   of others, too, lead to no more than that.
//! - Pods of an internal network begin nothing that leaves it, and reach nothing of the node but its name server. From
//!   elsewhere only their ports of the node lead there.

use super::rules::{Expr, Pod, Rule, Side, side};
use berth_core::network::policy::Cidr;

/// The chains of what pods send, by whom it is for: before translations, and on the way to another interface.
pub(super) const APART: &str = "apart";
pub(super) const BETWEEN: &str = "between";
pub(super) const ACROSS: &str = "across";

fn rule(chain: &'static str, exprs: Vec<Expr>) -> Rule {
    Rule { chain, exprs }
}

/// There is more than one network.
pub(super) const fn is_needed(sides: &[Side]) -> bool {
    sides.len() > 1
}

/// It is for an address of the network.
fn within(side: &Side) -> impl Iterator<Item = [Expr; 2]> {
    side.ranges.all().map(|range| {
        let (base, prefix) = (range.base(), range.prefix());
        [Expr::Family { v6: base.is_ipv6() }, Expr::Destination { base, prefix }]
    })
}

/// Before translations.
pub(super) fn before(sides: &[Side]) -> Vec<Rule> {
    let mut rules: Vec<Rule> =
        sides.iter().map(|side| rule("guard", vec![Expr::From(side.bridge), Expr::Jump(APART)])).collect();
    for side in sides {
        for to in within(side) {
            rules.push(rule(APART, [&[Expr::From(side.bridge)][..], &to, &[Expr::Return]].concat()));
        }
    }
    for to in sides.iter().flat_map(within) {
        rules.push(rule(APART, [&to[..], &[Expr::Drop]].concat()));
    }
    rules
}

/// On the way to another interface, when it is no answer.
pub(super) fn between<'a>(sides: &[Side], pods: impl Iterator<Item = Pod<'a>>) -> Vec<Rule> {
    let by = |net: &Side| Expr::By { interface: net.bridge, not: false };
    let mut rules = vec![rule("passing", vec![Expr::Jump(BETWEEN)])];
    for side in sides {
        rules.push(rule(BETWEEN, vec![Expr::From(side.bridge), by(side), Expr::Return]));
    }
    for side in sides.iter().filter(|side| side.internal) {
        rules.push(rule(BETWEEN, vec![Expr::From(side.bridge), Expr::Drop]));
    }
    for side in sides {
        let into = if side.internal { by(side) } else { Expr::From(side.bridge) };
        rules.push(rule(BETWEEN, vec![into, Expr::Jump(ACROSS)]));
    }
    for pod in pods {
        for (port, address) in
            pod.ports.iter().flat_map(|port| pod.addresses.iter().map(move |at| (port, *at)))
        {
            if port.host_ip.is_some_and(|ip| ip.is_ipv6() != address.is_ipv6()) {
                continue;
            }
            rules.push(rule(
                ACROSS,
                vec![
                    Expr::WasTranslated,
                    Expr::Family { v6: address.is_ipv6() },
                    side(Cidr::of(address), false),
                    Expr::Protocol(port.protocol),
                    Expr::Port(port.container_port),
                    Expr::Return,
                ],
            ));
        }
    }
    for side in sides {
        rules.push(rule(ACROSS, vec![by(side), Expr::Drop]));
    }
    rules
}

/// To the node itself, when it is no answer and no question for a name.
pub(super) fn to_node(sides: &[Side]) -> Vec<Rule> {
    let internal = sides.iter().filter(|side| side.internal);
    internal.map(|side| rule("arriving", vec![Expr::From(side.bridge), Expr::Drop])).collect()
}
