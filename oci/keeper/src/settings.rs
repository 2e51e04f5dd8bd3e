//! The keeper's settings as one line of words: handed to the keeper as its arguments, and by a later
//! start to a keeper that holds. Words are separated by NUL, which no argument can contain.

use crate::{
    config::{AGENT_ARGS_MAX, KeeperConfig, PIPE_BYTES_MAX, PIPE_BYTES_MIN, SETTINGS_LEN_MAX},
    protocol::{PATH_LEN_MAX, Path},
};
use std::{ffi::OsStr, os::fd::RawFd};

/// Words before the agent's arguments: program, run directory, bytes of log and staging pipes.
const FIXED_WORDS: usize = 4;
/// Words of a command: program, applet, two of our own, the settings.
pub(crate) const COMMAND_WORDS_MAX: usize = 4 + FIXED_WORDS + AGENT_ARGS_MAX;
const COMMAND_LEN_MAX: usize = SETTINGS_LEN_MAX + PATH_LEN_MAX + 64;

/// The line.
pub(crate) type Line = heapless::String<SETTINGS_LEN_MAX>;

/// Arguments of a program, each ended by NUL, ready for execve(2).
#[derive(Debug, Default)]
pub(crate) struct Command {
    pub(crate) bytes: heapless::Vec<u8, COMMAND_LEN_MAX>,
    pub(crate) starts: heapless::Vec<usize, COMMAND_WORDS_MAX>,
}

impl Command {
    fn word(&mut self, word: &str) -> Option<()> {
        self.starts.push(self.bytes.len()).ok()?;
        self.bytes.extend_from_slice(word.as_bytes()).ok()?;
        self.bytes.push(0).ok()
    }

    fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut command = Self::default();
        words.into_iter().try_for_each(|word| command.word(word))?;
        Some(command)
    }
}

/// Settings that are whole and within their bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    line: Line,
}

impl Settings {
    /// From what the applet was told.
    ///
    /// # Errors
    /// Says which part is out of bounds.
    pub(crate) fn new(config: &KeeperConfig) -> Result<Self, String> {
        let text = |what: &str, word: &OsStr| {
            word.to_str().map(str::to_owned).ok_or(format!("{what} {} is not UTF-8", word.display()))
        };
        let mut words = vec![
            text("the program's path", config.program.as_os_str())?,
            text("the run directory", config.run_dir.as_os_str())?,
            config.log_pipe_bytes.to_string(),
            config.stage_pipe_bytes.to_string(),
        ];
        for arg in &config.agent_args {
            words.push(text("the argument", arg)?);
        }
        Self::parse(&words.join("\0"))
    }

    /// From a line.
    ///
    /// # Errors
    /// Says which part is out of bounds.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let words = line.split('\0').count();
        if words < FIXED_WORDS {
            return Err(format!(
                "{words} settings instead of {FIXED_WORDS}: this is not `berth keeper`'s line"
            ));
        }
        if words > FIXED_WORDS + AGENT_ARGS_MAX {
            return Err(format!("more than {AGENT_ARGS_MAX} arguments for the agent"));
        }
        let line = Line::try_from(line).map_err(|_| {
            format!("the agent's arguments are longer than {SETTINGS_LEN_MAX} bytes together")
        })?;
        let settings = Self { line };
        for (what, path) in [("program", settings.program()), ("run directory", settings.run_dir())] {
            if !path.starts_with('/') || path.len() > PATH_LEN_MAX {
                let most = PATH_LEN_MAX;
                return Err(format!("the {what} {path:?} is not an absolute path of at most {most} bytes"));
            }
        }
        for (what, bytes) in [("log", settings.number(2)), ("staging", settings.number(3))] {
            if !bytes.is_some_and(|n| (PIPE_BYTES_MIN..=PIPE_BYTES_MAX).contains(&n)) {
                return Err(format!(
                    "the {what} pipe's size is not between {PIPE_BYTES_MIN} and {PIPE_BYTES_MAX}"
                ));
            }
        }
        Ok(settings)
    }

    fn at(&self, index: usize) -> &str {
        self.line.split('\0').nth(index).unwrap_or("")
    }

    fn number(&self, index: usize) -> Option<u32> {
        self.at(index).parse().ok()
    }

    /// The line.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// The program that is keeper, agent and zygote.
    pub(crate) fn program(&self) -> &str {
        self.at(0)
    }

    /// Directory of socket and lock.
    pub(crate) fn run_dir(&self) -> &str {
        self.at(1)
    }

    /// Bytes of a log pipe.
    pub(crate) fn log_pipe_bytes(&self) -> u32 {
        self.number(2).unwrap_or(PIPE_BYTES_MIN)
    }

    /// Bytes of a staging pipe.
    pub(crate) fn stage_pipe_bytes(&self) -> u32 {
        self.number(3).unwrap_or(PIPE_BYTES_MIN)
    }

    /// The same with another program; `None` if that is too long.
    pub(crate) fn with_program(&self, program: &str) -> Option<Self> {
        let (_, rest) = self.line.split_once('\0')?;
        let mut line = Line::new();
        line.push_str(program).ok()?;
        line.push('\0').ok()?;
        line.push_str(rest).ok()?;
        Some(Self { line })
    }

    /// A file in the run directory.
    pub(crate) fn run_file(&self, name: &str) -> Option<heapless::String<{ PATH_LEN_MAX + 32 }>> {
        let mut path = heapless::String::new();
        path.push_str(self.run_dir()).ok()?;
        path.push('/').ok()?;
        path.push_str(name).ok()?;
        Some(path)
    }

    /// `PROGRAM agent ARGS…`
    pub(crate) fn agent(&self) -> Option<Command> {
        let args = self.line.split('\0').skip(FIXED_WORDS);
        Command::of([self.program(), "agent"].into_iter().chain(args))
    }

    /// `PROGRAM zygote`
    pub(crate) fn zygote(&self) -> Option<Command> {
        Command::of([self.program(), "zygote"])
    }

    /// `PROGRAM keeper FLAG FD SETTINGS…`: ourselves, with a descriptor to begin from.
    pub(crate) fn keeper(&self, flag: &str, fd: RawFd) -> Option<Command> {
        let fd = number(fd)?;
        Command::of([self.program(), "keeper", flag, &fd].into_iter().chain(self.line.split('\0')))
    }

    /// `PROGRAM keeper --check-state VERSION`
    pub(crate) fn check(&self, version: u32) -> Option<Command> {
        let version = number(version)?;
        Command::of([self.program(), "keeper", crate::CHECK_STATE, &version])
    }

    /// The program's path, for the supervisor.
    pub(crate) fn program_path(&self) -> Path {
        Path::try_from(self.program()).unwrap_or_default()
    }
}

