//! `berth image`: the store of images as its owner sees it, in the words of podman and skopeo.

mod bake;
mod list;
mod progress;

use super::{client::Next, failure::Failure, json, output, session::Session};
use crate::api::wire::{ImageOperation, Request};
use clap::Subcommand;
use serde_json::Value;
use std::{
    fs::File,
    os::fd::{AsRawFd, RawFd},
    path::{Path, PathBuf},
};

/// Look at and change the store of images
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = LONG_HELP, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  berth image ls                             what is there, and what of it is shared
  berth image import /media/usb              all images of a stick, or none of them
  berth image pull shop.example/web:1        from its registry
  berth image export shop/web:1 -o web.tar   as an OCI archive
  berth image pin shop/web:1                 never collected
  berth image prune --all --dry-run          what nothing needs
  berth image verify --repair                read all; unpack again what is damaged";

const LONG_HELP: &str = "\
Examples:
  berth image ls                             what is there, and what of it is shared
  berth image import /media/usb              all images of a stick, or none of them
  berth image pull shop.example/web:1        from its registry
  berth image export shop/web:1 -o web.tar   as an OCI archive
  berth image pin shop/web:1                 never collected
  berth image prune --all --dry-run          what nothing needs
  berth image verify --repair                read all; unpack again what is damaged
  berth image bake --output rootfs/usr/share/berth/store web.tar   (on the build machine; needs no agent)

Registries:
  Asked for what is in no store and no source, and where imagePullPolicy is Always for what is newer; when none can
  be reached, an image that is here runs. /etc/berth/registries.conf is a subset of containers-registries.conf(5):
  [[registry]] with prefix, location, insecure, blocked, and [[registry.mirror]] with location, insecure,
  pull-from-mirror. Credentials stand in /etc/berth/auth.json: in auths, or in programs docker-credential-NAME
  that credHelpers and credsStore name. Authorities and client certificates stand below
  /etc/berth/certs.d/HOST:PORT. Proxies are those of the service's environment.

