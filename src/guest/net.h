/* The network: what the kernel leaves to do. Its own ip= configures interfaces; those
 * are not touched. */
#ifndef BANGER_GUEST_NET_H
#define BANGER_GUEST_NET_H

#include "guest/text.h"

/* Bring `lo` up, and let programs without privileges have low ports and ping: an image
 * was made where its engine allows both. What fails is said, no more. */
void net_start(void);

/* Give /etc/resolv.conf the name servers that the kernel got, if it needs any. What
 * fails is said, no more. */
void net_name_servers(void);

/* The text for resolv.conf: the name servers of `pnp` (the text of /proc/net/pnp), where
 * `resolv` (the text of /etc/resolv.conf; NULL: absent or a link to nothing) has none.
 * NULL: it is to be left alone. The caller frees it. */
char *net_resolv_conf(const char *resolv, const char *pnp);

#endif
