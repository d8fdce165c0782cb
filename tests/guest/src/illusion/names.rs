// SPDX-License-Identifier: GPL-2.0
//! The names of the machine that a context is told.

use super::{XID, end, guest, lines};
use crate::process::{isolated, sleep_forever};
use crate::raw;
use crate::unified::expect;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::system::{sethostname, uname};
use rustix::thread::UnshareFlags;
use std::ffi::CStr;
use std::fs;
use vserver_abi as abi;

const FIELDS: [(u32, &str, &str); 6] = [
    (abi::VHIN_SYSNAME, "ostype", "SysName"),
    (abi::VHIN_NODENAME, "hostname", "NodeName"),
    (abi::VHIN_RELEASE, "osrelease", "Release"),
    (abi::VHIN_VERSION, "version", "Version"),
    (abi::VHIN_MACHINE, "arch", "Machine"),
    (abi::VHIN_DOMAINNAME, "domainname", "DomainName"),
];

fn sysctl(name: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).context(name.to_owned())?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// What `uname(2)` and /proc/sys say, which must be one.
fn uname_fields() -> Result<[String; 6]> {
    let all = uname();
    let fields = [
        all.sysname(),
        all.nodename(),
        all.release(),
        all.version(),
        all.machine(),
        all.domainname(),
    ]
    .map(|name| name.to_string_lossy().into_owned());
    for ((_, file, _), name) in FIELDS.iter().zip(&fields) {
        let found = sysctl(file)?;
        ensure!(found == *name, "{file}: {found} instead of {name}");
    }
    Ok(fields)
}

pub fn names_inside() -> Result<()> {
    let before = uname_fields()?;
    let other = guest(XID + 1, 0, || sleep_forever())?;
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        ensure!(uname_fields()? == before);
        for (i, (field, ..)) in FIELDS.into_iter().enumerate() {
            ensure!(abi::get_vhi_name(XID, field)? == before[i]);
            let name = format!("name {field}");
            abi::set_vhi_name(XID, field, &name)?;
            ensure!(abi::get_vhi_name(XID, field)? == name);
            let mut wanted = before.clone();
            wanted[i] = name;
            let found = uname_fields()?;
            ensure!(found == wanted, "{found:?} instead of {wanted:?}");
            // An empty name takes it back.
            abi::set_vhi_name(XID, field, "")?;
            ensure!(abi::get_vhi_name(XID, field)? == before[i]);
            ensure!(uname_fields()? == before);
        }
        abi::set_vhi_name(XID, abi::VHIN_RELEASE, "2.6.99")?;
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        ensure!(uname_fields()?[2] == "2.6.99");
        Ok(())
    })?;
    ensure!(uname_fields()? == before, "the host's names have changed");
    isolated(|| {
        abi::ctx_migrate(XID + 1, 0)?;
        ensure!(uname_fields()? == before);
        Ok(())
    })?;
    end(other)
}

