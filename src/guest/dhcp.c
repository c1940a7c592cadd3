#include "guest/dhcp.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/clock.h"

#define SERVER_PORT 67
#define CLIENT_PORT 68
#define TRIES       4
#define FIRST_WAIT  1000 /* ms for an answer; twice as much each time after */

enum { /* where things are in a message */
	AT_OP = 0,
	AT_TRANSACTION = 4,
	AT_FLAGS = 10,
	AT_YOURS = 16,
	AT_MAC = 28,
	AT_COOKIE = 236,
	AT_OPTIONS = 240,
};

enum { /* options */
	OPTION_PAD = 0,
	OPTION_NETMASK = 1,
	OPTION_GATEWAY = 3,
	OPTION_SERVERS = 6,
	OPTION_ADDRESS = 50,
	OPTION_TYPE = 53,
	OPTION_SERVER = 54,
	OPTION_WANTED = 55,
	OPTION_END = 255,
};

static const unsigned char cookie[4] = {99, 130, 83, 99};

/* ---- messages ---------------------------------------------------------------------------- */

static unsigned char *option(unsigned char *to, int number, const void *value, size_t len)
{
	*to++ = (unsigned char)number;
	*to++ = (unsigned char)len;
	memcpy(to, value, len);
	return to + len;
}

/* The transaction's number is the end of the hardware's address: it is as much one's own. */
void dhcp_write(unsigned char bytes[DHCP_SIZE], const struct dhcp *dhcp)
{
	static const unsigned char wanted[] = {OPTION_NETMASK, OPTION_GATEWAY, OPTION_SERVERS};
	unsigned char type = (unsigned char)dhcp->type, *to = bytes + AT_OPTIONS;

	memset(bytes, 0, DHCP_SIZE);
	bytes[AT_OP] = 1;
	bytes[AT_OP + 1] = 1; /* Ethernet */
	bytes[AT_OP + 2] = DHCP_MAC;
	memcpy(bytes + AT_TRANSACTION, dhcp->mac + 2, 4);
	bytes[AT_FLAGS] = 0x80; /* answer to everybody: there is no address yet */
	memcpy(bytes + AT_MAC, dhcp->mac, DHCP_MAC);
	memcpy(bytes + AT_COOKIE, cookie, sizeof(cookie));
	to = option(to, OPTION_TYPE, &type, 1);
	if (dhcp->type == DHCP_REQUEST) {
		to = option(to, OPTION_ADDRESS, &dhcp->client, 4);
		to = option(to, OPTION_SERVER, &dhcp->server, 4);
	}
	to = option(to, OPTION_WANTED, wanted, sizeof(wanted));
	*to = OPTION_END;
}

static void take_option(struct dhcp *dhcp, int number, const unsigned char *value, size_t len)
{
	if (number == OPTION_TYPE && len == 1)
		dhcp->type = (enum dhcp_type)value[0];
	if (len < 4)
		return;
	if (number == OPTION_NETMASK)
		memcpy(&dhcp->netmask, value, 4);
	else if (number == OPTION_GATEWAY)
		memcpy(&dhcp->gateway, value, 4);
	else if (number == OPTION_SERVER)
		memcpy(&dhcp->server, value, 4);
	else if (number == OPTION_SERVERS)
		for (size_t i = 0; i < IP_SERVERS && 4 * i + 4 <= len; i++)
			memcpy(&dhcp->servers[i], value + 4 * i, 4);
}

