// SPDX-License-Identifier: GPL-2.0
//! What a crash inside runs outside: the host's program, on the host, as the host.

use super::calls::call;
use super::{enter, xids};
use crate::harness::Test;
use crate::process::{Status, eventually, spawn};
use crate::tests;
use anyhow::{Result, ensure};
use rustix::fd::AsRawFd as _;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;

pub const TESTS: &[Test] = tests![core_dumps];

const PATTERN: &str = "/proc/sys/kernel/core_pattern";
const PROGRAM: &str = "/tmp/escape-core.sh";
const NOTES: &str = "/tmp/escape-core";

/// The host's pattern, which comes back.
struct Pattern(Vec<u8>);

impl Pattern {
    fn with(pattern: &str) -> Result<Self> {
        let before = fs::read(PATTERN)?;
        fs::write(PATTERN, pattern)?;
        Ok(Self(before))
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        let _ = fs::write(PATTERN, &self.0);
        let _ = fs::remove_file(PROGRAM);
    }
}

/// What the program says of itself and of the dump that it was given.
fn crash(before: impl FnOnce() -> Result<()>) -> Result<String> {
    // Below another root it is reached like this only.
    let shell = File::open("/bin/busybox")?;
    let child = spawn(|| {
        if let Err(e) = before() {
            println!("# {e:#}");
            return 1;
        }
        // Whose memory may still be the host's is not what this is about.
        let (name, script) = (c"sh".as_ptr(), c"kill -SEGV $$".as_ptr());
        let end = std::ptr::null();
        let (words, none) = ([name, c"-c".as_ptr(), script, end], [end]);
        let args = [
            shell.as_raw_fd() as usize,
            c"".as_ptr().addr(),
            words.as_ptr().addr(),
            none.as_ptr().addr(),
            libc::AT_EMPTY_PATH as usize,
        ];
        println!("# execveat: {:?}", call(libc::SYS_execveat, &args));
        1
    })?;
    let notes = format!("{NOTES}-{}", child.id());
    ensure!(child.wait()? == Status::Killed(libc::SIGSEGV));
    let read = || fs::read_to_string(&notes).unwrap_or_default();
    eventually("the program's notes", || read().ends_with('\n'))?;
    let said = read();
    fs::remove_file(&notes)?;
    Ok(said)
}

fn core_dumps() -> Result<()> {
    // Its context, its user, and the first bytes of a core file.
    let script = format!(
        "#!/bin/sh\n\
         b=/bin/busybox\n\
         read -r xid </proc/self/vinfo\n\
         echo \"$xid $($b id -u) $($b head -c 4 | $b od -An -tx1)\" >{NOTES}-$1\n"
    );
    fs::write(PROGRAM, script)?;
    fs::set_permissions(PROGRAM, Permissions::from_mode(0o755))?;
    let _pattern = Pattern::with(&format!("|{PROGRAM} %P"))?;
    let host = crash(|| Ok(()))?;
    ensure!(
        host.starts_with("XID:\t0 0 ") && host.contains("7f 45 4c 46"),
        "{host}"
    );
    // There is no such program below its root.
    let guest = crash(|| {
        enter(xids().0)?;
        rustix::process::chroot("/run")?;
        Ok(())
    })?;
    ensure!(guest == host, "{guest}");
    Ok(())
}
