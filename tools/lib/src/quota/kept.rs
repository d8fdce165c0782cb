// SPDX-License-Identifier: GPL-2.0
//! What a guest's quotas are to be after the next mount: `/var/lib/vserver/quota/NAME.json`.
//!
//! It is written when the guest is stopped and every few minutes meanwhile, if something has changed,
//! and read when the guest is started and the kernel knows nothing any more. What the kernel has wins.
//!
//! A file that can't be read keeps the guest down: nobody would notice that its users have no limits
//! any more, and the next change would overwrite what can still be mended.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Has, Kind, Limit, Quotas, show};
use crate::config::{Guest, Store, store};
use crate::dlimit;
use crate::error::{Error, Result};
use crate::guest::Lock;

/// The form of the file.
const VERSION: u32 = 1;

/// What is kept of the quotas of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    version: u32,
    /// Of its users.
    pub(super) users: Rules,
    /// Of its groups.
    pub(super) groups: Rules,
}

/// What holds for all users, or groups, and for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    pub(super) enforced: bool,
    /// Seconds; the kernel's usual time if there is none.
    pub(super) bytes_grace_sec: Option<u32>,
    pub(super) inodes_grace_sec: Option<u32>,
    /// By id; whoever has none is not here.
    pub(super) limits: BTreeMap<u32, Limits>,
}

/// The limits of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) bytes: Limit,
    pub(super) inodes: Limit,
}

/// What became of the quotas that were to be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Saved {
    /// They are written.
    Written,
    /// They stand there already.
    Unchanged,
    /// The guest has none, or the kernel doesn't know them: what stands there stays.
    Nothing,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            version: VERSION,
            users: Rules::default(),
            groups: Rules::default(),
        }
    }
}

impl Kept {
    fn of(quotas: &Quotas) -> Self {
        Self {
            version: VERSION,
            users: Rules::of(&quotas.users),
            groups: Rules::of(&quotas.groups),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        /// What all forms have in common.
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        let damaged = |e: serde_json::Error| format!("it is damaged: {e}");
        let form: Form = serde_json::from_str(text).map_err(damaged)?;
        if form.version != VERSION {
            return Err(format!(
                "it is of version {}, and this command knows {VERSION}",
                form.version
            ));
        }
        let kept: Self = serde_json::from_str(text).map_err(damaged)?;
        for rules in [&kept.users, &kept.groups] {
            // That would be all there are.
            if rules.limits.contains_key(&u32::MAX) {
                return Err(format!("it is damaged: {} is no id", u32::MAX));
            }
        }
        Ok(kept)
    }
}

impl Rules {
    fn of(kind: &Kind) -> Self {
        let limits = |has: &Has| Limits {
            bytes: has.bytes.limit,
            inodes: has.inodes.limit,
        };
        let all = kind.owners.iter().map(|has| (has.id, limits(has)));
        Self {
            enforced: kind.enforced,
            bytes_grace_sec: Some(kind.bytes_grace_sec),
            inodes_grace_sec: Some(kind.inodes_grace_sec),
            limits: all.filter(|(_, l)| *l != Limits::default()).collect(),
        }
    }
}

fn file(store: &Store, name: &str) -> PathBuf {
    store.state_dir().join("quota").join(format!("{name}.json"))
}

/// What is kept of a guest; nothing if nothing was written down.
pub(crate) fn load(store: &Store, name: &str) -> Result<Kept> {
    let path = file(store, name);
    let text = match fs::read_to_string(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Kept::default()),
        // What is no text is damaged, too.
        Err(e) if e.kind() == ErrorKind::InvalidData => Ok(String::new()),
        text => text,
    };
    let text = text.map_err(|e| Error::file("read", &path, e))?;
    Kept::parse(&text).map_err(|why| {
        Error::Invalid(format!(
            "{}: {why}: these are the quotas of users in {name}; mend it, or bring back another, or \
             remove it, and they have no limits",
            path.display()
        ))
    })
}

/// What is kept of the guest that has this context and its root on the file system of `path`.
pub fn of_context(store: &Store, xid: u32, path: &Path) -> Result<Kept> {
    let place = dlimit::whole(path)?;
    for (name, guest) in store.all()? {
        let Ok(guest) = guest else { continue };
        if store.known_xid(&name, &guest)? != Some(xid) {
            continue;
        }
        let root = dlimit::whole(&store.root(&name, &guest));
        if root.is_ok_and(|root| root == place) {
            return load(store, &name);
        }
    }
    Ok(Kept::default())
}

/// Writes down the quotas of a guest, if they have changed.
///
/// [`Error::Busy`]: another command works on it; who starts it changes nothing that is to be kept, and
/// who stops it writes it down.
pub fn save(store: &Store, name: &str) -> Result<Saved> {
    let guest = store.load(name)?;
    if !guest.disk.quota {
        return Ok(Saved::Nothing);
    }
    let _lock = Lock::take(store, name)?;
    save_locked(store, name, &guest)
}

/// The same of a guest whose lock is held.
pub(crate) fn save_locked(store: &Store, name: &str, guest: &Guest) -> Result<Saved> {
    let Some(xid) = store.known_xid(name, guest)?.filter(|_| guest.disk.quota) else {
        return Ok(Saved::Nothing);
    };
    match show(xid, &store.root(name, guest)) {
        // Its file system is not mounted.
        Err(e) if e.errno() == Some(Errno::NOENT) => Ok(Saved::Nothing),
        Err(e) => Err(e),
        Ok(Some(quotas)) if quotas.counted => write(store, name, &Kept::of(&quotas)),
        // What is kept is not given back yet.
        Ok(_) => Ok(Saved::Nothing),
    }
}

