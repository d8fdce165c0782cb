// SPDX-License-Identifier: GPL-2.0
/* Names: what is set can be got, and is what uname(2) says inside. */

#include "effects.h"

static int names_stick(void)
{
	struct vcmd_vhi_name_v0 name = { .field = VHIN_CONTEXT };

	memset(name.name, 'x', sizeof(name.name));
	if (vserver(VCMD_set_vhi_name, XID, &name))
		return 0;
	memset(name.name, 0, sizeof(name.name));
	if (vserver(VCMD_get_vhi_name, XID, &name))
		return 0;
	return strlen(name.name) == 64 && name.name[63] == 'x';
}

/* A field of uname(2). */
static const char *system_name(const struct utsname *system, unsigned int field)
{
	switch (field) {
	case VHIN_SYSNAME:
		return system->sysname;
	case VHIN_NODENAME:
		return system->nodename;
	case VHIN_RELEASE:
		return system->release;
	case VHIN_VERSION:
		return system->version;
	case VHIN_MACHINE:
		return system->machine;
	default:
		return system->domainname;
	}
}

static int has_name(unsigned int field, const char *expected_name)
{
	struct vcmd_vhi_name_v0 name = { .field = field };

	memset(name.name, '?', sizeof(name.name));
	return expect(!vserver(VCMD_get_vhi_name, VX_XID_SELF, &name)) &&
	       expect(name.field == field) &&
	       expect(!strcmp(name.name, expected_name));
}

static int set_name(unsigned int field, const char *text)
{
	struct vcmd_vhi_name_v0 name = { .field = field };

	memcpy(name.name, text, strlen(text));
	return expect(!vserver(VCMD_set_vhi_name, VX_XID_SELF, &name));
}

/* Nothing is given, then a name, then it is taken back. */
static int change_names(const void *arg)
{
	struct utsname real, shown;
	unsigned int field;
	char text[] = "name-0";

	go(SETUP);
	uname(&real);
	for (field = VHIN_SYSNAME; field <= VHIN_DOMAINNAME; field++) {
		text[5] = '0' + field;
		if (!has_name(field, system_name(&real, field)) ||
		    !set_name(field, text) || !has_name(field, text))
			return 0;
		uname(&shown);
		if (!expect(!strcmp(system_name(&shown, field), text)) ||
		    !set_name(field, "") ||
		    !has_name(field, system_name(&real, field)))
			return 0;
	}
	return 1;
}

static int names_are_shown(void)
{
	return child(change_names, NULL) == 1;
}

static int unknown_names_are_refused(void)
{
	struct vcmd_vhi_name_v0 name = { .field = VHIN_DOMAINNAME + 1 };

	return expect(vserver(VCMD_set_vhi_name, XID, &name) == -EINVAL) &&
	       expect(vserver(VCMD_get_vhi_name, XID, &name) == -EINVAL);
}

const struct effect name_effects[] = {
	EFFECT(names_stick),
	EFFECT(names_are_shown),
	EFFECT(unknown_names_are_refused),
	{}
};
