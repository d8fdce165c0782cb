// SPDX-License-Identifier: GPL-2.0
//! Arguments of the commands that make and remove guests.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `vserver build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver build web --suite trixie --include systemd-sysv,nginx
  vserver build db --clone web
  vserver build old --tar rootfs.tar.xz
  vserver build app --oci app.tar          (docker save, skopeo copy ... oci-archive:app.tar)
  vserver build shop --template webserver  (/etc/vserver/templates/webserver.toml)

A template is a guest's file; its table [build] says what the guest is made of. init.style becomes
what /sbin/init of the tree is: systemd, sysv, or, where there is none, small. That one runs nothing
by itself, but for what init.command says.")]
pub(crate) struct Build {
    /// The guest's name
    #[arg(value_name = "NAME")]
    pub(crate) guest: String,
    /// Of the packages of this suite of Debian: bookworm, trixie
    #[arg(long, group = "source")]
    pub(crate) suite: Option<String>,
    /// Where its packages come from [default: what debootstrap takes]
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Option<String>,
    /// More packages, comma-separated
    #[arg(long, value_name = "PACKAGES", value_delimiter = ',')]
    pub(crate) include: Vec<String>,
    /// Which packages without being named, as debootstrap(8) has it [default: minbase]
    #[arg(long)]
    pub(crate) variant: Option<String>,
    /// Of an archive of a root directory
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) tar: Option<PathBuf>,
    /// Of an image of a container, in an archive
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) oci: Option<PathBuf>,
    /// A copy of another guest, with its configuration, but not autostart
    #[arg(long, value_name = "GUEST", group = "source")]
    pub(crate) clone: Option<String>,
    /// With the configuration of a template: a name, or a file with a / in its name
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "clone")]
    pub(crate) template: Option<String>,
    /// Start it when the host boots
    #[arg(long)]
    pub(crate) autostart: bool,
}

/// Arguments of `vserver delete`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver delete web
  vserver delete --yes --keep-tree web")]
pub(crate) struct Delete {
    /// Don't ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Leave the tree where it is
    #[arg(long)]
    pub(crate) keep_tree: bool,
    /// The guest's name
    #[arg(value_name = "NAME")]
    pub(crate) guest: String,
}
