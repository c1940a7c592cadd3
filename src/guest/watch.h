/* PID 1's work while the program runs. Only for PID 1: it signals every process. */
#ifndef BANGER_GUEST_WATCH_H
#define BANGER_GUEST_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "guest/agent.h"
#include "guest/button.h"

struct watch {
	pid_t program;
	int stop_signal;
	int stop_seconds;
	bool machine;         /* everybody who sends signals is in it, and asks for its end */
	struct button button; /* empty where there is none */
	struct agent_child agent;
};

/* Hold all signals for watch_run; before the program is started, so that none is lost.
 * In the program, watch_release undoes it and gives every signal its default. */
void watch_hold(void);
void watch_release(void);

/* Wait until the program has ended; its status as waitpid gives it. Everything that
 * ends is reaped, the agent is started again, signals are passed on to the program; SIGTERM, SIGPWR
 * and the SIGINT of Ctrl-Alt-Del send it its stop signal, and after stop_seconds SIGKILL to all. In
 * a machine SIGUSR1 and SIGUSR2 do so too, which are halt's and poweroff's, and the power button.
 */
int watch_run(struct watch *watch);

/* End what is left: SIGTERM, a second, SIGKILL. */
void watch_end_others(void);

#endif
