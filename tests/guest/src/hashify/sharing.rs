// SPDX-License-Identifier: GPL-2.0
//! What is shared, and how it is not any more.

use super::*;
use crate::unified::{UNIFIED, look};
use rustix::fs::{XattrFlags, setxattr};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

pub(super) fn equal_files_share() -> Result<()> {
    for fs in [EXT4, XFS, TMPFS] {
        let trees = Trees::new(fs, "share")?;
        let before = trees.contents()?;
        let dry = trees.vserver(&["hashify", "--dry-run", "--json"], &["a", "b"], 0)?;
        ensure!(number(&dry, &["shared", "files"])? == 2, "{fs}: {dry}");
        ensure!(
            !trees.dir.join(".hash").exists(),
            "{fs}: a dry run made a pool"
        );
        let said = trees.hashify()?;
        ensure!(number(&said, &["shared", "files"])? == 2, "{fs}: {said}");
        ensure!(
            number(&said, &["shared", "bytes"])? >= 300_000,
            "{fs}: {said}"
        );
        for file in ["usr/bin/tool", "usr/lib/small"] {
            ensure!(trees.same("a", "b", file)?, "{fs}: {file}");
            let seen = look(&trees.path("a", file))?;
            ensure!(seen.flags == UNIFIED, "{fs}: {file} {seen:?}");
        }
        ensure!(!trees.same("a", "b", "etc/conf")? && !trees.same("a", "b", "usr/own")?);
        ensure!(trees.contents()? == before, "{fs}: contents");
        ensure!(trees.pool()?.len() == 2);
        let again = trees.hashify()?;
        ensure!(number(&again, &["shared", "files"])? == 0, "{fs}: {again}");
        ensure!(
            number(&again, &["already_shared", "files"])? == 4,
            "{fs}: {again}"
        );
        let check = trees.vserver(&["hashify", "--check"], &["a", "b"], 0)?;
        says(&check, "2 files in the pool, 0 damaged")?;
    }
    Ok(())
}

pub(super) fn guests_modify_their_own() -> Result<()> {
    let trees = Trees::new(EXT4, "modify")?;
    trees.hashify()?;
    fs::write(trees.path("a", "usr/lib/small"), b"a wrote")?;
    ensure!(fs::read(trees.path("b", "usr/lib/small"))? == b"equal in both");
    let status = trees.vserver(&["hashify", "--status", "-v"], &["a", "b"], 0)?;
    says(&status, "not any more: 1 files")?;
    says(&status, "/usr/lib/small")?;
    // Both write the same: they share again, and nobody needs the old one.
    fs::write(trees.path("b", "usr/lib/small"), b"a wrote")?;
    let said = trees.hashify()?;
    ensure!(trees.same("a", "b", "usr/lib/small")?);
    ensure!(number(&said, &["shared", "files"])? == 1, "{said}");
    Ok(())
}

/// Names of files are bytes, in every command; what is said of them is text.
pub(super) fn names_need_not_be_text() -> Result<()> {
    let trees = Trees::new(EXT4, "names")?;
    let strange = Path::new(OsStr::from_bytes(b"usr/d\xff\n/\xfe*?"));
    for tree in ["a", "b"] {
        let path = trees.dir.join(tree).join(strange);
        fs::create_dir(path.parent().context("no directory")?)?;
        fs::write(path, b"of a strange name")?;
    }
    let before = trees.contents()?;
    let ino =
        |tree| Ok::<_, anyhow::Error>(fs::metadata(trees.dir.join(tree).join(strange))?.ino());
    let said = trees.hashify()?;
    ensure!(number(&said, &["shared", "files"])? == 3, "{said}");
    ensure!(ino("a")? == ino("b")?, "hashify");
    fs::write(trees.dir.join("b").join(strange), b"changed")?;
    for args in [
        &["hashify", "--status", "--verbose", "--json"][..],
        &["hashify", "--status", "--verbose"],
    ] {
        let mut command = Command::new("vserver");
        let output = command.args(args).arg(trees.dir.join("b")).output()?;
        ensure!(output.status.success(), "{args:?}: {output:?}");
        let text = String::from_utf8(output.stdout).context("no text")?;
        says(&text, "usr/d")?;
    }
    fs::write(trees.dir.join("b").join(strange), b"of a strange name")?;
    trees.hashify()?;
    trees.vserver(&["clone"], &["a", "c"], 0)?;
    ensure!(ino("a")? == ino("c")?, "clone");
    trees.vserver(&["unhashify"], &["c"], 0)?;
    ensure!(ino("a")? != ino("c")?, "unhashify");
    trees.vserver(&["unify"], &["a", "c"], 0)?;
    ensure!(ino("a")? == ino("c")?, "unify");
    trees.vserver(&["deunify", "-R"], &["c"], 0)?;
    ensure!(ino("a")? != ino("c")?, "deunify");
    trees.vserver(&["cleanup"], &["a", "b", "c"], 0)?;
    fs::remove_dir_all(trees.dir.join("c"))?;
    ensure!(trees.contents()? == before);
    Ok(())
}

