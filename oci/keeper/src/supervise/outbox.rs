//! What is owed to the agent and to the zygote, worked out anew each time from the tables.

use super::{Greeting, Supervisor};
use crate::{
    protocol::{FailClass, Notice, VERSION, Work},
    supervise::text,
    tables::{Entry, Life, Place},
};

/// What a message settles; given back when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// First answer to a Hello, or the word of a new program.
    Welcome,
    /// A slot of the list.
    Slot(Place),
    /// End of the list.
    ListEnd,
    /// An answer that needs no entry.
    Reply,
    /// The question whether the agent lives.
    Ping,
    /// Answer to a create.
    ContainerAnswer(Place),
    /// Exit of a container.
    ContainerExit(Place),
    /// Answer to an exec.
    SessionAnswer(Place),
    /// End of a session.
    SessionExit(Place),
}

/// Work for the zygote, by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkDue {
    /// A container; its pipes' write ends go with it.
    Container(Place),
    /// A session; its descriptors go with it.
    Session(Place),
}

impl Supervisor {
    /// The message to be sent to the agent next, if any. `None` also while there is no agent.
    pub fn next_notice(&self) -> Option<(Due, Notice)> {
        self.agent.pid()?;
        let due = self.next_due()?;
        self.notice(due).map(|notice| (due, notice))
    }

    fn next_due(&self) -> Option<Due> {
        match self.greeting {
            Greeting::Mismatch | Greeting::Welcome | Greeting::Renewed => return Some(Due::Welcome),
            Greeting::Slots(from) => {
                let next = self.containers.used().find(|(place, _)| *place >= from);
                return Some(next.map_or(Due::ListEnd, |(place, _)| Due::Slot(place)));
            }
            Greeting::None | Greeting::Greeted => {}
        }
        if !self.replies.is_empty() {
            return Some(Due::Reply);
        }
        if self.greeting != Greeting::Greeted {
            return None;
        }
        if self.pulse.is_owed() {
            return Some(Due::Ping);
        }
        let container = self.containers.used().find_map(|(place, entry)| match entry.owed {
            owed if owed.answer => Some(Due::ContainerAnswer(place)),
            owed if owed.exit => Some(Due::ContainerExit(place)),
            _ => None,
        });
        container.or_else(|| {
            self.sessions.used().find_map(|(place, entry)| match entry.owed {
                owed if owed.answer => Some(Due::SessionAnswer(place)),
                owed if owed.exit => Some(Due::SessionExit(place)),
                _ => None,
            })
        })
    }

    fn notice(&self, due: Due) -> Option<Notice> {
        Some(match due {
            Due::Welcome => Notice::Welcome {
                version: VERSION,
                pid: self.own_pid,
                slots: match self.greeting {
                    Greeting::Welcome => u16::try_from(self.containers.len()).unwrap_or(u16::MAX),
                    _ => 0,
                },
            },
            Due::Slot(place) => {
                let entry = self.containers.get(place)?;
                Notice::Slot { id: entry.id.clone(), state: entry.slot_state() }
            }
            Due::ListEnd => Notice::ListEnd,
            Due::Ping => Notice::Ping,
            Due::Reply => {
                let reply = self.replies.front()?;
                match reply.failed {
                    None => Notice::Done { op: reply.op },
                    Some((class, why)) => failed(reply.op, &reply.id, class, why),
                }
            }
            Due::ContainerAnswer(place) => answer(self.containers.get(place)?)?,
            Due::ContainerExit(place) => exited(self.containers.get(place)?)?,
            Due::SessionAnswer(place) => answer(self.sessions.get(place)?)?,
            Due::SessionExit(place) => exited(self.sessions.get(place)?)?,
        })
    }

    /// The slot whose log descriptors go with a message.
    pub fn log_slot(&self, due: Due) -> Option<Place> {
        let (Due::Slot(place) | Due::ContainerAnswer(place)) = due else { return None };
        let entry = self.containers.get(place)?;
        matches!(entry.life(), Life::Creating | Life::Running { .. } | Life::Exited { .. }).then_some(place)
    }