int dhcp_read(struct dhcp *dhcp, const unsigned char *bytes, size_t len)
{
	struct dhcp answer = {0};
	size_t at = AT_OPTIONS;

	if (len < AT_OPTIONS || bytes[AT_OP] != 2 ||
		memcmp(bytes + AT_TRANSACTION, dhcp->mac + 2, 4) != 0 ||
		memcmp(bytes + AT_MAC, dhcp->mac, DHCP_MAC) != 0 ||
		memcmp(bytes + AT_COOKIE, cookie, sizeof(cookie)) != 0)
		return -1;
	memcpy(answer.mac, dhcp->mac, DHCP_MAC);
	memcpy(&answer.client, bytes + AT_YOURS, 4);
	while (at < len && bytes[at] != OPTION_END) {
		if (bytes[at] == OPTION_PAD) {
			at++;
			continue;
		}
		if (at + 1 >= len || bytes[at + 1] > len - at - 2)
			return -1;
		take_option(&answer, bytes[at], bytes + at + 2, bytes[at + 1]);
		at += 2u + bytes[at + 1];
	}
	*dhcp = answer;
	return 0;
}

/* ---- asking ------------------------------------------------------------------------------ */

/* No address is needed for this: the interface is the route. */
static int open_socket(const char *device)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), yes = 1;

	if (fd >= 0 &&
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
			(socklen_t)strlen(device) + 1) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof(yes)) == 0 &&
		bind(fd, (struct sockaddr *)&here, sizeof(here)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* An answer of one of the types that are wanted; -1 when the time is over. */
static int receive(int fd, struct dhcp *dhcp, enum dhcp_type a, enum dhcp_type b, int ms)
{
	unsigned char bytes[DHCP_MAX];
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	long long until = now_ms() + ms, left;

	while ((left = until - now_ms()) > 0 && poll(&ready, 1, (int)left) > 0) {
		ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		struct dhcp answer = *dhcp;

		if (len > 0 && dhcp_read(&answer, bytes, (size_t)len) == 0 &&
			(answer.type == a || answer.type == b)) {
			*dhcp = answer;
			return 0;
		}
	}
	return -1;
}

/* Say it until there is an answer. */
static int exchange(int fd, struct dhcp *dhcp, enum dhcp_type a, enum dhcp_type b)
{
	struct sockaddr_in all = {
		.sin_family = AF_INET,
		.sin_port = htons(SERVER_PORT),
		.sin_addr.s_addr = INADDR_BROADCAST,
	};
	unsigned char bytes[DHCP_SIZE];
	int wait = FIRST_WAIT;

	dhcp_write(bytes, dhcp);
	for (int i = 0; i < TRIES; i++, wait *= 2) {
		/* What cannot be sent yet may be later: the link comes up. */
		sendto(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&all, sizeof(all));
		if (receive(fd, dhcp, a, b, wait) == 0)
			return 0;
	}
	return -1;
}

static int ask(int fd, struct dhcp *dhcp, const char *device, struct why *why)
{
	dhcp->type = DHCP_DISCOVER;
	if (exchange(fd, dhcp, DHCP_OFFER, DHCP_OFFER) < 0)
		return why_set(why, "ip=: no DHCP server answers on %s", device);
	dhcp->type = DHCP_REQUEST;
	if (exchange(fd, dhcp, DHCP_ACK, DHCP_NAK) < 0 || dhcp->type == DHCP_NAK || !dhcp->client)
		return why_set(why, "ip=: the DHCP server on %s does not keep its offer", device);
	return 0;
}

static int hardware_address(int fd, struct dhcp *dhcp, const char *device)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, device, strnlen(device, sizeof(request.ifr_name) - 1));
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return -1;
	memcpy(dhcp->mac, request.ifr_hwaddr.sa_data, DHCP_MAC);
	return 0;
}

int dhcp_ask(struct ip *ip, struct why *why)
{
	struct dhcp dhcp = {0};
	int fd = open_socket(ip->device), rc;

	if (fd < 0 || hardware_address(fd, &dhcp, ip->device) < 0)
		rc = why_set(why, "ip=: ask for DHCP on %s: %s", ip->device, strerror(errno));
	else
		rc = ask(fd, &dhcp, ip->device, why);
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return -1;
	ip->client = dhcp.client;
	ip->netmask = dhcp.netmask;
	if (!ip->gateway)
		ip->gateway = dhcp.gateway;
	if (!ip->servers[0])
		memcpy(ip->servers, dhcp.servers, sizeof(ip->servers));
	return 0;
}
