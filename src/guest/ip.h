/* ip= of the kernel's command line, read as the kernel reads it where it has
 * CONFIG_IP_PNP (its Documentation/admin-guide/nfs/nfsroot.rst). */
#ifndef BANGER_GUEST_IP_H
#define BANGER_GUEST_IP_H

#include <netinet/in.h>

#include "guest/text.h"

#define IP_SERVERS 2

/* Addresses are in network order, 0 where there is none. */
struct ip {
	bool none; /* nothing is to be done */
	in_addr_t client;
	in_addr_t gateway;
	in_addr_t netmask; /* that of the address's class where it was not given */
	in_addr_t servers[IP_SERVERS];
	char host[65];
	char device[16]; /* "": the first there is */
};

/* CLIENT:SERVER:GATEWAY:NETMASK:HOST:DEVICE:AUTOCONF:DNS0:DNS1:NTP, of which fields may be
 * empty or cut off at the end, or AUTOCONF alone. Without a client it is DHCP's to give
 * one, but where AUTOCONF is "off" or "none". The server and what is after the second
 * name server are left out. -1 with the reason. */
int ip_parse(struct ip *ip, const char *text, struct why *why);

/* The netmask of the address's class: as it was before networks had masks. */
in_addr_t ip_class_mask(in_addr_t address);

/* "nameserver 10.0.2.3\n" and so on, as /proc/net/pnp has it. */
void ip_servers(char text[IP_SERVERS * 32], const struct ip *ip);

#endif
