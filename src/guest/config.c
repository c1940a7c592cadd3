#include "guest/config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RTMIN        34 /* musl's own SIGRTMIN is 35 */
#define RTMAX        64
#define STOP_SECONDS 10
#define STOP_LONGEST 86400
#define HOSTNAME_MAX 64
#define ENV_MOST     8192 /* each is compared with each; nobody has so many */
#define PATH_LONGEST 4096

/* ---- signals ----------------------------------------------------------------------------- */

/* RTMIN, RTMIN+n, RTMAX, RTMAX-n. */
static int realtime(const char *name)
{
	bool from_min = strncmp(name, "RTMIN", 5) == 0;
	unsigned long n = 0;

	if (!from_min && strncmp(name, "RTMAX", 5) != 0)
		return -1;
	name += 5;
	if (*name && (*name++ != (from_min ? '+' : '-') || text_number(name, RTMAX - RTMIN, &n)))
		return -1;
	return from_min ? RTMIN + (int)n : RTMAX - (int)n;
}

int config_signal(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{"HUP", SIGHUP},
		{"INT", SIGINT},
		{"QUIT", SIGQUIT},
		{"ILL", SIGILL},
		{"TRAP", SIGTRAP},
		{"ABRT", SIGABRT},
		{"IOT", SIGABRT},
		{"BUS", SIGBUS},
		{"FPE", SIGFPE},
		{"KILL", SIGKILL},
		{"USR1", SIGUSR1},
		{"SEGV", SIGSEGV},
		{"USR2", SIGUSR2},
		{"PIPE", SIGPIPE},
		{"ALRM", SIGALRM},
		{"TERM", SIGTERM},
		{"CHLD", SIGCHLD},
		{"CLD", SIGCHLD},
		{"CONT", SIGCONT},
		{"STOP", SIGSTOP},
		{"TSTP", SIGTSTP},
		{"TTIN", SIGTTIN},
		{"TTOU", SIGTTOU},
		{"URG", SIGURG},
		{"XCPU", SIGXCPU},
		{"XFSZ", SIGXFSZ},
		{"VTALRM", SIGVTALRM},
		{"PROF", SIGPROF},
		{"WINCH", SIGWINCH},
		{"IO", SIGIO},
		{"POLL", SIGIO},
		{"PWR", SIGPWR},
		{"SYS", SIGSYS},
		{"STKFLT", 16},
	};
	unsigned long number;

	if (text_number(name, RTMAX, &number) == 0)
		return number ? (int)number : -1;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(name, names[i].name) == 0)
			return names[i].number;
	return realtime(name);
}

/* ---- files ------------------------------------------------------------------------------- */

static int no_memory(struct why *why)
{
	return why_set(why, "not enough memory");
}

/* A file's strings; none when it is not there. */
static int read_list(struct config *config, struct list *list, const char *dir, const char *name,
	struct why *why)
{
	char path[PATH_LONGEST];
	size_t len;
	char *text;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	text = text_read(path, &len);
	if (!text && errno == ENOENT)
		return 0;
	if (!text)
		return why_set(why, "read %s: %s", path, strerror(errno));
	if (list_add(&config->texts, text) < 0) {
		free(text);
		return no_memory(why);
	}
	return list_split(list, text, len) < 0 ? no_memory(why) : 0;
}

/* A file's only string, else "". */
static int read_one(
	struct config *config, const char **one, const char *dir, const char *name, struct why *why)
{
	struct list list = {0};
	int rc = read_list(config, &list, dir, name, why);

	*one = list.count ? list.items[0] : "";
	if (!rc && list.count > 1)
		rc = why_set(why, "%s/%s: has %zu strings, not one", dir, name, list.count);
	list_free(&list);
	return rc;
}

static int read_stop(struct config *config, const char *dir, struct why *why)
{
	const char *name, *seconds;
	unsigned long number = STOP_SECONDS;

	if (read_one(config, &name, dir, "stop-signal", why) < 0 ||
		read_one(config, &seconds, dir, "stop-timeout", why) < 0)
		return -1;
	config->stop_signal = *name ? config_signal(name) : SIGTERM;
	if (config->stop_signal < 0)
		return why_set(why, "%s/stop-signal: there is no signal '%s'", dir, name);
	if (*seconds && text_number(seconds, STOP_LONGEST, &number) < 0)
		return why_set(why, "%s/stop-timeout: '%s' is not a number of seconds up to %d",
			dir, seconds, STOP_LONGEST);
	config->stop_seconds = (int)number;
	return 0;
}

static int check(struct config *config, const char *dir, struct why *why)
{
	if (*config->native && *config->native != '/')
		return why_set(why, "%s/native: '%s' is not a path from /", dir, config->native);
	if (config->argv.count ? !*config->argv.items[0] : !*config->native)
		return why_set(why, "%s/argv: names no program", dir);
	if (config->env.count > ENV_MOST)
		return why_set(why, "%s/env: has %zu entries, which are more than %d", dir,
			config->env.count, ENV_MOST);
	if (strlen(config->hostname) > HOSTNAME_MAX)
		return why_set(why, "%s/hostname: is longer than %d bytes", dir, HOSTNAME_MAX);
	if (!*config->cwd)
		config->cwd = "/";
	return 0;
}

int config_load(struct config *config, const char *dir, struct why *why)
{
	*config = (struct config){0};
	if (read_list(config, &config->argv, dir, "argv", why) < 0 ||
		read_list(config, &config->env, dir, "env", why) < 0 ||
		read_one(config, &config->cwd, dir, "cwd", why) < 0 ||
		read_one(config, &config->user, dir, "user", why) < 0 ||
		read_one(config, &config->hostname, dir, "hostname", why) < 0 ||
		read_one(config, &config->overlay, dir, "overlay", why) < 0 ||
		read_one(config, &config->native, dir, "native", why) < 0 ||
		read_stop(config, dir, why) < 0)
		return -1;
	return check(config, dir, why);
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->texts.count; i++)
		free(config->texts.items[i]);
	list_free(&config->texts);
	list_free(&config->argv);
	list_free(&config->env);
}
