// SPDX-License-Identifier: GPL-2.0

//! Names: that of a context, and those that `uname(2)` shows inside.
//!
//! Host and domain name are those of the UTS namespace that the context holds, if that is not the
//! host's; those inside may change them there. All others, and these without such a namespace,
//! are kept here and put over the kernel's.

use crate::{space, syscall::Call, Ctx};
use kernel::{
    prelude::*,
    vserver::{
        abi::{self, cmd},
        space::{self as spaces, Name, NAME_SIZE},
    },
};

/// A context's names by `VHIN_*`; one that is empty was not given. Apart from the context, which
/// fits into half the memory without them.
pub(crate) type Names = Option<KBox<[Name; FIELDS]>>;

const FIELDS: usize = abi::VHIN_DOMAINNAME as usize + 1;

/// Those of a context that was given none.
const NONE: [Name; FIELDS] = [[0; NAME_SIZE]; FIELDS];

/// The commands.
///
/// # Errors
///
/// As [`crate::syscall::dispatch`].
pub(crate) fn command(call: &Call<'_>) -> Result<u32> {
    match call.cmd {
        cmd::SET_VHI_NAME => {
            let ctx = call.changeable()?;
            let (field, name) = abi::read_name(call.data)?;
            set(&ctx, field, tidy(name))?;
        }
        cmd::GET_VHI_NAME => {
            let ctx = call.find()?;
            let name = get(&ctx, call.read()?)?;
            abi::write_name(call.data, &name)?;
        }
        _ => return Err(ENOSYS),
    }
    Ok(0)
}

/// A name without what stands behind its end.
fn tidy(mut name: Name) -> Name {
    let end = name.iter().position(|&byte| byte == 0);
    let end = end.unwrap_or(NAME_SIZE - 1);
    for byte in name.iter_mut().skip(end) {
        *byte = 0;
    }
    name
}

/// `set_vhi_name`; an empty name takes a former one back.
///
/// # Errors
///
/// `EINVAL`: no such field. `ENOMEM`.
fn set(ctx: &Ctx, field: u32, name: Name) -> Result {
    let mut names = ctx.names.lock();
    let all = match &mut *names {
        Some(all) => all,
        none => none.insert(KBox::new(NONE, GFP_KERNEL)?),
    };
    *all.get_mut(field as usize).ok_or(EINVAL)? = name;
    drop(names);
    if let Some(space) = space::get(ctx, 0) {
        space.set_names(
            (field == abi::VHIN_NODENAME).then_some(&name),
            (field == abi::VHIN_DOMAINNAME).then_some(&name),
        );
    }
    Ok(())
}

/// `get_vhi_name`: the context's name, or what `uname(2)` says inside.
///
/// # Errors
///
/// `EINVAL`: no such field.
pub(crate) fn get(ctx: &Ctx, field: u32) -> Result<Name> {
    let given = kept(ctx, field).ok_or(EINVAL)?;
    if field == abi::VHIN_CONTEXT {
        return Ok(given);
    }
    let (spaces::Names(names), own) = spaces::names(space::get(ctx, 0).as_deref());
    let in_namespace = own && (field == abi::VHIN_NODENAME || field == abi::VHIN_DOMAINNAME);
    if is_given(&given) && !in_namespace {
        return Ok(given);
    }
    let index = (field as usize).wrapping_sub(abi::VHIN_CONTEXT as usize + 1);
    names.get(index).copied().ok_or(EINVAL)
}

fn is_given(name: &Name) -> bool {
    name.first() != Some(&0)
}

/// The name that goes over the kernel's.
pub(crate) fn given(ctx: &Ctx, field: u32) -> Option<Name> {
    kept(ctx, field).filter(is_given)
}

/// What the context was given in a field that there is.
fn kept(ctx: &Ctx, field: u32) -> Option<Name> {
    let names = ctx.names.lock();
    let all = names.as_deref().unwrap_or(&NONE);
    all.get(field as usize).copied()
}

/// What is printed of a name.
pub(crate) fn text(name: &Name) -> &[u8] {
    name.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[kunit_tests(vserver_names)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_behind_the_end() {
        let mut name = [b'x'; NAME_SIZE];
        assert_eq!(text(&tidy(name)).len(), NAME_SIZE - 1);
        if let Some(byte) = name.get_mut(3) {
            *byte = 0;
        }
        let name = tidy(name);
        assert_eq!(text(&name), b"xxx");
        assert!(name.iter().skip(3).all(|&byte| byte == 0));
    }
}
