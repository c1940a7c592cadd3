/* As whom the program runs. */
#ifndef BANGER_GUEST_USER_H
#define BANGER_GUEST_USER_H

#include <sys/types.h>

#include "guest/text.h"

#define USER_MAX_GROUPS 1024

struct user {
	uid_t uid;
	gid_t gid;
	size_t group_count; /* supplementary ones; the gid is the first of them */
	gid_t groups[USER_MAX_GROUPS];
	char home[256]; /* "/" where passwd has none */
};

/* What "name|uid[:group|gid]" means to the texts of /etc/passwd and /etc/group, either
 * of which may be NULL. As container engines have it: a name goes before a number; a
 * number need not be in the files; without a group it is passwd's, or 0; the groups that
 * list the user count only where no group is given. -1 with the reason, which lists the
 * names there are. */
int user_find(struct user *user, const char *spec, const char *passwd, const char *group,
	struct why *why);

/* Become that user, for good. -1 with the reason. */
int user_become(const struct user *user, struct why *why);

#endif
