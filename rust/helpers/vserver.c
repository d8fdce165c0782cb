// SPDX-License-Identifier: GPL-2.0

#include <linux/compat.h>
#include <linux/math64.h>
#include <linux/seq_file.h>
#include <linux/vserver.h>

__rust_helper int
rust_helper_vserver_ctx_tasks(const struct vserver_ctx *ctx)
{
	return vserver_ctx_tasks(ctx);
}

__rust_helper unsigned int
rust_helper_vserver_ctx_usage(const struct vserver_ctx *ctx)
{
	return vserver_ctx_usage(ctx);
}

__rust_helper u32 rust_helper_vserver_ctx_forks(const struct vserver_ctx *ctx)
{
	return vserver_ctx_forks(ctx);
}

/* Rust prints pointers as they are; "%p" hashes them. */
__rust_helper void
rust_helper_seq_print_hashed(struct seq_file *m, const void *ptr)
{
	seq_printf(m, "%p", ptr);
}

__rust_helper bool
rust_helper_in_compat_syscall(void)
{
	return in_compat_syscall();
}

__rust_helper u64
rust_helper_mul_u64_u64_div_u64(u64 a, u64 mul, u64 div)
{
	return mul_u64_u64_div_u64(a, mul, div);
}
