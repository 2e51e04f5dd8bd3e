//! Finds out what one entry of a source directory offers, without reading its layers if it can be helped: a
//! plain archive is skipped through by seeking; one compressed as a whole is decompressed once, to nowhere.

use super::{
    Offer, Scanned, Target,
    archive::{self, clean},
    docker, names, oci,
};
use crate::{
    bounded::Bounded,
    build::Compression,
    compress::Decoder,
    error::{Doing as _, Error},
    limits::{ARCHIVE_MAX_BYTES, ARCHIVE_MAX_MEMBERS, JSON_MAX_BYTES, SOURCE_IMAGES_MAX_COUNT},
    tarstream::{Input, TarReader, reading},
};
use std::{io::Read as _, path::Path};

/// containerd's annotation: a full name.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The OCI's annotation: a tag, or a full name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The two files that list an archive's images.
#[derive(Default)]
struct Lists {
    index: Option<Vec<u8>>,
    docker: Option<Vec<u8>>,
}

/// Scans one entry.
pub(crate) fn scan(path: &Path) -> Result<Scanned, Error> {
    let metadata = path.metadata().doing(|| format!("open {}", path.display()))?;
    let lists = if metadata.is_dir() { of_dir(path)? } else { of_archive(path)? };
    let images = offers(path, &lists)?;
    Ok(Scanned { path: path.to_owned(), images })
}

fn of_dir(path: &Path) -> Result<Lists, Error> {
    let opened = super::Opened::open(path, path)?;
    Ok(Lists { index: Some(opened.bytes("index.json", JSON_MAX_BYTES)?), docker: None })
}

fn of_archive(path: &Path) -> Result<Lists, Error> {
    let file = archive::open_file(path)?;
    let what = path.display().to_string();
    match archive::compression(&file).doing(|| format!("read {what}"))? {
        Compression::None => of_members(archive::plain(file, path)?, &what),
        _ => {
            let decoder = Decoder::new(file).map_err(|error| reading(&what, error))?;
            let input = Bounded::new(decoder, "a compressed archive", "ARCHIVE_MAX_BYTES", ARCHIVE_MAX_BYTES);
            of_members(TarReader::new(input, what.clone(), ARCHIVE_MAX_MEMBERS as u64), &what)
        }
    }
}

fn of_members<R: Input>(mut reader: TarReader<R>, what: &str) -> Result<Lists, Error> {
    let mut lists = Lists::default();
    while let Some(member) = reader.next_member()? {
        let list = match clean(&member.path).as_slice() {
            b"index.json" => &mut lists.index,
            b"manifest.json" => &mut lists.docker,
            _ => continue,
        };
        if member.size > JSON_MAX_BYTES {
            return Err(Error::limit(
                format!("{} in {what}", member.shown()),
                "JSON_MAX_BYTES",
                JSON_MAX_BYTES,
            ));
        }
        let mut bytes = Vec::with_capacity(member.size as usize);
        reader.read_to_end(&mut bytes).map_err(|error| reading(what, error))?;
        *list = Some(bytes);
        if lists.index.is_some() && lists.docker.is_some() {
            break;
        }
    }
    Ok(lists)
}

/// An archive may be in both forms at once (docker since version 25): then its OCI index counts.
fn offers(path: &Path, lists: &Lists) -> Result<Vec<Offer>, Error> {
    let what = |member: &str| format!("{member} in {}", path.display());
    match (&lists.index, &lists.docker) {
        (Some(index), _) => {
            let index = oci::parse_index(&what("index.json"), index)?;
            Ok(index.manifests.into_iter().map(|descriptor| oci_offer(path, descriptor)).collect())
        }
        (None, Some(list)) => {
            let items = docker::parse(&what("manifest.json"), list)?;
            Ok(items.into_iter().map(|item| docker_offer(path, item)).collect())
        }
        (None, None) => {
            let why = "it is neither an OCI archive (no index.json) nor a docker archive (no manifest.json)";
            Err(Error::unsupported(path.display().to_string(), why))
        }
    }
}

fn oci_offer(path: &Path, descriptor: oci::Descriptor) -> Offer {
    let annotation = |key| descriptor.annotations.as_ref().and_then(|all| all.get(key)).map(String::as_str);
    let (full, short) = (annotation(CONTAINERD_NAME), annotation(REF_NAME));
    let name = match names::of_annotations(full, short, path) {
        None if full.is_none() && short.is_none() => names::of_file(path),
        name => name,
    };
    Offer { names: name.into_iter().collect(), target: Target::Oci(descriptor) }
}

fn docker_offer(path: &Path, item: docker::Item) -> Offer {
    let tags = item.repo_tags.as_deref().unwrap_or_default();
    let mut names: Vec<_> = tags
        .iter()
        .take(SOURCE_IMAGES_MAX_COUNT)
        .filter_map(|tag| crate::Reference::parse(tag).ok())
        .collect();
    if tags.is_empty() {
        names.extend(names::of_file(path));
    }
    Offer { names, target: Target::Docker(item) }
}
