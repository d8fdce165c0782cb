// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: keys stay within a context
 *
 * Also those that a session keyring brought along. What the kernel allocated
 * for itself is everybody's, as far as the key's own permissions go.
 */

#include <linux/cred.h>
#include <linux/key-type.h>
#include <linux/key.h>
#include <linux/string.h>
#include <linux/user_namespace.h>

#include "internal.h"

static struct vserver_key *vserver_key_object(const struct key *key)
{
	return key->security + vserver_blob_sizes.lbs_key;
}

/* Each user has these for as long as the user namespace lives. */
static bool vserver_is_users_own(const struct key *key, unsigned long flags)
{
	return flags & KEY_ALLOC_UID_KEYRING ||
	       (flags & KEY_ALLOC_NOT_IN_QUOTA &&
		key->type == &key_type_keyring &&
		strstarts(key->description, "_persistent."));
}

/*
 * key_alloc. The key that authorises somebody to make another one is for a
 * program that the kernel starts on the host: not with a guest's arguments.
 */
int vserver_key_alloc(struct key *key, const struct cred *cred,
		      unsigned long flags)
{
	const struct vserver_ctx *ctx = vserver_cred(cred)->ctx;
	u64 owner = vserver_owner(ctx);

	if (ctx && !strcmp(key->type->name, ".request_key_auth"))
		return -ENOKEY;
	if (vserver_is_users_own(key, flags)) {
		/* Those of the host's users are the host's, whoever is first. */
		if (ctx && cred->user_ns == &init_user_ns)
			return -EACCES;
	} else if (cred == kernel_cred() || flags & KEY_ALLOC_NOT_IN_QUOTA) {
		owner = VSERVER_OWNER_ALL;
	}
	vserver_key_object(key)->owner = owner;
	return 0;
}

/* key_permission: may be called under RCU, and on behalf of others. */
int vserver_key_permission(key_ref_t key_ref, const struct cred *cred,
			   enum key_need_perm need)
{
	u64 owner = vserver_key_object(key_ref_to_ptr(key_ref))->owner;

	if (owner == VSERVER_OWNER_ALL ||
	    owner == vserver_owner(vserver_cred(cred)->ctx))
		return 0;
	return -EACCES;
}
