// SPDX-License-Identifier: GPL-2.0
//! Archives, packed or not.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use flate2::read::MultiGzDecoder;

use super::{Progress, confined, unpack};
use crate::error::{Doing, Error, Result};

/// How packed files begin, and the program that unpacks them; gzip we can do.
const PACKED: [(&[u8], &str); 4] = [
    (&[0x1f, 0x8b], "gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
    (b"BZh", "bzip2"),
];

/// Unpacks the archive in the file into the directory; returns how many files were left out.
pub(super) fn unpack(path: &Path, root: &Path, progress: &dyn Progress) -> Result<u64> {
    let file = open(path)?;
    let size = file.metadata().map_or(0, |m| m.len());
    progress.begin("unpacking", Some(size));
    unpack_from(file, size, root, false, progress).map_err(|e| about(path, &e))
}

/// The error, with the file that it is about.
pub(super) fn about(path: &Path, error: &Error) -> Error {
    let text = format!("{}: {error}", path.display());
    match error.is_full() {
        true => Error::Full(text),
        false => Error::Invalid(text),
    }
}

/// Opens a file, and says which if it can't.
pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::file("open", path, e))
}

/// Unpacks the archive that is the next `size` bytes of the file; with `layer`, over what is there.
pub(super) fn unpack_from(
    mut file: File,
    size: u64,
    root: &Path,
    layer: bool,
    progress: &dyn Progress,
) -> Result<u64> {
    let doing = || "read the archive".to_owned();
    let packed = kind(&mut file).doing(doing)?;
    let (reader, child) = match packed {
        None | Some("gzip") => (file, None),
        Some(program) => {
            let mut child = unpacker(program, file)?;
            let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe);
            let output = output.map_err(io::Error::from).doing(doing)?;
            let output = File::from(std::os::fd::OwnedFd::from(output));
            (output, Some((program, child)))
        }
    };
    let plain = child.is_some();
    let left_out = confined::inside(root, || {
        let counted = Counted {
            from: reader.take(if plain { u64::MAX } else { size }),
            progress,
        };
        match packed {
            Some("gzip") => unpack::unpack(MultiGzDecoder::new(counted), layer),
            _ => unpack::unpack(counted, layer),
        }
    });
    let Some((program, mut child)) = child else {
        return left_out;
    };
    if left_out.is_err() {
        // What more it has nobody reads.
        let _ = child.kill();
    }
    let ended = end(program, child);
    left_out.and_then(|count| ended.map(|()| count))
}

/// The program that unpacks what the file has from here on; none if it is not packed.
pub(super) fn kind(file: &mut File) -> io::Result<Option<&'static str>> {
    let mut begin = [0; 6];
    let at = file.stream_position()?;
    let mut length = 0;
    while length < begin.len() {
        match file.read(&mut begin[length..])? {
            0 => break,
            n => length += n,
        }
    }
    file.seek(SeekFrom::Start(at))?;
    let begin = &begin[..length];
    let found = PACKED.iter().find(|(magic, _)| begin.starts_with(magic));
    Ok(found.map(|(_, program)| *program))
}

/// The program at work on the file.
pub(super) fn unpacker(program: &str, file: File) -> Result<Child> {
    Command::new(program)
        .arg("-dc")
        .stdin(file)
        .stdout(Stdio::piped())
        .spawn()
        .doing(|| format!("run {program}, which unpacks it"))
}

/// Waits for the program, which has to have done all.
pub(super) fn end(program: &str, mut child: Child) -> Result<()> {
    let ended = child.wait().doing(|| format!("wait for {program}"))?;
    match ended.success() {
        true => Ok(()),
        false => Err(Error::Invalid(format!(
            "{program} can't unpack it: is it damaged, or cut off?"
        ))),
    }
}

/// Tells how much was read.
struct Counted<'a, R> {
    from: R,
    progress: &'a dyn Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.progress.advance(n as u64);
        Ok(n)
    }
}
