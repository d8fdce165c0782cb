// SPDX-License-Identifier: GPL-2.0
//! Images of containers: an archive with layers, as `skopeo copy ... oci-archive:` and `docker
//! save` write them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tar::Archive;

use super::{Progress, archive};
use crate::config::{Init, Style};
use crate::error::{Doing, Error, Result};

/// Indexes within indexes are followed so deep.
const DEPTH: usize = 4;

/// A thing in an image, named by the hash of its content.
#[derive(Clone, Debug, Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    architecture: String,
}

/// An index of manifests, or a manifest.
#[derive(Debug, Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// What docker calls its manifest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Docker {
    config: String,
    layers: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    config: Start,
}

/// How what is in the image is started.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Start {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
}

/// An image that was unpacked.
pub(super) struct Unpacked {
    /// How it is started.
    pub(super) init: Init,
    /// As whom it wants to be started, if not as root.
    pub(super) user: Option<String>,
    /// How many files were left out.
    pub(super) left_out: u64,
}

/// Unpacks the image in the file into the directory.
pub(super) fn unpack(path: &Path, root: &Path, progress: &dyn Progress) -> Result<Unpacked> {
    let unpacked = Image::open(path, root).and_then(|mut image| {
        let (config, layers) = image.contents()?;
        let config: Config = image.json(&config)?;
        let mut left_out = 0;
        for (number, layer) in (1..).zip(&layers) {
            left_out += image.layer(layer, number, layers.len(), root, progress)?;
        }
        let mut start = config.config;
        Ok(Unpacked {
            user: start.user.take().filter(|user| !is_root(user)),
            init: init(start),
            left_out,
        })
    });
    unpacked.map_err(|e| archive::about(path, &e))
}

struct Image {
    file: File,
    /// Where in the file the files of the archive are, and how long.
    files: BTreeMap<PathBuf, (u64, u64)>,
}

impl Image {
    fn open(path: &Path, scratch: &Path) -> Result<Self> {
        let doing = || "look for what is in it".to_owned();
        let mut file = archive::open(path)?;
        if let Some(program) = archive::kind(&mut file).doing(doing)? {
            file = unpacked(program, file, scratch)?;
        }
        let mut files = BTreeMap::new();
        let mut archive = Archive::new(&file);
        for entry in archive.entries_with_seek().doing(doing)? {
            let entry = entry.doing(doing)?;
            if entry.header().entry_type().is_file() {
                let name = entry.path().doing(doing)?;
                let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
                files.insert(name, (entry.raw_file_position(), entry.size()));
            }
        }
        Ok(Self { file, files })
    }

    /// The names of its configuration and its layers, the lowest first.
    fn contents(&mut self) -> Result<(String, Vec<String>)> {
        if self.files.contains_key(Path::new("index.json")) {
            let mut index: Index = self.json("index.json")?;
            for _ in 0..DEPTH {
                if let Some(config) = index.config {
                    let layers = index.layers.iter().map(|l| blob(&l.digest));
                    return Ok((blob(&config.digest)?, layers.collect::<Result<_>>()?));
                }
                let ours = |d: &&Descriptor| {
                    let platform = d.platform.as_ref();
                    platform.is_none_or(|p| p.architecture == "amd64")
                };
                let next = index.manifests.iter().find(ours).ok_or_else(|| {
                    Error::Invalid("there is nothing for amd64 in the image".into())
                })?;
                index = self.json(&blob(&next.digest)?)?;
            }
        }
        if self.files.contains_key(Path::new("manifest.json")) {
            let all: Vec<Docker> = self.json("manifest.json")?;
            let first = all.into_iter().next();
            let first = first.ok_or_else(|| Error::Invalid("there is no image in it".into()))?;
            return Ok((first.config, first.layers));
        }
        Err(Error::Invalid(
            "no image: there is neither index.json nor manifest.json in it (a plain archive is \
             for --tar)"
                .into(),
        ))
    }

