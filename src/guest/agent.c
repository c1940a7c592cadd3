#include "guest/agent.h"

#include "guest/program.h"
#include "guest/text.h"

int agent_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	say("the agent is not built in");
	return PROGRAM_OWN_FAILURE;
}

void agent_start(void)
{
}
