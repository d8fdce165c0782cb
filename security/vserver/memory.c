// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: memory as the caller's memory cgroup has it */

#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/page_counter.h>
#include <linux/sysinfo.h>

#include "internal.h"

/* The tightest limit on @memcg and those above; @total is that of the machine. */
static struct mem_cgroup *vserver_limiting(struct mem_cgroup *memcg,
					   unsigned long total)
{
	struct mem_cgroup *found = NULL;

	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		unsigned long max = READ_ONCE(memcg->memory.max);

		if (max < total) {
			found = memcg;
			total = max;
		}
	}
	return found;
}

/* Swap has limits of its own in the unified hierarchy only. */
static void vserver_swap(struct sysinfo *info, struct mem_cgroup *memcg)
{
	if (!cgroup_subsys_on_dfl(memory_cgrp_subsys))
		return;
	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		unsigned long max = READ_ONCE(memcg->swap.max);
		unsigned long used = page_counter_read(&memcg->swap);

		if (max >= info->totalswap)
			continue;
		info->totalswap = max;
		info->freeswap = min(info->freeswap, max - min(used, max));
	}
}

static void vserver_memory_details(struct vserver_memory *memory,
				   struct mem_cgroup *memcg, unsigned long free,
				   unsigned long total)
{
	memory->cached = memcg_page_state(memcg, NR_FILE_PAGES);
	for (unsigned int i = 0; i < NR_LRU_LISTS; i++)
		memory->lru[i] = memcg_page_state(memcg, NR_LRU_BASE + i);
	/* These two are counted in bytes. */
	memory->sreclaimable = memcg_page_state(memcg, NR_SLAB_RECLAIMABLE_B) >>
			       PAGE_SHIFT;
	memory->sunreclaim = memcg_page_state(memcg, NR_SLAB_UNRECLAIMABLE_B) >>
			     PAGE_SHIFT;
	memory->available = min(total, free + memory->lru[LRU_ACTIVE_FILE] +
				       memory->lru[LRU_INACTIVE_FILE] +
				       memory->sreclaimable);
}

/**
 * vserver_memory - what the caller's memory cgroup lets it have
 * @info:	the machine's memory in pages; changed to what there is of it
 * @memory:	the rest of it, or NULL if nobody asks
 *
 * May sleep.
 *
 * Return: false if nothing but the machine limits the caller, and then nothing
 * has changed.
 */
bool vserver_memory(struct sysinfo *info, struct vserver_memory *memory)
{
	struct mem_cgroup *own, *memcg;
	unsigned long max, used;

	own = get_mem_cgroup_from_mm(current->mm);
	memcg = own ? vserver_limiting(own, info->totalram) : NULL;
	if (!memcg) {
		mem_cgroup_put(own);
		return false;
	}
	mem_cgroup_flush_stats_ratelimited(memcg);
	max = READ_ONCE(memcg->memory.max);
	used = page_counter_read(&memcg->memory);
	info->totalram = min(info->totalram, max);
	info->freeram = info->totalram - min(used, info->totalram);
	info->sharedram = memcg_page_state(memcg, NR_SHMEM);
	info->bufferram = 0;
	vserver_swap(info, own);
	if (memory)
		vserver_memory_details(memory, memcg, info->freeram,
				       info->totalram);
	mem_cgroup_put(own);
	return true;
}
