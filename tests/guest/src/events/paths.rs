// SPDX-License-Identifier: GPL-2.0
//! The paths that the tracepoint tells.

use super::counts::{CLONE, usual};
use super::{is, one, tracer, write};
use crate::process::isolated;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::os::unix::fs::chroot;
use std::path::Path;

/// Also if the caller's root is another.
pub fn paths_are_the_hosts() -> Result<()> {
    let pair = Pair::new("root")?;
    let tracer = tracer()?;
    isolated(|| {
        chroot(&pair.dir)?;
        write(Path::new("/a"))
    })?;
    is(&one(&tracer)?, "path", pair.a.display())
}

/// Who chooses a name can't write into the trace.
pub fn paths_are_one_word() -> Result<()> {
    let pair = Pair::new("word")?;
    let name = "a b\tc\\\nd: vserver_cow_break: path=e";
    let path = pair.dir.join(name);
    fs::rename(&pair.a, &path)?;
    let tracer = tracer()?;
    write(&path)?;
    let escaped = "a\\040b\\011c\\134\\012d:\\040vserver_cow_break:\\040path=e";
    is(&one(&tracer)?, "path", pair.dir.join(escaped).display())
}

/// The end of a long path is what tells most.
pub fn paths_are_cut() -> Result<()> {
    let pair = Pair::new("cut")?;
    let top = root().join("cut-top");
    let mut path = top.clone();
    for _ in 0..12 {
        path.push("d".repeat(250));
    }
    fs::create_dir_all(&path)?;
    path.push("a");
    fs::rename(&pair.a, &path)?;
    let tracer = tracer()?;
    write(&path)?;
    let event = one(&tracer)?;
    fs::remove_dir_all(&top)?;
    let traced = event.get("path").context("no path")?;
    let end = traced.strip_prefix("...").context("not cut")?;
    ensure!(traced.len() == 2048, "{}", traced.len());
    ensure!(path.display().to_string().ends_with(end), "{traced}");
    is(
        &event,
        "how",
        if usual() == CLONE { "clone" } else { "copy" },
    )
}
