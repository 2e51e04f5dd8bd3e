//! A command to all plugins of a network, one after the other (section 3 of the specification).

use super::{
    Settings,
    exec::{Call, call},
};
use berth_core::network::cni::{Attachment, Capabilities, Command, List, Plugin, Reply, Runtime};
use serde_json::{Map, Value};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A network with the programs of its plugins.
pub(super) struct Chain<'a> {
    settings: &'a Settings,
    list: &'a List,
    programs: Vec<PathBuf>,
}

/// What a command is about.
pub(super) struct Errand<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) capabilities: &'a Capabilities,
    /// For all plugins together.
    pub(super) time: Duration,
    pub(super) cgroup: &'a Path,
}

impl<'a> Chain<'a> {
    /// Finds the programs.
    ///
    /// # Errors
    /// One is not there.
    pub(super) fn find(settings: &'a Settings, list: &'a List) -> Result<Self, String> {
        let programs = list.plugins.iter().map(|plugin| program(settings, plugin));
        Ok(Self { settings, list, programs: programs.collect::<Result<_, _>>()? })
    }

    /// ADD, each one with the answer of the one before.
    pub(super) fn add(&self, errand: &Errand<'_>) -> Result<Reply, String> {
        let deadline = Instant::now() + errand.time;
        let mut last = None;
        for (plugin, program) in self.plugins() {
            let input = with_result(last.as_ref().map(|reply: &Reply| &reply.value));
            let said = self.ask(Command::Add, plugin, program, errand, input, deadline)?;
            let reply = Reply::parse(self.list, &said);
            last = Some(reply.map_err(|why| self.blame(Command::Add, plugin, &format!("it answers {why}")))?);
        }
        let network = &self.list.name;
        last.filter(|reply| !reply.addresses.is_empty())
            .ok_or_else(|| format!("CNI network {network:?}: its plugins give the pod no address"))
    }

    /// CHECK, in the order of ADD.
    pub(super) fn check(&self, errand: &Errand<'_>, result: &Value) -> Result<(), String> {
        let deadline = Instant::now() + errand.time;
        self.plugins().try_for_each(|(plugin, program)| {
            let input = with_result(Some(result));
            self.ask(Command::Check, plugin, program, errand, input, deadline).map(drop)
        })
    }

    /// DEL, in the opposite order; `result`: of ADD, if that had come to its end.
    pub(super) fn del(&self, errand: &Errand<'_>, result: Option<&Value>) -> Result<(), String> {
        let deadline = Instant::now() + errand.time;
        self.plugins().rev().try_for_each(|(plugin, program)| {
            self.ask(Command::Del, plugin, program, errand, with_result(result), deadline).map(drop)
        })
    }

    /// GC: all but these attachments may go. What fails does not keep the others from it.
    pub(super) fn gc(&self, errand: &Errand<'_>, valid: &[Attachment]) -> Result<(), String> {
        let deadline = Instant::now() + errand.time;
        let valid = serde_json::to_value(valid).unwrap_or_default();
        let failed = self.plugins().filter_map(|(plugin, program)| {
            let input = Map::from_iter([("cni.dev/valid-attachments".to_owned(), valid.clone())]);
            self.ask(Command::Gc, plugin, program, errand, input, deadline).err()
        });
        let failed: Vec<_> = failed.collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    fn plugins(&self) -> impl DoubleEndedIterator<Item = (&Plugin, &Path)> {
        self.list.plugins.iter().zip(self.programs.iter().map(PathBuf::as_path))
    }

    fn ask(
        &self,
        command: Command,
        plugin: &Plugin,
        program: &Path,
        errand: &Errand<'_>,
        more: Map<String, Value>,
        deadline: Instant,
    ) -> Result<Vec<u8>, String> {
        let mut variables = match command {
            Command::Gc => vec![("CNI_COMMAND", command.as_str().to_owned())],
            _ => errand.runtime.variables(command),
        };
        variables.push(("CNI_PATH", self.settings.path()));
        let input = plugin.input(self.list, errand.capabilities, more).to_string().into_bytes();
        let said = call(&Call { program, variables, input, deadline, cgroup: errand.cgroup });
        said.map_err(|why| self.blame(command, plugin, &why))
    }

    fn blame(&self, command: Command, plugin: &Plugin, why: &str) -> String {
        format!("CNI plugin {} of network {:?}, {}: {why}", plugin.kind, self.list.name, command.as_str())
    }
}

fn with_result(result: Option<&Value>) -> Map<String, Value> {
    result.map(|result| ("prevResult".to_owned(), result.clone())).into_iter().collect()
}

fn program(settings: &Settings, plugin: &Plugin) -> Result<PathBuf, String> {
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let mut places = settings.bin_dirs.iter().map(|dir| dir.join(&plugin.kind));
    places.find(is_program).ok_or_else(|| {
        format!(
            "CNI plugin {} is not in {}: install it there, or set cniBinDir",
            plugin.kind,
            settings.path().replace(':', " or ")
        )
    })
}
