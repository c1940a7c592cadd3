#include "guest/cmdline.h"

#include <stdio.h>
#include <string.h>

/* The next word in place; spaces within double quotes are part of it, as they are to
 * the kernel. NULL at the end. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t\n");
	bool quoted = false;
	char *end;

	if (!*word)
		return NULL;
	for (end = word; *end && (quoted || !strchr(" \t\n", *end)); end++)
		if (*end == '"')
			quoted = !quoted;
	*rest = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

/* The value of name=value; NULL for another word. */
static char *value_of(char *word, const char *name)
{
	size_t len = strlen(name);

	return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

/* "value" in place. */
static char *unquote(char *value)
{
	size_t len = strlen(value);

	if (*value != '"')
		return value;
	if (len > 1 && value[len - 1] == '"')
		value[len - 1] = '\0';
	return value + 1;
}

/* The kernel takes a list and looks at the first letter of each: "k", "t,force". */
static bool by_keyboard(char *value)
{
	char *save, *word = strtok_r(value, ",", &save);

	while (word && *word != 'k')
		word = strtok_r(NULL, ",", &save);
	return word != NULL;
}

static int parse_exit(const char *value, int *ending)
{
	if (strcmp(value, "reboot") == 0)
		*ending = ENDING_REBOOT;
	else if (strcmp(value, "poweroff") == 0)
		*ending = ENDING_POWER_OFF;
	else if (strcmp(value, "halt") == 0)
		*ending = ENDING_HALT;
	else
		return -1;
	return 0;
}

/* The words whose values are only handed on. */
static void keep_value(struct cmdline *cmdline, char *word)
{
	const struct {
		const char *name;
		const char **value;
	} kept[] = {
		{"root", &cmdline->root},
		{"rootfstype", &cmdline->fstype},
		{"rootflags", &cmdline->flags},
		{"init", &cmdline->init},
		{"ip", &cmdline->ip},
	};

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		char *value = value_of(word, kept[i].name);

		if (value)
			*kept[i].value = unquote(value);
	}
}

int cmdline_parse(struct cmdline *cmdline, const char *text, struct why *why)
{
	char *rest = cmdline->words, *word, *value;
	int asked = -1, rc = 0;

	*cmdline = (struct cmdline){.ending = ENDING_POWER_OFF};
	snprintf(cmdline->words, sizeof(cmdline->words), "%s", text);
	while ((word = next_word(&rest)) && strcmp(word, "--") != 0) {
		keep_value(cmdline, word);
		if (strcmp(word, "ro") == 0 || strcmp(word, "rw") == 0) {
			cmdline->read_only = word[1] == 'o';
			cmdline->read_write = !cmdline->read_only;
		} else if ((value = value_of(word, "reboot")) && by_keyboard(value)) {
			cmdline->ending = ENDING_REBOOT;
		} else if ((value = value_of(word, "banger.exit")) &&
			   parse_exit(value, &asked) < 0) {
			rc = why_set(why, "banger.exit=%s: not reboot, poweroff or halt", value);
		}
	}
	if (asked >= 0)
		cmdline->ending = (enum ending)asked;
	return rc;
}