Which images may run:
  /etc/berth/policy.json, a subset of containers-policy.json(5). Requirements are reject, insecureAcceptAnything
  and sigstoreSigned with keyPath, keyPaths or keyData: plain public keys, ECDSA P-256 or Ed25519. Scopes stand
  under the transport docker, by the names of images, however they came here. Signatures are cosign's, found
  beside the image in its layout or archive under the tag sha256-<digest>.sig. No network, log or clock is asked.

  {\"default\": [{\"type\": \"reject\"}],
   \"transports\": {\"docker\": {\"registry.example/shop\": [
     {\"type\": \"sigstoreSigned\", \"keyPath\": \"/etc/berth/shop.pub\",
      \"signedIdentity\": {\"type\": \"matchRepository\"}}]}}}";

#[derive(Debug, Subcommand)]
enum Verb {
    /// List images: sizes whole and unshared, and why they stay
    #[command(visible_alias = "list")]
    Ls(list::Args),
    /// Take in all images of an archive, a layout, or a directory of these
    ///
    /// Everything is verified and unpacked before the first name changes hands: when one image is bad, none does.
    /// Pods that wait for one of the images go on; pods that run keep what they have.
    #[command(alias = "load")]
    Import(ImportArgs),
    /// Fetch images from their registries; what is there already is only asked after
    Pull {
        /// The images
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<String>,
    },
    /// Write an image as an OCI archive, byte for byte as it came
    #[command(alias = "save")]
    Export {
        /// The image
        #[arg(value_name = "IMAGE")]
        image: String,
        /// The archive; a file that exists is replaced
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Remove images, or one of several names of an image
    Rm {
        /// By name, or by id or its beginning
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<String>,
        /// Also what a manifest names or what is pinned; never what a container uses
        #[arg(short, long)]
        force: bool,
    },
    /// Keep images until they are removed by name
    Pin {
        /// The images
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<String>,
    },
    /// Let pinned images be collected again
    Unpin {
        /// The images
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<String>,
    },
    /// Remove images without a name that nothing uses
    Prune {
        /// Those with names too, if no manifest names them now or did in its previous revision
        #[arg(short, long)]
        all: bool,
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Print all that is known of an image, as JSON
    Inspect {
        /// The image
        #[arg(value_name = "IMAGE")]
        image: String,
    },
    /// Read everything and hold it against its digests; exit 1 if something is and stays damaged
    Verify {
        /// Import again what is damaged, from where it came
        #[arg(long)]
        repair: bool,
    },
    /// Make a read-only store, unpacked, for a system's image; needs no agent
    Bake(bake::Args),
}

/// Of `berth image import` and `berth import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  berth import /media/usb")]
pub(crate) struct ImportArgs {
    /// The archive, layout or directory
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    match &args.verb {
        Verb::Ls(args) => list::run(args, session),
        Verb::Import(args) => import(args, session),
        Verb::Pull { images } => pull(images, session),
        Verb::Export { image, output } => export(image, output, session),
        Verb::Rm { images, force } => {
            let operation = ImageOperation::Remove { images: images.clone(), force: *force };
            let answer = ask(session, operation, &[])?;
            told(session, &answer, "/untagged", "untagged")?;
            told(session, &answer, "/removed", "removed")
        }
        Verb::Pin { images } => pin(images, true, session),
        Verb::Unpin { images } => pin(images, false, session),
        Verb::Prune { all, dry_run } => prune(*all, *dry_run, session),
        Verb::Inspect { image } => {
            let answer = ask(session, ImageOperation::Inspect { image: image.clone() }, &[])?;
            output::json(session.out, &answer)
        }
        Verb::Verify { repair } => verify(*repair, session),
        Verb::Bake(args) => bake::run(args, session),
    }
}

/// Asks, and waits as long as it takes: an archive of gigabytes takes its minutes.
fn ask(session: &Session<'_>, operation: ImageOperation, fds: &[RawFd]) -> Result<Value, Failure> {
    let mut answers = session.client.stream(&Request::Image { operation }, fds)?;
    match answers.next(None)? {
        Next::Data(value) => Ok(value),
        Next::Timeout | Next::Closed => Err(session.client.hung_up()),
    }
}

fn told(session: &mut Session<'_>, answer: &Value, pointer: &str, word: &str) -> Result<(), Failure> {
    for item in json::list(answer, pointer) {
        writeln!(session.out, "{word} {}", json::plain(item))?;
    }
    Ok(())
}

/// `berth import PATH`.
pub(crate) fn import(args: &ImportArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let path = absolute(&args.path)?;
    let answer = progress::ask(session, ImageOperation::Import { path })?;
    for note in json::list(&answer, "/skipped") {
        writeln!(session.err, "left out: {}", json::plain(note))?;
    }
    told(session, &answer, "/names", "imported")
}

fn pull(images: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
    images.iter().try_for_each(|image| {
        let answer = progress::ask(session, ImageOperation::Pull { image: image.clone() })?;
        let (name, digest) = (json::text(&answer, "/name"), json::text(&answer, "/digest"));
        Ok(writeln!(session.out, "pulled {name} {digest}")?)
    })
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let found = std::fs::canonicalize(path)
        .map_err(|error| Failure::error(format!("{} cannot be imported: {error}", path.display())))?;
    found.into_os_string().into_string().map_err(|_| Failure::error("the path is not UTF-8"))
}

fn export(image: &str, output: &Path, session: &mut Session<'_>) -> Result<(), Failure> {
    let failed = |what: std::io::Error| Failure::error(format!("{}: {what}", output.display()));
    // Opened here, with the rights of whoever asks; whole before it has its name.
    let mut half = output.as_os_str().to_owned();
    half.push(".part");
    let half = PathBuf::from(half);
    let file = File::create(&half).map_err(failed)?;
    let answer = ask(session, ImageOperation::Export { image: image.to_owned() }, &[file.as_raw_fd()]);
    let answer = answer.inspect_err(|_| {
        let _ = std::fs::remove_file(&half);
    })?;
    std::fs::rename(&half, output).map_err(failed)?;
    let (name, digest) = (json::text(&answer, "/name"), json::text(&answer, "/digest"));
    Ok(writeln!(session.out, "exported {name} {digest} to {}", output.display())?)
}

fn pin(images: &[String], keep: bool, session: &mut Session<'_>) -> Result<(), Failure> {
    ask(session, ImageOperation::Pin { images: images.to_vec(), keep }, &[])?;
    let word = if keep { "pinned" } else { "unpinned" };
    images.iter().try_for_each(|image| Ok(writeln!(session.out, "{word} {image}")?))
}

fn prune(all: bool, dry_run: bool, session: &mut Session<'_>) -> Result<(), Failure> {
    let answer = ask(session, ImageOperation::Prune { all, dry_run }, &[])?;
    let word = if dry_run { "would remove" } else { "removed" };
    for image in json::list(&answer, "/removed") {
        let names: Vec<String> = json::list(image, "/names").iter().map(json::plain).collect();
        writeln!(session.out, "{word} {} {}", json::text(image, "/id"), names.join(", "))?;
    }
    let freed = u64::try_from(json::number(&answer, "/freedBytes")).unwrap_or(0);
    Ok(writeln!(
        session.out,
        "{}: {}",
        if dry_run { "to be freed" } else { "freed" },
        super::get::image_size(freed)
    )?)
}

fn verify(repair: bool, session: &mut Session<'_>) -> Result<(), Failure> {
    let answer = ask(session, ImageOperation::Verify { repair }, &[])?;
    let mut left = 0;
    for damage in json::list(&answer, "/damage") {
        let images: Vec<String> = json::list(damage, "/images").iter().map(json::plain).collect();
        let repaired = json::flag(damage, "/repaired");
        left += usize::from(!repaired);
        let fate = match (repaired, damage["whyNot"].as_str()) {
            (true, _) => {
                "repaired; containers that run on it see the old files until they start again".to_owned()
            }
            (false, Some(why)) => format!("NOT repaired: {why}"),
            (false, None) => "not repaired; --repair imports it again".to_owned(),
        };
        writeln!(session.out, "{}: {}\n  {fate}", images.join(", "), json::text(damage, "/what"))?;
    }
    let number = |pointer| json::number(&answer, pointer);
    let unknown = match number("/unknown") {
        0 => String::new(),
        count => format!(", {count} of them unpacked by an earlier version and not checkable"),
    };
    writeln!(
        session.out,
        "{} images, {} layers{unknown}, {left} damaged",
        number("/images"),
        number("/layers")
    )?;
    if left == 0 { Ok(()) } else { Err(Failure::Status(super::failure::EXIT_ERROR)) }
}

#[cfg(test)]
mod tests;
