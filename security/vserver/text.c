// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: files of /proc that nobody waits for
 *
 * Removing an entry of /proc waits for those who are just reading it, and they
 * may take for ever: where their memory comes from is their own affair. So the
 * text is made when a file is opened, and read from the opened file, which has
 * nothing to do with the entry any more.
 */

#include <linux/export.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/vserver.h>

struct vserver_text {
	size_t len;
	char buf[] __counted_by(len);
};

static ssize_t vserver_text_read(struct kiocb *iocb, struct iov_iter *to)
{
	const struct vserver_text *text = iocb->ki_filp->private_data;
	size_t copied;

	if (iocb->ki_pos >= text->len || !iov_iter_count(to))
		return 0;
	copied = copy_to_iter(text->buf + iocb->ki_pos,
			      text->len - iocb->ki_pos, to);
	iocb->ki_pos += copied;
	return copied ?: -EFAULT;
}

static loff_t vserver_text_llseek(struct file *file, loff_t offset, int whence)
{
	const struct vserver_text *text = file->private_data;

	return fixed_size_llseek(file, offset, whence, text->len);
}

static int vserver_text_release(struct inode *inode, struct file *file)
{
	kvfree(file->private_data);
	return 0;
}

static const struct file_operations vserver_text_fops = {
	.llseek = vserver_text_llseek,
	.read_iter = vserver_text_read,
	.splice_read = copy_splice_read,
	.release = vserver_text_release,
};

/**
 * vserver_open_text - give an opened file of /proc its text
 * @file:	the file; called from its proc_open()
 * @show:	prints the text; runs again if there was too little room for it.
 *		Given the data of the entry.
 *
 * May sleep. The file is read by built-in code only, and does not hold up the
 * removal of its entry.
 *
 * Return: 0, -ENOMEM, or the error of @show.
 */
int vserver_open_text(struct file *file,
		      int (*show)(struct seq_file *m, void *data))
{
	void *data = pde_data(file_inode(file));
	struct seq_file m = { .file = file };
	struct vserver_text *text;
	int error;

	for (m.size = PAGE_SIZE - sizeof(*text);; m.size = 2 * m.size) {
		text = kvmalloc(struct_size(text, buf, m.size),
				GFP_KERNEL_ACCOUNT);
		if (!text)
			return -ENOMEM;
		text->len = m.size;
		m.buf = text->buf;
		m.count = 0;
		error = show(&m, data);
		if (error) {
			kvfree(text);
			return error;
		}
		if (!seq_has_overflowed(&m))
			break;
		kvfree(text);
	}
	text->len = m.count;
	file->private_data = text;
	replace_fops(file, &vserver_text_fops);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_open_text);
