/* DHCP, as much as it takes to get an address (RFC 2131, 2132). As the kernel's own ip=dhcp
 * it asks once: the lease is not renewed. */
#ifndef BANGER_GUEST_DHCP_H
#define BANGER_GUEST_DHCP_H

#include "guest/ip.h"

#define DHCP_SIZE 300  /* of what is sent: older servers take no less */
#define DHCP_MAX  1500 /* of what is received */
#define DHCP_MAC  6

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
};

struct dhcp {
	enum dhcp_type type;
	unsigned char mac[DHCP_MAC];
	in_addr_t client; /* the address that is offered, or asked for */
	in_addr_t server; /* who offers it */
	in_addr_t netmask;
	in_addr_t gateway;
	in_addr_t servers[IP_SERVERS];
};

/* The bytes of a DISCOVER, or of a REQUEST of what `dhcp` holds. */
void dhcp_write(unsigned char bytes[DHCP_SIZE], const struct dhcp *dhcp);

/* Read an answer to the interface of dhcp->mac. -1: it is none, or damaged. */
int dhcp_read(struct dhcp *dhcp, const unsigned char *bytes, size_t len);

/* Ask on the interface ip->device, which is up, and fill in what it gives; what `ip` has
 * of name servers and the gateway stays. -1 with the reason. */
int dhcp_ask(struct ip *ip, struct why *why);

#endif
