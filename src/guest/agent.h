/* The agent: what the host asks of a running guest, over vsock or a virtio-serial port.
 * The same program as banger-init, started as `banger-init agent`. */
#ifndef BANGER_GUEST_AGENT_H
#define BANGER_GUEST_AGENT_H

/* `banger-init agent ...`: serve until killed. The exit code when it cannot. */
int agent_main(int argc, char **argv);

/* Start the agent beside the program where /.banger/agent asks for it; called by PID 1
 * once the machine is made. What fails is said, no more. */
void agent_start(void);

#endif
