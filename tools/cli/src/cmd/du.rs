// SPDX-License-Identifier: GPL-2.0
//! `vserver du`.

use std::process::ExitCode;

use vserver::du;

use crate::args::Du;
use crate::output::{self, bytes};

/// `vserver du`
pub(crate) fn du(args: &Du, json: bool) -> anyhow::Result<ExitCode> {
    let usages = args.dir.iter().map(|dir| du::usage(dir, args.cross_mounts));
    let all = usages.collect::<Result<Vec<_>, _>>()?;
    if json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = all.into_iter().map(|usage| {
        [
            bytes(usage.own.bytes),
            usage.own.files.to_string(),
            bytes(usage.shared.bytes),
            usage.shared.files.to_string(),
            usage.path.display().to_string(),
        ]
    });
    let heads = [">OWN", ">INODES", ">SHARED", ">INODES", "TREE"];
    output::table(heads, rows.collect())?;
    Ok(ExitCode::SUCCESS)
}
