// SPDX-License-Identifier: GPL-2.0
// The structures of the ABI: Rust name, C name, fields.
//
// Included twice, by the build script (which asks the C compiler for sizes and
// offsets) and by the crate (which asserts that its structures have them). Each
// gives its own meaning to `for_each_struct!`.
for_each_struct! {
    VxInfo = vcmd_vx_info_v0 { xid, initpid }
    CtxStat = vcmd_ctx_stat_v0 { usecnt, tasks }
    CtxCreate = vcmd_ctx_create { flagword }
    CtxMigrate = vcmd_ctx_migrate { flagword }
    CtxFlags = vcmd_ctx_flags_v0 { flagword, mask }
    Bcaps = vcmd_bcaps { bcaps, bmask }
    Ccaps = vcmd_ctx_caps_v1 { ccaps, cmask }
    Umask = vcmd_umask { umask, mask }
    CtxKill = vcmd_ctx_kill_v0 { pid, sig }
    WaitExit = vcmd_wait_exit_v0 { reboot_cmd, exit_code }
    Sched = vcmd_sched_v5 {
        mask, cpu_id, bucket_id, fill_rate, interval, tokens, tokens_min, tokens_max, prio_bias
    }
    SchedInfo = vcmd_sched_info {
        cpu_id, bucket_id, user_msec, sys_msec, hold_msec, token_usec, vavavoom
    }
    Rlimit = vcmd_ctx_rlimit_v0 { id, minimum, softlimit, maximum }
    RlimitMask = vcmd_ctx_rlimit_mask_v0 { minimum, softlimit, maximum }
    RlimitStat = vcmd_rlimit_stat_v0 { id, hits, value, minimum, maximum }
    SockStat = vcmd_sock_stat_v0 { field, count, total }
    Badness = vcmd_badness_v0 { bias }
    CtxIattr = vcmd_ctx_iattr_v1 { name, xid, flags, mask }
    DlimitBase = vcmd_ctx_dlimit_base_v0 { name, flags }
    DlimitData = vcmd_ctx_dlimit_v1 {
        name, space_used, space_total, inodes_used, inodes_total, reserved, flags
    }
    QuotaData = vcmd_ctx_quota_v0 {
        name, kind, id, space_used, space_soft, space_hard, space_until, inodes_used, inodes_soft,
        inodes_hard, inodes_until
    }
    QuotaInfoData = vcmd_ctx_quota_info_v0 { name, kind, flags, space_grace, inodes_grace }
    CtxFiattr = vcmd_ctx_fiattr_v0 { xid, flags, mask }
    Unify = vcmd_unify_v0 { fd }
    SpaceMask = vcmd_space_mask_v1 { mask }
    Space = vcmd_space_mask_v2 { mask, index }
    VirtStat = vcmd_virt_stat_v0 {
        offset, uptime, nr_threads, nr_running, nr_uninterruptible, nr_onhold, nr_forks, load
    }
    VhiName = vcmd_vhi_name_v0 { field, name }
    Xattr = vserver_xattr { version, flags, reserved, xid }
}
