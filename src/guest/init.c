/* banger-init: PID 1 for an image that has no init of its own. It makes a machine around
 * the image's program, runs it, and ends the machine with it. See config.h for what it
 * is told, and where.
 *
 * Its last line on the console is for whoever started the machine:
 *
 *     banger-init: exit=N signal=S oom=0|1
 *
 * N is the program's exit code, 128+S when signal S killed it, 127 when it was not
 * found, 126 when it cannot be run and 125 when banger-init itself failed, which a line
 * before tells of. S is 0 without a signal. oom is 1 when the kernel killed anything for
 * want of memory.
 *
 * Where /.banger/native is, it hands over to the image's own init once the machine is
 * made; see config.h. As /init of an initramfs it goes before an image's init; see
 * initramfs.h.
 *
 * In a PID namespace it leaves the machine as it is, and ends with that exit code. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent.h"
#include "guest/cmdline.h"
#include "guest/config.h"
#include "guest/initramfs.h"
#include "guest/machine.h"
#include "guest/net.h"
#include "guest/overlay.h"
#include "guest/program.h"
#include "guest/user.h"
#include "guest/watch.h"

#define CONFIG_DIR  "/.banger"
#define OWN_FAILURE (PROGRAM_OWN_FAILURE << 8) /* as a status of waitpid's */
#define FILES_HARD  524288 /* what container engines allow; the kernel's own is 4096 */

/* All there is to know. It lives as long as the machine. */
struct init {
	bool machine;
	struct cmdline cmdline;
	struct config config;
	struct user user;
	struct list env;
	unsigned long oom_kills;
};

/* ---- the program's process --------------------------------------------------------------- */

/* Make a directory and those above it. What cannot be made is found by chdir. */
static void make_dirs(const char *path)
{
	char *copy = strdup(path);

	for (char *at = copy; at && (at = strchr(at + 1, '/'));) {
		*at = '\0';
		mkdir(copy, 0755);
		*at = '/';
	}
	free(copy);
	mkdir(path, 0755);
}

static int enter(const char *dir, struct why *why)
{
	if (chdir("/") < 0)
		return why_set(why, "enter /: %s", strerror(errno));
	if (chdir(dir) == 0)
		return 0;
	make_dirs(dir);
	if (chdir(dir) < 0)
		return why_set(why, "enter the working directory %s: %s", dir, strerror(errno));
	return 0;
}

static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max >= FILES_HARD)
		return;
	files.rlim_max = FILES_HARD;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* The console is the user's, as container engines have it: programs open /dev/stdout. */
static void give_console(uid_t uid)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (uid && isatty(fd) && fchown(fd, uid, (gid_t)-1) < 0)
			say("the console stays root's: %s", strerror(errno));
}

/* Returns only when it cannot be: the exit code, with the reason. */
static int execute(const struct init *init, struct why *why)
{
	const char *path = program_env_get(&init->env, "PATH");
	char file[PROGRAM_PATH_MAX];
	int code = program_find(file, init->config.argv.items[0], path, why);

	if (code)
		return code;
	execve(file, init->config.argv.items, init->env.items);
	return program_explain(file, errno, why);
}

/* A session of its own, so that the console can be its controlling terminal. */
static void run_program(const struct init *init)
{
	struct why why;
	int code = PROGRAM_OWN_FAILURE;

	setsid();
	watch_release();
	if (init->machine) {
		ioctl(STDIN_FILENO, TIOCSCTTY, 1);
		give_console(init->user.uid);
		raise_limits();
	}
	umask(022);
	if (enter(init->config.cwd, &why) == 0 && user_become(&init->user, &why) == 0)
		code = execute(init, &why);
	say("%s", why.text);
	_exit(code);
}

/* ---- before it --------------------------------------------------------------------------- */

static int find_user(struct init *init, struct why *why)
{
	char *passwd = text_read("/etc/passwd", NULL);
	char *group = text_read("/etc/group", NULL);
	int rc = user_find(&init->user, init->config.user, passwd, group, why);

	free(passwd);
	free(group);
	return rc;
}

static int add_default(struct list *defaults, const char *name, const char *value)
{
	char *entry;

	if (!value || !*value)
		return 0;
	if (asprintf(&entry, "%s=%s", name, value) < 0)
		return -1;
	return list_add(defaults, entry);
}

static int make_env(struct init *init, struct why *why)
{
	struct list defaults = {0};
	char name[HOST_NAME_MAX + 1] = "";

	gethostname(name, sizeof(name) - 1);
	if (add_default(&defaults, "PATH", PROGRAM_PATH) < 0 ||
		add_default(&defaults, "HOME", init->user.home) < 0 ||
		add_default(&defaults, "HOSTNAME", name) < 0 ||
		add_default(&defaults, "TERM", getenv("TERM")) < 0 ||
		program_env(&init->env, &defaults, &init->config.env) < 0)
		return why_set(why, "not enough memory");
	list_free(&defaults);
	return 0;
}