fn number(value: impl std::fmt::Display) -> Option<heapless::String<16>> {
    use std::fmt::Write as _;
    let mut text = heapless::String::new();
    write!(text, "{value}").ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> KeeperConfig {
        KeeperConfig {
            program: "/usr/bin/berth".into(),
            agent_args: ["--config", "", "a b"].map(Into::into).to_vec(),
            run_dir: "/run/berth".into(),
            log_pipe_bytes: 65_536,
            stage_pipe_bytes: 4_096,
        }
    }

    fn words(command: &Command) -> Vec<String> {
        let text = String::from_utf8(command.bytes.to_vec()).unwrap();
        let words: Vec<_> = text.split_terminator('\0').map(str::to_owned).collect();
        assert_eq!(words.len(), command.starts.len());
        words
    }

    #[test]
    fn a_line_comes_back_whole() {
        let settings = Settings::new(&config()).unwrap();
        assert_eq!(Settings::parse(settings.line()).unwrap(), settings);
        assert_eq!(settings.run_file("x").unwrap(), "/run/berth/x");
        assert_eq!((settings.log_pipe_bytes(), settings.stage_pipe_bytes()), (65_536, 4_096));
        assert_eq!(words(&settings.agent().unwrap()), ["/usr/bin/berth", "agent", "--config", "", "a b"]);
        assert_eq!(words(&settings.zygote().unwrap()), ["/usr/bin/berth", "zygote"]);
        let other = settings.with_program("/new").unwrap();
        assert_eq!(
            words(&other.keeper("--x", 7).unwrap()),
            ["/new", "keeper", "--x", "7", "/new", "/run/berth", "65536", "4096", "--config", "", "a b"]
        );
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        type Case = (&'static str, fn(&mut KeeperConfig));
        let cases: [Case; 6] = [
            ("program", |c| c.program = "berth".into()),
            ("run directory", |c| c.run_dir = format!("/{}", "x".repeat(PATH_LEN_MAX)).into()),
            ("log pipe", |c| c.log_pipe_bytes = 4_095),
            ("staging pipe", |c| c.stage_pipe_bytes = 1_048_577),
            ("more than 32", |c| c.agent_args = vec!["x".into(); 33]),
            ("longer than", |c| c.agent_args = vec!["x".repeat(SETTINGS_LEN_MAX).into()]),
        ];
        for (part, spoil) in cases {
            let mut config = config();
            spoil(&mut config);
            let error = Settings::new(&config).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(Settings::parse("").unwrap_err().contains("1 settings"));
    }

    #[test]
    fn the_largest_settings_fit_a_command() {
        let mut config = config();
        config.agent_args = vec!["x".repeat(36).into(); AGENT_ARGS_MAX];
        let settings = Settings::new(&config).unwrap();
        assert!(settings.keeper(crate::RESUME, i32::MAX).is_some());
        assert!(
            settings
                .with_program(&format!("/{}", "p".repeat(PATH_LEN_MAX - 1)))
                .unwrap()
                .keeper("--x", 1)
                .is_some()
        );
    }
}
