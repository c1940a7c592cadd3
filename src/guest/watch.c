#include "guest/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#include "guest/clock.h"

#define SECOND      1000ll
#define FOREVER     (-1ll)
#define LAST_SIGNAL 64

/* Blocked signals wait to be fetched, also those that PID 1 would otherwise not get
 * for want of a handler. */
void watch_hold(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

void watch_release(void)
{
	sigset_t none;

	for (int number = 1; number <= LAST_SIGNAL; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The next signal; 0 when the time has come. */
static int next_signal(siginfo_t *info, long long until)
{
	long long left = until == FOREVER ? FOREVER : until - now_ms();
	struct timespec timeout = {0};
	sigset_t all;
	int number;

	if (left > 0)
		timeout = (struct timespec){left / SECOND, (long)(left % SECOND) * 1000000};
	sigfillset(&all);
	do
		number = sigtimedwait(&all, info, left == FOREVER ? NULL : &timeout);
	while (number < 0 && errno == EINTR);
	return number < 0 ? 0 : number;
}

/* Reap all that has ended: true when the program is among it. */
static bool reap(struct watch *watch, int *status)
{
	bool ended = false;
	int raw;
	pid_t pid;

	while ((pid = waitpid(-1, &raw, WNOHANG)) > 0) {
		if (pid == watch->program) {
			*status = raw;
			ended = true;
		} else {
			agent_ended(&watch->agent, pid, raw);
		}
	}
	return ended;
}

/* The kernel's own SIGINT is Ctrl-Alt-Del; anybody else's is for the program. */
static bool asks_to_stop(const struct watch *watch, int number, const siginfo_t *info)
{
	if (number == SIGUSR1 || number == SIGUSR2)
		return watch->machine;
	if (button_owns(&watch->button, info))
		return button_read(&watch->button);
	return number == SIGTERM || number == SIGPWR ||
	       (number == SIGINT && info->si_code == SI_KERNEL);
}

/* Whether a signal is not for us alone. */
static bool is_passed_on(const struct watch *watch, int number, const siginfo_t *info)
{
	return number != SIGCHLD && !button_owns(&watch->button, info);
}

int watch_run(struct watch *watch)
{
	long long kill_at = FOREVER;
	bool stopping = false;
	siginfo_t info;
	int status = 0, number;

	while (!reap(watch, &status)) {
		number = next_signal(&info, kill_at);
		if (number == 0) {
			watch->agent.pid = 0; /* it goes with all others */
			kill(-1, SIGKILL);
			kill_at = FOREVER;
		} else if (asks_to_stop(watch, number, &info)) {
			if (!stopping)
				kill_at = now_ms() + watch->stop_seconds * SECOND;
			stopping = true;
			kill(watch->program, watch->stop_signal);
		} else if (is_passed_on(watch, number, &info)) {
			kill(watch->program, number);
		}
	}
	return status;
}

/* Reap until nobody is left: true, or the time has come. Those whose parents end become
 * ours. */
static bool reap_until(long long until)
{
	struct watch nobody = {0};
	siginfo_t info;
	int status;

	for (;;) {
		reap(&nobody, &status);
		if (waitpid(-1, &status, WNOHANG) < 0 && errno == ECHILD)
			return true;
		if (next_signal(&info, until) == 0)
			return false;
	}
}

void watch_end_others(void)
{
	kill(-1, SIGTERM);
	if (reap_until(now_ms() + SECOND))
		return;
	kill(-1, SIGKILL);
	reap_until(now_ms() + SECOND);
}
