/* The network: what the kernel leaves to do. An interface that has an address already,
 * from a kernel with CONFIG_IP_PNP or from the initramfs, is not touched. */
#ifndef BANGER_GUEST_NET_H
#define BANGER_GUEST_NET_H

#include <stdbool.h>

/* Bring `lo` up, and let programs without privileges have low ports and ping: an image
 * was made where its engine allows both. What fails is said, no more. */
void net_start(void);

/* Do what ip= of the command line says (NULL: nothing), unless the initramfs has. A host's name in
 * it becomes the machine's. What fails is said, no more. */
void net_configure(const char *text);

/* Give /etc/resolv.conf the name servers that the kernel got, or net_configure here or in
 * the initramfs, if it needs any. `native`: an init of the image's own follows. It may
 * make what a link to nothing points to, and a root that is read-only may be its choice;
 * else such a link is replaced. What fails is said, no more. */
void net_name_servers(bool native);

/* The text for resolv.conf: the name servers of `pnp` (as /proc/net/pnp has them), where
 * `resolv` (the text of /etc/resolv.conf; NULL: absent or a link to nothing) has none
 * of its own: what banger-init wrote at an earlier boot is written anew. The rest of
 * `resolv` stays before them. NULL: it is to be left alone. The caller frees it. */
char *net_resolv_conf(const char *resolv, const char *pnp);

#endif