pub(super) fn clone_is_made_by_links() -> Result<()> {
    for fs in [EXT4, XFS, TMPFS] {
        let trees = Trees::new(fs, "clone")?;
        trees.hashify()?;
        let before = trees.contents()?;
        let said = trees.vserver(&["clone", "--json"], &["a", "c"], 0)?;
        ensure!(number(&said, &["linked"])? == 3, "{fs}: {said}");
        for file in ["usr/bin/tool", "usr/lib/small", "usr/own"] {
            ensure!(trees.same("a", "c", file)?, "{fs}: {file}");
        }
        ensure!(
            !trees.same("a", "c", "etc/conf")?,
            "{fs}: configuration is its own"
        );
        fs::write(trees.path("c", "usr/own"), b"of c")?;
        fs::write(trees.path("c", "usr/lib/small"), b"of c")?;
        let mut now = trees.contents()?;
        now.retain(|path, _| !path.starts_with(trees.dir.join("c")));
        ensure!(now == before, "{fs}: the others have changed");
        let again = trees.vserver(&["clone"], &["a", "c"], 8)?;
        says(&again, "exists already")?;
        let status = trees.vserver(&["hashify", "--status"], &["a", "b", "c"], 0)?;
        says(&status, "not any more: 1 files")?;
    }
    Ok(())
}

pub(super) fn pool_is_collected() -> Result<()> {
    let trees = Trees::new(XFS, "collect")?;
    trees.hashify()?;
    for tree in ["a", "b"] {
        fs::remove_file(trees.path(tree, "usr/bin/tool"))?;
    }
    let said = trees.vserver(&["hashify", "--gc", "--json"], &["a"], 0)?;
    ensure!(
        number(&said, &["entries"])? == 1 && number(&said, &["bytes"])? >= 300_000,
        "{said}"
    );
    ensure!(trees.pool()?.len() == 1);
    fs::remove_dir_all(trees.dir.join("b"))?;
    fs::remove_file(trees.path("a", "usr/lib/small"))?;
    let said = trees.vserver(&["hashify", "--json"], &["a"], 0)?;
    ensure!(number(&said, &["collected", "entries"])? == 1, "{said}");
    ensure!(trees.pool()?.is_empty());
    Ok(())
}

pub(super) fn unhashify_gives_all_back() -> Result<()> {
    for fs in [EXT4, XFS, TMPFS] {
        let trees = Trees::new(fs, "undo")?;
        let before = trees.contents()?;
        trees.hashify()?;
        let path = trees.path("a", "usr/lib");
        let said = vserver(&["unhashify", "--json"], [path], 0)?;
        ensure!(number(&said, &["copied"])? == 1, "{fs}: {said}");
        ensure!(!trees.same("a", "b", "usr/lib/small")? && trees.same("a", "b", "usr/bin/tool")?);
        let said = trees.vserver(&["unhashify", "--json"], &["a", "b"], 0)?;
        // The last name of each needs no copy.
        ensure!(number(&said, &["copied"])? == 1, "{fs}: {said}");
        ensure!(number(&said, &["cleared"])? == 2, "{fs}: {said}");
        ensure!(trees.pool()?.is_empty(), "{fs}: {:?}", trees.pool()?);
        for path in trees.contents()?.keys() {
            let seen = look(path)?;
            ensure!(seen.flags == 0, "{fs}: {} {seen:?}", path.display());
        }
        ensure!(trees.contents()? == before, "{fs}: contents");
    }
    Ok(())
}

pub(super) fn trees_one_after_another() -> Result<()> {
    let trees = Trees::new(EXT4, "after")?;
    trees.vserver(&["hashify", "--unique"], &["a"], 0)?;
    ensure!(trees.pool()?.len() == 3);
    let said = trees.vserver(&["hashify", "--json"], &["b"], 0)?;
    ensure!(number(&said, &["shared", "files"])? == 2, "{said}");
    ensure!(trees.same("a", "b", "usr/bin/tool")? && trees.same("a", "b", "usr/lib/small")?);
    Ok(())
}

/// As much as a file can have.
pub(super) fn large_attributes() -> Result<()> {
    let trees = Trees::new(XFS, "attributes")?;
    for (file, last) in [("same", 0), ("other", 1)] {
        for (nth, tree) in ["a", "b"].iter().enumerate() {
            trees.write(tree, file, b"content with attributes")?;
            let mut value = vec![5u8; 65_536];
            value[65_535] = last * nth as u8;
            let path = trees.path(tree, file);
            setxattr(&path, "user.large", &value, XattrFlags::empty())?;
        }
    }
    trees.hashify()?;
    ensure!(trees.same("a", "b", "same")?, "equal attributes");
    ensure!(!trees.same("a", "b", "other")?, "their last byte differs");
    ensure!(trees.same("b", "a", "same")? && trees.ino("a", "other")? == trees.ino("a", "same")?);
    fs::write(trees.path("a", "same"), b"a wrote")?;
    let mut value = vec![0; 65_536];
    let length = rustix::fs::getxattr(trees.path("a", "same"), "user.large", &mut value[..])?;
    ensure!(length == 65_536, "the copy has them");
    Ok(())
}