    fn find(&self, name: &str) -> Result<(u64, u64)> {
        let found = self.files.get(Path::new(name)).copied();
        found.ok_or_else(|| Error::Invalid(format!("{name} is missing in the image")))
    }

    fn json<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        let (at, size) = self.find(name)?;
        self.check(name, at, size)?;
        self.file
            .seek(SeekFrom::Start(at))
            .doing(|| format!("read {name}"))?;
        serde_json::from_reader((&self.file).take(size))
            .map_err(|e| Error::Invalid(format!("{name}: {e}")))
    }

    /// Checks the content of what is named by its hash.
    fn check(&mut self, name: &str, at: u64, size: u64) -> Result<()> {
        let Some(wanted) = name.strip_prefix("blobs/sha256/") else {
            return Ok(());
        };
        let doing = || format!("read {name}");
        self.file.seek(SeekFrom::Start(at)).doing(doing)?;
        let mut hash = Sha256::new();
        io::copy(&mut (&self.file).take(size), &mut hash).doing(doing)?;
        let found: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        match found == wanted {
            true => Ok(()),
            false => Err(Error::Invalid(format!(
                "{name} is damaged: its hash is another"
            ))),
        }
    }

    fn layer(
        &mut self,
        name: &str,
        number: usize,
        of: usize,
        root: &Path,
        progress: &dyn Progress,
    ) -> Result<u64> {
        let doing = || format!("read {name}");
        let (at, size) = self.find(name)?;
        self.check(name, at, size)?;
        self.file.seek(SeekFrom::Start(at)).doing(doing)?;
        progress.begin(&format!("layer {number} of {of}"), Some(size));
        let mut file = self.file.try_clone().doing(doing)?;
        let packed = archive::kind(&mut file).doing(doing)?;
        if packed.is_some_and(|program| program != "gzip") {
            // The program would read beyond the layer.
            let mut alone = scratch(root)?;
            io::copy(&mut (&file).take(size), &mut alone).doing(doing)?;
            alone.rewind().doing(doing)?;
            file = alone;
        }
        archive::unpack_from(file, size, root, true, progress)
    }
}

/// A file without a name, on the disk where the guest will be.
fn scratch(near: &Path) -> Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = open(near, flags, Mode::RUSR | Mode::WUSR);
    file.map(File::from)
        .doing(|| format!("make a temporary file in {}", near.display()))
}

/// The unpacked content of a file.
fn unpacked(program: &str, file: File, near: &Path) -> Result<File> {
    let doing = || format!("unpack the image by {program}");
    let mut whole = scratch(near)?;
    let mut child = archive::unpacker(program, file)?;
    if let Some(mut output) = child.stdout.take() {
        io::copy(&mut output, &mut whole).doing(doing)?;
    }
    archive::end(program, child)?;
    whole.rewind().doing(doing)?;
    Ok(whole)
}

/// The name of the file for a hash `sha256:...`.
fn blob(digest: &str) -> Result<String> {
    match digest.split_once(':') {
        Some((kind, hash)) if kind == "sha256" && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(format!("blobs/sha256/{hash}"))
        }
        _ => Err(Error::Invalid(format!("{digest}: not a hash by sha256"))),
    }
}

/// Whether a user, or a user and a group, is root.
fn is_root(user: &str) -> bool {
    let name = user.split_once(':').map_or(user, |(name, _)| name);
    ["", "0", "root"].contains(&name)
}

/// What an image says of its start, as a guest's init.
fn init(start: Start) -> Init {
    let mut command = start.entrypoint.unwrap_or_default();
    command.extend(start.cmd.unwrap_or_default());
    let env = start.env.unwrap_or_default().into_iter();
    let variables = env.filter_map(|v| {
        let (key, value) = v.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    });
    let workdir = start.working_dir.filter(|d| !d.is_empty());
    Init {
        style: Style::Small,
        command,
        env: variables.collect(),
        workdir: workdir.map(PathBuf::from),
        log: None,
    }
}