/// A system call of a 32-bit program, with one argument.
fn call_32(number: u32, argument: u32) -> i32 {
    let result: i32;
    // SAFETY: the calls made here write to the memory that the argument is the address of.
    unsafe {
        std::arch::asm!(
            "xchg {argument:r}, rbx",
            "int 0x80",
            "xchg {argument:r}, rbx",
            argument = inout(reg) u64::from(argument) => _,
            inlateout("eax") number as i32 => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

pub fn names_of_old_calls() -> Result<()> {
    isolated(|| {
        // SAFETY: a mapping of its own, where a 32-bit pointer can point.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            )
        };
        ensure!(page != libc::MAP_FAILED);
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        for (field, name) in [
            (abi::VHIN_SYSNAME, "first"),
            (abi::VHIN_RELEASE, "a longer name"),
            (abi::VHIN_MACHINE, "fifth"),
        ] {
            abi::set_vhi_name(XID, field, name)?;
        }
        // oldolduname, olduname, newuname: the size of a field and how many there are.
        for (number, size, count) in [(59, 9, 5), (109, 65, 5), (122, 65, 6)] {
            // SAFETY: nothing else refers to the mapping.
            let bytes = unsafe { std::slice::from_raw_parts_mut(page.cast::<u8>(), 4096) };
            bytes.fill(b'#');
            let ret = call_32(number, u32::try_from(page as usize)?);
            ensure!(ret == 0, "{number}: {ret}");
            let name = |i: usize| {
                let field = bytes
                    .get(i * size..)
                    .and_then(|b| CStr::from_bytes_until_nul(b).ok());
                field.map(|name| name.to_string_lossy().into_owned())
            };
            let long = &"a longer name"[..13.min(size - 1)];
            ensure!(
                name(0).as_deref() == Some("first"),
                "{number}: {:?}",
                name(0)
            );
            ensure!(name(2).as_deref() == Some(long), "{number}: {:?}", name(2));
            ensure!(
                name(4).as_deref() == Some("fifth"),
                "{number}: {:?}",
                name(4)
            );
            ensure!(bytes[size * count] == b'#', "{number} wrote too much");
        }
        Ok(())
    })
}

pub fn name_limits() -> Result<()> {
    let guest = guest(XID, 0, || sleep_forever())?;
    for field in [7, 8, 99, u32::MAX] {
        expect(abi::set_vhi_name(XID, field, "x"), Errno::INVAL)?;
        expect(abi::get_vhi_name(XID, field), Errno::INVAL)?;
    }
    let long = "n".repeat(64);
    for field in 0..7 {
        abi::set_vhi_name(XID, field, &long)?;
        ensure!(abi::get_vhi_name(XID, field)? == long);
        // All 65 bytes without an end, and an end with something behind.
        let mut data = [b'y'; 72];
        data[..4].copy_from_slice(&field.to_ne_bytes());
        raw::vserver(abi::VCMD_set_vhi_name, XID, data.as_ptr() as usize)?;
        ensure!(abi::get_vhi_name(XID, field)? == "y".repeat(64));
        data[7] = 0;
        raw::vserver(abi::VCMD_set_vhi_name, XID, data.as_ptr() as usize)?;
        let mut answer = [b'z'; 72];
        answer[..4].copy_from_slice(&field.to_ne_bytes());
        raw::vserver(abi::VCMD_get_vhi_name, XID, answer.as_mut_ptr() as usize)?;
        ensure!(answer[4..8] == *b"yyy\0", "{answer:?}");
        ensure!(answer[8..69].iter().all(|&b| b == 0), "{answer:?}");
        ensure!(answer[69..] == *b"zzz", "{answer:?}");
    }
    end(guest)
}

/// With a UTS namespace of its own, host and domain name are there, where those inside may change
/// them; the others are still the context's.
pub fn names_in_a_namespace() -> Result<()> {
    let before = uname_fields()?;
    isolated(|| {
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        abi::set_space(XID, libc::CLONE_NEWUTS as u64, 0)?;
        abi::set_vhi_name(XID, abi::VHIN_NODENAME, "node")?;
        abi::set_vhi_name(XID, abi::VHIN_DOMAINNAME, "domain")?;
        abi::set_vhi_name(XID, abi::VHIN_RELEASE, "release")?;
        let names = uname_fields()?;
        ensure!(names[1] == "node" && names[2] == "release" && names[5] == "domain");
        sethostname(b"changed")?;
        ensure!(uname_fields()?[1] == "changed");
        ensure!(abi::get_vhi_name(XID, abi::VHIN_NODENAME)? == "changed");
        ensure!(abi::get_vhi_name(XID, abi::VHIN_DOMAINNAME)? == "domain");
        fs::write("/proc/sys/kernel/hostname", "written")?;
        ensure!(uname_fields()?[1] == "written");
        Ok(())
    })?;
    ensure!(uname_fields()? == before, "the host's names have changed");
    Ok(())
}

/// In a namespace that the context does not hold, nobody inside is told the host's names.
pub fn names_in_a_process_namespace() -> Result<()> {
    isolated(|| {
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        sethostname(b"own")?;
        abi::ctx_create(XID, 0)?;
        is_named_own()
    })?;
    // Nor another one than uname(2) does.
    isolated(|| {
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        sethostname(b"own")?;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        abi::set_vhi_name(XID, abi::VHIN_NODENAME, "given")?;
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        ensure!(uname_fields()?[1] == "own");
        is_named_own()
    })
}

fn is_named_own() -> Result<()> {
    let cvirt = lines(format!("/proc/virtual/{XID}/cvirt"))?;
    let name = cvirt.get("NodeName").context("no NodeName")?;
    ensure!(name == "own", "{name}");
    Ok(())
}

pub fn who_may_name() -> Result<()> {
    let guest = guest(XID, 0, || sleep_forever())?;
    isolated(|| {
        abi::ctx_create(XID + 1, abi::VXF_STATE_SETUP)?;
        expect(abi::set_vhi_name(XID, 1, "x"), Errno::SRCH)?;
        expect(abi::get_vhi_name(XID, 1), Errno::SRCH)?;
        expect(abi::virt_stat(XID), Errno::SRCH)?;
        ensure!(fs::read(format!("/proc/virtual/{XID}/cvirt")).is_err());
        ensure!(lines(format!("/proc/virtual/{}/cvirt", XID + 1))?.contains_key("loadavg"));
        abi::set_bcaps(XID + 1, !0, !0)?;
        abi::set_cflags(XID + 1, 0, abi::VXF_STATE_SETUP)?;
        expect(abi::set_vhi_name(XID + 1, 1, "x"), Errno::PERM)
    })?;
    isolated(|| {
        // SAFETY: the process has one thread.
        ensure!(unsafe { libc::setresuid(1000, 1000, 1000) } == 0);
        expect(abi::set_vhi_name(XID, 1, "x"), Errno::PERM)?;
        expect(abi::get_vhi_name(XID, 1), Errno::PERM)?;
        expect(abi::virt_stat(XID), Errno::PERM)
    })?;
    end(guest)
}

pub fn cvirt_shows_names() -> Result<()> {
    let guest = guest(XID, 0, || sleep_forever())?;
    abi::set_vhi_name(XID, abi::VHIN_VERSION, "#1 of ours")?;
    let file = lines(format!("/proc/virtual/{XID}/cvirt"))?;
    for (i, (field, _, key)) in FIELDS.into_iter().enumerate() {
        let wanted = match field {
            abi::VHIN_VERSION => "#1 of ours".to_owned(),
            _ => uname_fields()?[i].clone(),
        };
        ensure!(
            file[key] == wanted,
            "{key}: {} instead of {wanted}",
            file[key]
        );
    }
    end(guest)
}
