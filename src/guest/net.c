#include "guest/net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"

/* The kernel gives it 127.0.0.1 and ::1 by itself. */
static int raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -1;
	rc = ioctl(fd, SIOCGIFFLAGS, &request);
	if (!rc) {
		request.ifr_flags |= IFF_UP;
		rc = ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
	return rc;
}

static int write_file(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
	size_t len = strlen(text);
	int rc;

	if (fd < 0)
		return -1;
	rc = write(fd, text, len) == (ssize_t)len ? 0 : -1;
	return close(fd) < 0 ? -1 : rc;
}

void net_start(void)
{
	if (raise_loopback() < 0)
		say("no loopback interface: %s", strerror(errno));
	/* A kernel without IPv4 has neither. */
	write_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", 0, "0");
	write_file("/proc/sys/net/ipv4/ping_group_range", 0, "0 2147483647");
}

static bool is_server(const char *line)
{
	return strncmp(line, "nameserver", 10) == 0 && (line[10] == ' ' || line[10] == '\t');
}

static bool has_server(const char *text)
{
	for (; text; text = strchr(text, '\n')) {
		text += strspn(text, " \t\n");
		if (is_server(text))
			return true;
	}
	return false;
}

/* The kernel writes 0.0.0.0 for those it was not told of. */
char *net_resolv_conf(const char *resolv, const char *pnp)
{
	char *copy, *rest, *line, *out;
	size_t len = 0;

	if (!pnp || (resolv && has_server(resolv)))
		return NULL;
	rest = copy = strdup(pnp);
	out = calloc(1, strlen(pnp) + 2);
	while (copy && out && (line = text_line(&rest)))
		if (is_server(line) && !strstr(line, " 0.0.0.0"))
			len += (size_t)sprintf(out + len, "%s\n", line);
	free(copy);
	if (len)
		return out;
	free(out);
	return NULL;
}

/* A link to nothing is replaced: what it means to point to is made by a service that
 * does not run here. */
static void write_resolv_conf(const char *text, bool there)
{
	if (!there)
		unlink(RESOLV_CONF);
	if (write_file(RESOLV_CONF, O_CREAT | O_TRUNC, text) < 0)
		say("write %s: %s", RESOLV_CONF, strerror(errno));
}

void net_name_servers(void)
{
	char *pnp = text_read("/proc/net/pnp", NULL);
	char *resolv = pnp ? text_read(RESOLV_CONF, NULL) : NULL;
	char *text = net_resolv_conf(resolv, pnp);

	if (text)
		write_resolv_conf(text, resolv != NULL);
	free(text);
	free(resolv);
	free(pnp);
}