/* As much of it as is needed to read the configuration and to say what is wrong. */
static int begin_machine(struct init *init, struct why *why)
{
	int rc = machine_mount_first(why);

	machine_console();
	if (!rc)
		machine_cmdline(&init->cmdline);
	return rc;
}

/* Whether the image's own init makes the machine. */
static bool is_native(const struct config *config)
{
	return *config->native && !config->argv.count;
}

static int make_machine(struct init *init, struct why *why)
{
	bool native = is_native(&init->config);

	if (*init->config.overlay && overlay_mount(init->config.overlay, why) < 0)
		return -1;
	if (!native && machine_mount(why) < 0)
		return -1;
	if (!native) {
		machine_root(&init->cmdline);
		net_start();
	}
	net_configure(init->cmdline.ip);
	net_name_servers(native);
	machine_name(init->config.hostname);
	if (!*init->config.native)
		machine_take_keys();
	return 0;
}

static int prepare(struct init *init, struct why *why)
{
	if (init->machine && begin_machine(init, why) < 0)
		return -1;
	if (config_load(&init->config, CONFIG_DIR, why) < 0)
		return -1;
	if (init->machine && make_machine(init, why) < 0)
		return -1;
	if (*init->config.native)
		return 0;
	if (find_user(init, why) < 0)
		return -1;
	return make_env(init, why);
}

/* ---- from beginning to end --------------------------------------------------------------- */

/* The program's status as waitpid gives it. */
static int run(struct init *init, struct why *why, int *status)
{
	struct watch watch = {
		.stop_signal = init->config.stop_signal,
		.stop_seconds = init->config.stop_seconds,
		.machine = init->machine,
	};

	agent_start(&watch.agent);
	if (init->machine)
		button_open(&watch.button);
	watch.program = fork();
	if (watch.program < 0)
		return why_set(why, "fork: %s", strerror(errno));
	if (watch.program == 0)
		run_program(init);
	*status = watch_run(&watch);
	return 0;
}

/* The last line, and the end. */
static int finish(const struct init *init, int status)
{
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	int code = number ? 128 + number : WEXITSTATUS(status);

	machine_console_reset();
	say("exit=%d signal=%d oom=%d", code, number, machine_oom_kills() != init->oom_kills);
	if (!init->machine)
		return code;
	machine_end(init->cmdline.ending);
}

/* Returns only when the root's init does not take over. */
static void boot(struct init *init, char **argv)
{
	struct why why;

	init->machine = true;
	initramfs_run(&init->cmdline, argv, &why);
	say("%s", why.text);
	finish(init, OWN_FAILURE);
}

/* ---- an init of the image's own ---------------------------------------------------------- */

/* The kernel's environment and the image's, without what says "container" to systemd. */
static int native_env(struct list *env, const struct list *image)
{
	struct list kernel = {0}, both = {0};
	int rc = 0;

	for (char **entry = environ; !rc && *entry; entry++)
		rc = list_add(&kernel, *entry);
	if (!rc)
		rc = program_env(&both, &kernel, image);
	for (size_t i = 0; !rc && i < both.count; i++)
		if (strncmp(both.items[i], "container=", 10) != 0)
			rc = list_add(env, both.items[i]);
	list_free(&kernel);
	list_free(&both);
	return rc;
}

/* It is PID 1 from here on. Returns only when that cannot be: -1 with the reason, and the
 * exit code as a status. */
static int become(struct init *init, char **argv, struct why *why, int *status)
{
	static char *none[] = {NULL};
	struct agent_child agent; /* whose parent is the init from here on */
	char *file = (char *)init->config.native;

	if (native_env(&init->env, &init->config.env) < 0)
		return why_set(why, "not enough memory");
	agent_start(&agent);
	watch_release();
	argv[0] = file;
	execve(file, init->config.argv.count ? init->config.argv.items : argv,
		init->env.items ? init->env.items : none);
	*status = program_explain(file, errno, why) << 8;
	return -1;
}

static int start(struct init *init, char **argv, struct why *why, int *status)
{
	return *init->config.native ? become(init, argv, why, status) : run(init, why, status);
}

int main(int argc, char **argv)
{
	static struct init init;
	struct why why;
	int status = OWN_FAILURE;

	if (argc > 1 && strcmp(argv[1], "agent") == 0)
		return agent_main(argc - 1, argv + 1);
	if (getpid() != 1) {
		say("this is an init: it runs as PID 1 or not at all");
		return PROGRAM_OWN_FAILURE;
	}
	if (initramfs_is_here(argv[0]))
		boot(&init, argv);
	setsid();
	watch_hold();
	init.machine = !machine_is_namespace();
	init.oom_kills = machine_oom_kills();
	if (prepare(&init, &why) < 0 || start(&init, argv, &why, &status) < 0)
		say("%s", why.text);
	watch_end_others();
	return finish(&init, status);
}
