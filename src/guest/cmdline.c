#include "guest/cmdline.h"

#include <stdlib.h>
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

int cmdline_parse(struct cmdline *cmdline, const char *text, struct why *why)
{
	char *copy = strdup(text), *rest = copy, *word, *value;
	int asked = -1, rc = 0;

	*cmdline = (struct cmdline){.ending = ENDING_POWER_OFF};
	if (!copy)
		return why_set(why, "not enough memory");
	while ((word = next_word(&rest)) && strcmp(word, "--") != 0) {
		if (strcmp(word, "ro") == 0 || strcmp(word, "rw") == 0)
			cmdline->read_only = word[1] == 'o';
		else if ((value = value_of(word, "reboot")) && by_keyboard(value))
			cmdline->ending = ENDING_REBOOT;
		else if ((value = value_of(word, "banger.exit")) && parse_exit(value, &asked) < 0)
			rc = why_set(why, "banger.exit=%s: not reboot, poweroff or halt", value);
	}
	if (asked >= 0)
		cmdline->ending = (enum ending)asked;
	free(copy);
	return rc;
}
