#include "guest/ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define FIELDS       9 /* those that are looked at */
#define TEXT_LONGEST 512

enum { CLIENT, SERVER, GATEWAY, NETMASK, HOST, DEVICE, AUTOCONF, FIRST_SERVER };

/* ---- one field --------------------------------------------------------------------------- */

static int address(in_addr_t *to, const char *field, const char *what, struct why *why)
{
	struct in_addr in = {0};

	if (*field && inet_pton(AF_INET, field, &in) != 1)
		return why_set(why, "ip=: %s '%s' is no IPv4 address", what, field);
	*to = in.s_addr;
	return 0;
}

static int copy(char *to, size_t room, const char *field, const char *what, struct why *why)
{
	if (strlen(field) >= room)
		return why_set(why, "ip=: %s '%s' is longer than %zu bytes", what, field, room - 1);
	memcpy(to, field, strlen(field) + 1);
	return 0;
}

static bool is_none(const char *how)
{
	return strcmp(how, "off") == 0 || strcmp(how, "none") == 0;
}

static int autoconf(struct ip *ip, const char *how, struct why *why)
{
	static const char *const known[] = {"", "on", "any", "dhcp", "bootp", "both"};

	ip->none = !ip->client && is_none(how);
	if (is_none(how))
		return 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(how, known[i]) == 0)
			return 0;
	return why_set(why, "ip=: '%s' is no way to get an address: it is off, dhcp or on", how);
}

/* ---- all of them ------------------------------------------------------------------------- */

/* In place; the fields that are not there are empty. */
static void split(const char *fields[FIELDS], char *text)
{
	for (int i = 0; i < FIELDS; i++) {
		char *colon = strchr(text, ':');

		fields[i] = text;
		if (colon)
			*colon = '\0';
		text = colon ? colon + 1 : text + strlen(text);
	}
}

in_addr_t ip_class_mask(in_addr_t address)
{
	in_addr_t host = ntohl(address);

	return htonl(IN_CLASSA(host)   ? IN_CLASSA_NET
		     : IN_CLASSB(host) ? IN_CLASSB_NET
				       : IN_CLASSC_NET);
}

static int check_mask(const struct ip *ip, const char *field, struct why *why)
{
	in_addr_t hosts = ~ntohl(ip->netmask);

	return (hosts & (hosts + 1)) ? why_set(why, "ip=: '%s' is no netmask", field) : 0;
}

int ip_parse(struct ip *ip, const char *text, struct why *why)
{
	char buffer[TEXT_LONGEST];
	const char *fields[FIELDS];

	*ip = (struct ip){0};
	if (strlen(text) >= sizeof(buffer))
		return why_set(why, "ip=: its value is longer than %d bytes", TEXT_LONGEST - 1);
	memcpy(buffer, text, strlen(text) + 1);
	if (!strpbrk(text, ":."))
		return autoconf(ip, text, why);
	split(fields, buffer);
	if (address(&ip->client, fields[CLIENT], "the client", why) < 0 ||
		address(&ip->gateway, fields[GATEWAY], "the gateway", why) < 0 ||
		address(&ip->netmask, fields[NETMASK], "the netmask", why) < 0 ||
		check_mask(ip, fields[NETMASK], why) < 0 ||
		copy(ip->host, sizeof(ip->host), fields[HOST], "the host's name", why) < 0 ||
		copy(ip->device, sizeof(ip->device), fields[DEVICE], "the device", why) < 0 ||
		autoconf(ip, fields[AUTOCONF], why) < 0)
		return -1;
	for (int i = 0; i < IP_SERVERS; i++)
		if (address(&ip->servers[i], fields[FIRST_SERVER + i], "the name server", why) < 0)
			return -1;
	if (ip->client && !ip->netmask)
		ip->netmask = ip_class_mask(ip->client);
	return 0;
}

void ip_servers(char text[IP_SERVERS * 32], const struct ip *ip)
{
	char name[INET_ADDRSTRLEN];

	*text = '\0';
	for (int i = 0; i < IP_SERVERS; i++)
		if (inet_ntop(AF_INET, &ip->servers[i], name, sizeof(name)) && ip->servers[i])
			text += sprintf(text, "nameserver %s\n", name);
}
