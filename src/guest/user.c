#include "guest/user.h"

#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ID     4294967294ul /* the one above means "no change" to the kernel */
#define MAX_FIELDS 7
#define SPEC_MAX   256

/* ---- the files --------------------------------------------------------------------------- */

/* Lines of passwd or group as fields, one after the other. */
struct table {
	char *copy;
	char *rest;
	char *fields[MAX_FIELDS]; /* "" for those that a line lacks */
};

static int open_table(struct table *table, const char *text, struct why *why)
{
	table->copy = table->rest = strdup(text ? text : "");
	return table->copy ? 0 : why_set(why, "not enough memory");
}

static void rewind_table(struct table *table, const char *text)
{
	memcpy(table->copy, text ? text : "", text ? strlen(text) + 1 : 1);
	table->rest = table->copy;
}

static bool next(struct table *table)
{
	char *line = text_line(&table->rest);

	if (!line)
		return false;
	for (int i = 0; i < MAX_FIELDS; i++) {
		char *colon = strchr(line, ':');

		table->fields[i] = line;
		if (colon)
			*colon = '\0';
		line = colon ? colon + 1 : line + strlen(line);
	}
	return true;
}

/* The entry of that name, else the first with that number. */
static bool find(struct table *table, const char *text, const char *key)
{
	unsigned long wanted, id;
	bool by_number = text_number(key, MAX_ID, &wanted) == 0;

	for (rewind_table(table, text); next(table);)
		if (*table->fields[0] && strcmp(table->fields[0], key) == 0)
			return true;
	for (rewind_table(table, text); by_number && next(table);)
		if (text_number(table->fields[2], MAX_ID, &id) == 0 && id == wanted)
			return true;
	return false;
}

/* "a, b, c" of the names there are. */
static int unknown(
	struct table *table, const char *text, const char *key, const char *file, struct why *why)
{
	size_t len;

	why_set(why, "%s is not in %s, which has:", key, file);
	len = strlen(why->text);
	for (rewind_table(table, text); next(table);) {
		size_t room = sizeof(why->text) - len;
		int n;

		if (!*table->fields[0])
			continue;
		n = snprintf(why->text + len, room, " %s", table->fields[0]);
		if (n < 0 || (size_t)n >= room)
			break;
		len += (size_t)n;
	}
	if (why->text[len - 1] == ':')
		snprintf(why->text + len, sizeof(why->text) - len, " nobody");
	return -1;
}

static int number_of(const char *field, uint32_t *id)
{
	unsigned long number;

	if (text_number(field, MAX_ID, &number) < 0)
		return -1;
	*id = (uint32_t)number;
	return 0;
}

/* ---- who --------------------------------------------------------------------------------- */

/* The user's part. `name` becomes what passwd calls it, "" when it does not know it. */
static int find_user(struct user *user, char name[SPEC_MAX], const char *key, const char *passwd,
	struct why *why)
{
	struct table table;
	int rc = open_table(&table, passwd, why);

	name[0] = '\0';
	if (!rc && find(&table, passwd, key)) {
		if (number_of(table.fields[2], &user->uid) < 0 ||
			number_of(table.fields[3], &user->gid) < 0)
			rc = why_set(why, "/etc/passwd: the entry of %s is damaged", key);
		if (*table.fields[5])
			snprintf(user->home, sizeof(user->home), "%s", table.fields[5]);
		snprintf(name, SPEC_MAX, "%s", table.fields[0]);
	} else if (!rc && number_of(key, &user->uid) < 0) {
		rc = unknown(&table, passwd, key, "/etc/passwd", why);
	}
	free(table.copy);
	return rc;
}

static int find_group(struct user *user, const char *key, const char *group, struct why *why)
{
	struct table table;
	int rc = open_table(&table, group, why);

	if (!rc && find(&table, group, key)) {
		if (number_of(table.fields[2], &user->gid) < 0)
			rc = why_set(why, "/etc/group: the entry of %s is damaged", key);
	} else if (!rc && number_of(key, &user->gid) < 0) {
		rc = unknown(&table, group, key, "/etc/group", why);
	}
	free(table.copy);
	return rc;
}

static bool lists(char *members, const char *name)
{
	char *save, *member = strtok_r(members, ",", &save);

	while (member && strcmp(member, name) != 0)
		member = strtok_r(NULL, ",", &save);
	return member != NULL;
}

static void add_group(struct user *user, gid_t gid)
{
	for (size_t i = 0; i < user->group_count; i++)
		if (user->groups[i] == gid)
			return;
	if (user->group_count < USER_MAX_GROUPS)
		user->groups[user->group_count++] = gid;
}

static int add_groups(struct user *user, const char *name, const char *group, struct why *why)
{
	struct table table;
	gid_t gid;

	if (open_table(&table, group, why) < 0)
		return -1;
	while (*name && next(&table))
		if (lists(table.fields[3], name) && number_of(table.fields[2], &gid) == 0)
			add_group(user, gid);
	free(table.copy);
	return 0;
}

int user_find(
	struct user *user, const char *spec, const char *passwd, const char *group, struct why *why)
{
	char key[SPEC_MAX], name[SPEC_MAX], *wanted;

	*user = (struct user){.home = "/"};
	if (strlen(spec) >= sizeof(key))
		return why_set(why, "the user's name is longer than %d bytes", SPEC_MAX - 1);
	memcpy(key, spec, strlen(spec) + 1);
	wanted = strchr(key, ':');
	if (wanted)
		*wanted++ = '\0';
	if (find_user(user, name, *key ? key : "0", passwd, why) < 0)
		return -1;
	if (wanted && *wanted) {
		if (find_group(user, wanted, group, why) < 0)
			return -1;
		add_group(user, user->gid);
		return 0;
	}
	add_group(user, user->gid);
	return add_groups(user, name, group, why);
}

/* A user namespace may deny to set groups, where there is nothing to give up by it. */
static bool is_already(const struct user *user)
{
	return getuid() == user->uid && getgid() == user->gid && user->group_count <= 1;
}

int user_become(const struct user *user, struct why *why)
{
	bool groups = setgroups(user->group_count, user->groups) == 0 ||
		      (errno == EPERM && is_already(user));

	if (!groups || setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		return why_set(why, "become %lu:%lu: %s", (unsigned long)user->uid,
			(unsigned long)user->gid, strerror(errno));
	return 0;
}
