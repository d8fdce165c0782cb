// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: who writes to the pages of a file or holds them
 *
 * A file may be unified when nobody can write to it any more, and become an
 * ordinary one in place when nobody else can see what is written then.
 */

#include <linux/dax.h>
#include <linux/folio_batch.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/swap.h>
#include <uapi/linux/magic.h>

#include "internal.h"

/* Is there such a folio in the page cache? @is sees a reference of ours. */
static bool vserver_any_folio(struct address_space *mapping,
			      bool (*is)(struct folio *folio))
{
	struct folio_batch batch;
	bool found = false;
	pgoff_t index = 0;
	unsigned int i;

	folio_batch_init(&batch);
	while (!found && filemap_get_folios(mapping, &index, ULONG_MAX, &batch)) {
		for (i = 0; i < folio_batch_count(&batch) && !found; i++)
			found = is(batch.folios[i]);
		folio_batch_release(&batch);
		cond_resched();
	}
	return found;
}

/*
 * Mapping a small folio often looks like pinning it, so that is subtracted; a
 * large one counts its pins. Those who map or unmap it meanwhile must not hide a
 * pin: both are seen in the map count first.
 */
static bool vserver_folio_is_pinned(struct folio *folio)
{
	int before, refs;

	if (!folio_maybe_dma_pinned(folio))
		return false;
	if (folio_has_pincount(folio))
		return true;
	before = folio_mapcount(folio);
	smp_rmb();	/* with the full barriers of changing either */
	refs = folio_ref_count(folio);
	smp_rmb();	/* as above */
	return refs - min(before, folio_mapcount(folio)) >=
	       GUP_PIN_COUNTING_BIAS;
}

/*
 * Whoever has pinned pages of the file may write to them when the descriptor
 * and the mapping that he did it by have gone. Of pages that are the disk's own
 * any reference counts.
 */
static bool vserver_is_pinned(struct address_space *mapping)
{
	bool pinned;

	if (!dax_mapping(mapping))
		return vserver_any_folio(mapping, vserver_folio_is_pinned);
	filemap_invalidate_lock(mapping);
	pinned = dax_layout_busy_page(mapping);
	filemap_invalidate_unlock(mapping);
	return pinned;
}

/*
 * From here on nobody writes: not through an old descriptor, not through a
 * mapping, no direct I/O is under way, to this file or into its pages. The inode
 * is locked.
 */
int vserver_deny_write(struct inode *inode)
{
	int error;

	if (IS_SWAPFILE(inode) ||
	    !atomic_dec_unless_positive(&inode->i_writecount))
		return -ETXTBSY;
	inode_dio_wait(inode);
	error = filemap_write_and_wait(inode->i_mapping);
	if (!error && vserver_is_pinned(inode->i_mapping))
		error = -ETXTBSY;
	if (error)
		atomic_inc(&inode->i_writecount);
	return error;
}

void vserver_allow_write(struct inode *inode)
{
	atomic_inc(&inode->i_writecount);
}

/* Beside the page cache, who maps it, and the one who looks. */
static bool vserver_folio_is_used(struct folio *folio)
{
	return folio_ref_count(folio) > folio_expected_ref_count(folio) + 1;
}

/*
 * Whoever has spliced pages of the file into a pipe, or pinned them, reads them
 * when the descriptor has gone by which he did it. The inode is locked.
 *
 * A folio on its way to or from the LRU lists looks the same. Of pages that are
 * the disk's own nobody can tell.
 */
bool vserver_is_used(struct address_space *mapping)
{
	if (dax_mapping(mapping))
		return true;
	if (!vserver_any_folio(mapping, vserver_folio_is_used))
		return false;
	lru_add_drain_all();
	return vserver_any_folio(mapping, vserver_folio_is_used);
}

/*
 * f2fs uses large folios for a file that is immutable when its inode is read,
 * and as long as the inode stays it neither lets anybody write to that file nor
 * reads it if the flag has gone.
 */
bool vserver_stays_readonly(const struct inode *inode)
{
	return inode->i_sb->s_magic == F2FS_SUPER_MAGIC &&
	       S_ISREG(inode->i_mode) &&
	       mapping_large_folio_support(inode->i_mapping);
}