    /// The message of [`Supervisor::next_notice`] is in the agent's socket.
    pub fn notice_sent(&mut self, due: Due) {
        match due {
            Due::Welcome => {
                self.greeting = match self.greeting {
                    Greeting::Welcome => Greeting::Slots(0),
                    Greeting::Renewed => Greeting::Greeted,
                    _ => Greeting::None,
                };
            }
            Due::Slot(place) => self.slot_told(place),
            Due::ListEnd => self.greeting = Greeting::Greeted,
            Due::Ping => self.pulse.sent(),
            Due::Reply => {
                let _ = self.replies.pop_front();
            }
            Due::ContainerAnswer(place) => {
                if let Some(entry) = self.containers.get_mut(place) {
                    answer_told(entry);
                }
            }
            Due::ContainerExit(place) => {
                if let Some(entry) = self.containers.get_mut(place) {
                    entry.owed.exit = false;
                }
            }
            Due::SessionAnswer(place) => {
                if let Some(entry) = self.sessions.get_mut(place) {
                    answer_told(entry);
                }
            }
            Due::SessionExit(place) => {
                if let Some(entry) = self.sessions.get_mut(place) {
                    let _ = entry.release();
                }
            }
        }
    }

    fn slot_told(&mut self, place: Place) {
        self.greeting = Greeting::Slots(place.saturating_add(1));
        if let Some(entry) = self.containers.get_mut(place)
            && matches!(entry.life(), Life::Exited { .. })
        {
            entry.owed.exit = false;
        }
    }

    /// The work to be sent to the zygote next, if any. `None` also while there is no zygote.
    pub fn next_work(&self) -> Option<(WorkDue, Work)> {
        self.zygote.pid()?;
        if let Some((place, entry)) = self.containers.used().find(|(_, e)| e.is_creating() && !e.sent) {
            let work = Work::Create {
                ticket: entry.ticket,
                id: entry.id.clone(),
                bundle: entry.work.bundle.clone(),
                cgroup: entry.work.cgroup.clone(),
                deadline_ms: entry.work.deadline_ms,
            };
            return Some((WorkDue::Container(place), work));
        }
        let (place, entry) = self.sessions.used().find(|(_, e)| e.is_creating() && !e.sent)?;
        let work = Work::Exec {
            ticket: entry.ticket,
            session: entry.id.clone(),
            container: entry.work.container.clone(),
            bundle: entry.work.bundle.clone(),
            deadline_ms: entry.work.deadline_ms,
            tty: entry.work.tty,
        };
        Some((WorkDue::Session(place), work))
    }

    /// The work of [`Supervisor::next_work`] is in the zygote's socket; the shell closes the descriptors
    /// that went with it: the pipes' write ends, or all of a session's.
    pub fn work_sent(&mut self, due: WorkDue) {
        match due {
            WorkDue::Container(place) => {
                if let Some(entry) = self.containers.get_mut(place) {
                    entry.sent = true;
                }
            }
            WorkDue::Session(place) => {
                if let Some(entry) = self.sessions.get_mut(place) {
                    entry.sent = true;
                }
            }
        }
    }
}

fn answer<W>(entry: &Entry<W>) -> Option<Notice> {
    let (op, id) = (entry.op, entry.id.clone());
    match entry.life() {
        Life::Running { pid, started_ns } | Life::Exited { pid, started_ns, .. } => {
            Some(Notice::Started { op, id, pid: *pid, at_ns: *started_ns })
        }
        Life::Failed { class, text } => Some(Notice::Failed { op, id, class: *class, text: text.clone() }),
        Life::Free | Life::Creating => None,
    }
}

/// An answered failure is nobody's any more.
fn answer_told<W>(entry: &mut Entry<W>) {
    entry.owed.answer = false;
    if matches!(entry.life(), Life::Failed { .. }) {
        let _ = entry.release();
    }
}

fn exited<W>(entry: &Entry<W>) -> Option<Notice> {
    match entry.life() {
        Life::Exited { exit, .. } => Some(Notice::Exited { id: entry.id.clone(), exit: *exit }),
        _ => None,
    }
}

fn failed(op: u64, id: &crate::protocol::Id, class: FailClass, why: &str) -> Notice {
    Notice::Failed { op, id: id.clone(), class, text: text(why) }
}
