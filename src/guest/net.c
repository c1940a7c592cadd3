#include "guest/net.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest/dhcp.h"
#include "guest/ip.h"

#define RESOLV_CONF    "/etc/resolv.conf"
#define KEPT           "/run/banger-init.pnp"
#define MARK           "# banger-init, of this boot:\n"
#define DEVICES        "/sys/class/net"
#define DEVICE_SECONDS 5
#define TRIES          20 /* in a second */

static int raise_up(int fd, struct ifreq *request)
{
	if (ioctl(fd, SIOCGIFFLAGS, request) < 0)
		return -1;
	request->ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, request);
}

/* The kernel gives it 127.0.0.1 and ::1 by itself. */
static int raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = fd < 0 ? -1 : raise_up(fd, &request);

	if (fd >= 0)
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

/* ---- an interface ------------------------------------------------------------------------ */

static int is_device(const struct dirent *entry)
{
	char path[sizeof(DEVICES) + sizeof(entry->d_name) + sizeof("/device")];

	snprintf(path, sizeof(path), DEVICES "/%s/device", entry->d_name);
	return entry->d_name[0] != '.' && access(path, F_OK) == 0;
}

/* The first by name that is no invention of the kernel's. */
static void find_first(char name[IF_NAMESIZE])
{
	struct dirent **entries;
	int count = scandir(DEVICES, &entries, is_device, alphasort);

	for (int i = 0; i < count; i++) {
		if (i == 0)
			memcpy(name, entries[i]->d_name,
				strnlen(entries[i]->d_name, IF_NAMESIZE - 1));
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

/* Its driver may still be looking for it. -1: it is not there. */
static int find_device(char name[IF_NAMESIZE])
{
	static const struct timespec pause = {.tv_nsec = 1000000000 / TRIES};

	for (int left = DEVICE_SECONDS * TRIES; left >= 0; left--) {
		if (!*name)
			find_first(name);
		if (*name && if_nametoindex(name))
			return 0;
		nanosleep(&pause, NULL);
	}
	return -1;
}

static int set_address(int fd, struct ifreq *request, unsigned long what, in_addr_t address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};

	memcpy(&request->ifr_addr, &in, sizeof(in));
	return ioctl(fd, (int)what, request);
}

static int add_gateway(int fd, const struct ip *ip, char *device)
{
	struct sockaddr_in gateway = {.sin_family = AF_INET, .sin_addr.s_addr = ip->gateway};
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = device};

	memcpy(&route.rt_dst, &any, sizeof(any));
	memcpy(&route.rt_genmask, &any, sizeof(any));
	memcpy(&route.rt_gateway, &gateway, sizeof(gateway));
	return ip->gateway && ioctl(fd, SIOCADDRT, &route) < 0 ? -1 : 0;
}

static int set_all(int fd, struct ip *ip, struct ifreq *request, struct why *why)
{
	if (set_address(fd, request, SIOCSIFADDR, ip->client) < 0 ||
		set_address(fd, request, SIOCSIFNETMASK, ip->netmask) < 0 ||
		raise_up(fd, request) < 0)
		return why_set(why, "ip=: give %s its address: %s", ip->device, strerror(errno));
	if (add_gateway(fd, ip, ip->device) < 0)
		return why_set(why, "ip=: the gateway cannot be: %s", strerror(errno));
	return 0;
}

static int configure(int fd, struct ip *ip, struct why *why)
{
	struct ifreq request = {0};

	if (find_device(ip->device) < 0)
		return why_set(why, "ip=: there is no network interface %s", ip->device);
	memcpy(request.ifr_name, ip->device, sizeof(request.ifr_name));
	if (ioctl(fd, SIOCGIFADDR, &request) == 0)
		return 0;
	if (!ip->client) {
		if (raise_up(fd, &request) < 0)
			return why_set(why, "ip=: %s: %s", ip->device, strerror(errno));
		if (dhcp_ask(ip, why) < 0)
			return -1;
	}
	if (!ip->netmask)
		ip->netmask = ip_class_mask(ip->client);
	return set_all(fd, ip, &request, why);
}

/* For the PID 1 after an initramfs, which does not try again what was tried. */
static void keep_servers(const struct ip *ip)
{
	char text[IP_SERVERS * 32];

	ip_servers(text, ip);
	if (write_file(KEPT, O_CREAT | O_TRUNC, text) < 0)
		say("write %s: %s", KEPT, strerror(errno));
}

void net_configure(const char *text)
{
	struct why why;
	struct ip ip;
	int fd;

	if (!text || access(KEPT, F_OK) == 0)
		return;
	if (ip_parse(&ip, text, &why) < 0) {
		say("%s", why.text);
		return;
	}
	if (*ip.host && sethostname(ip.host, strlen(ip.host)) < 0)
		say("ip=: the host's name '%s': %s", ip.host, strerror(errno));
	if (ip.none)
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		why_set(&why, "ip=: %s", strerror(errno));
	if (fd < 0 || configure(fd, &ip, &why) < 0)
		say("%s", why.text);
	if (fd >= 0)
		close(fd);
	keep_servers(&ip);
}

/* ---- name servers ------------------------------------------------------------------------ */

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
static size_t add_servers(char *out, char *pnp)
{
	size_t len = 0;
	char *line;

	while ((line = text_line(&pnp)))
		if (is_server(line) && !strstr(line, " 0.0.0.0"))
			len += (size_t)sprintf(out + len, "%s\n", line);
	return len;
}

/* How much of a text is not from an earlier boot. */
static size_t own_len(const char *resolv)
{
	const char *mark = resolv;

	while ((mark = strstr(mark, MARK)) && mark != resolv && mark[-1] != '\n')
		mark++;
	return mark ? (size_t)(mark - resolv) : strlen(resolv);
}

char *net_resolv_conf(const char *resolv, const char *pnp)
{
	char *own = strndup(resolv ? resolv : "", resolv ? own_len(resolv) : 0);
	char *copy = strdup(pnp ? pnp : "");
	char *out = own && copy ? calloc(1, strlen(own) + strlen(copy) + sizeof(MARK) + 3) : NULL;
	size_t len;

	if (out && !has_server(own)) {
		len = (size_t)sprintf(
			out, "%s%s" MARK, own, *own && own[strlen(own) - 1] != '\n' ? "\n" : "");
		len = add_servers(out + len, copy);
	} else {
		len = 0;
	}
	free(own);
	free(copy);
	if (len)
		return out;
	free(out);
	return NULL;
}

static void write_resolv_conf(const char *text, bool there, bool native)
{
	struct stat st;

	if (!there && lstat(RESOLV_CONF, &st) == 0 && (native || unlink(RESOLV_CONF) < 0))
		return;
	if (write_file(RESOLV_CONF, O_CREAT | O_TRUNC, text) < 0 && !(native && errno == EROFS))
		say("write %s: %s", RESOLV_CONF, strerror(errno));
}

void net_name_servers(bool native)
{
	char *pnp = text_read("/proc/net/pnp", NULL);
	char *kept = pnp ? NULL : text_read(KEPT, NULL);
	char *resolv = text_read(RESOLV_CONF, NULL);
	char *text = net_resolv_conf(resolv, pnp ? pnp : kept);

	if (text && (!resolv || strcmp(text, resolv) != 0))
		write_resolv_conf(text, resolv != NULL, native);
	free(text);
	free(resolv);
	free(kept);
	free(pnp);
}