fn write(store: &Store, name: &str, kept: &Kept) -> Result<Saved> {
    // Whatever is wrong with what stands there, the kernel has what holds.
    let path = file(store, name);
    if path.exists() && load(store, name).is_ok_and(|before| before == *kept) {
        return Ok(Saved::Unchanged);
    }
    let text = serde_json::to_string_pretty(kept);
    let text = text.map_err(|e| Error::file("write", &path, e))?;
    store::write_whole(&path, &(text + "\n"))?;
    Ok(Saved::Written)
}

/// Forgets a guest.
pub(crate) fn forget(store: &Store, name: &str) -> Result<()> {
    let path = file(store, name);
    match fs::remove_file(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|e| Error::file("remove", &path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Amount;

    fn quotas() -> Quotas {
        let limited = |used| Has {
            id: 1000,
            bytes: Amount {
                used,
                limit: Limit {
                    soft: 1 << 20,
                    hard: u64::MAX - 2,
                    until: 1_800_000_000,
                },
            },
            inodes: Amount::default(),
        };
        let unlimited = Has {
            id: 0,
            bytes: Amount {
                used: 4096,
                limit: Limit::default(),
            },
            inodes: Amount::default(),
        };
        let kind = |enforced, owners| Kind {
            enforced,
            bytes_grace_sec: 86_400,
            inodes_grace_sec: 604_800,
            owners,
        };
        Quotas {
            counted: true,
            users: kind(true, vec![unlimited, limited(5)]),
            groups: kind(false, Vec::new()),
        }
    }

    fn below() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        (dir, store)
    }

    #[test]
    fn what_is_kept_comes_back() {
        let (_dir, store) = below();
        assert_eq!(load(&store, "web").unwrap(), Kept::default());
        let kept = Kept::of(&quotas());
        assert_eq!(write(&store, "web", &kept).unwrap(), Saved::Written);
        assert_eq!(load(&store, "web").unwrap(), kept);
        assert_eq!(kept.users.limits.keys().collect::<Vec<_>>(), [&1000]);
        assert!(kept.users.enforced && !kept.groups.enforced);
        assert_eq!(write(&store, "web", &kept).unwrap(), Saved::Unchanged);
        // What is used changes all the time.
        let mut more = quotas();
        more.users.owners[1].bytes.used = 50;
        assert_eq!(
            write(&store, "web", &Kept::of(&more)).unwrap(),
            Saved::Unchanged
        );
        more.users.owners[1].bytes.limit.until = 0;
        assert_eq!(
            write(&store, "web", &Kept::of(&more)).unwrap(),
            Saved::Written
        );
        forget(&store, "web").unwrap();
        forget(&store, "web").unwrap();
        assert_eq!(load(&store, "web").unwrap(), Kept::default());
    }

    #[test]
    fn the_form_of_the_file_stays() {
        let text = r#"{
            "version": 1,
            "users": {
                "enforced": true, "bytes_grace_sec": 86400, "inodes_grace_sec": null,
                "limits": { "1000": {
                    "bytes": { "soft": 1048576, "hard": 0, "until": 1800000000 },
                    "inodes": { "soft": 0, "hard": 20, "until": 0 } } }
            },
            "groups": {
                "enforced": false, "bytes_grace_sec": null, "inodes_grace_sec": null, "limits": {}
            }
        }"#;
        let kept = Kept::parse(text).unwrap();
        let ann = kept.users.limits[&1000];
        assert_eq!((ann.bytes.soft, ann.inodes.hard), (1 << 20, 20));
        assert_eq!(kept.users.bytes_grace_sec, Some(86_400));
    }

    #[test]
    fn what_is_damaged_is_said_and_stays() {
        let (_dir, store) = below();
        write(&store, "web", &Kept::of(&quotas())).unwrap();
        let path = file(&store, "web");
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() - 2 {
            fs::write(&path, &whole[..end]).unwrap();
            assert!(load(&store, "web").is_err(), "{end}");
        }
        let told = |text: &[u8]| {
            fs::write(&path, text).unwrap();
            let error = load(&store, "web").unwrap_err().to_string();
            assert!(error.starts_with(path.to_str().unwrap()), "{error}");
            assert_eq!(fs::read(&path).unwrap(), text);
            error
        };
        let whole = String::from_utf8(whole).unwrap();
        let newer = told(whole.replace("\"version\": 1", "\"version\": 2").as_bytes());
        assert!(newer.contains("of version 2"), "{newer}");
        for (from, to) in [
            ("\"1000\"", "\"4294967295\""),
            ("\"1000\"", "\"ann\""),
            ("\"soft\"", "\"soff\""),
            ("1048576", "-1"),
        ] {
            let damaged = told(whole.replace(from, to).as_bytes());
            assert!(damaged.contains("it is damaged: "), "{damaged}");
        }
        told(b"\xff\xfe");
        told(b"");
        // The kernel's are written all the same.
        let saved = write(&store, "web", &Kept::of(&quotas())).unwrap();
        assert_eq!(saved, Saved::Written);
        assert_eq!(load(&store, "web").unwrap(), Kept::of(&quotas()));
    }

    #[test]
    fn a_guest_without_quotas_has_nothing_to_keep() {
        let (_dir, store) = below();
        store.save("web", "xid = 7").unwrap();
        assert_eq!(save(&store, "web").unwrap(), Saved::Nothing);
        assert!(matches!(save(&store, "db"), Err(Error::NoGuest(_))));
        store.save("new", "[disk]\nquota = true").unwrap();
        // It was never started.
        assert_eq!(save(&store, "new").unwrap(), Saved::Nothing);
    }
}
