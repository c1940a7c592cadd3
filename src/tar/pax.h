/* The pax records that libarchive 3.6 gets wrong or leaves out, read by
 * ourselves from the same stream (POSIX.1-2017, pax, "pax Interchange Format"):
 * times before 1970 with a fraction, names under hdrcharset=BINARY, and what a
 * global header says of the entries behind it. */
#ifndef BANGER_TAR_PAX_H
#define BANGER_TAR_PAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pax_values {
	bool has_mtime, has_uid, has_gid; /* uid and gid: from a global header only */
	int64_t mtime;                    /* seconds since 1970, rounded down */
	uint32_t nsec;
	int64_t uid;
	int64_t gid;
	char *path; /* the raw records, or NULL */
	char *linkpath;
};

struct pax_scan;

/* NULL when memory is out. */
struct pax_scan *pax_scan_new(void);
void pax_scan_free(struct pax_scan *scan);

/* The next bytes of the tar. What the scan cannot make sense of ends it: it has
 * nothing to say from there on, and libarchive reports what is wrong. */
void pax_scan_feed(struct pax_scan *scan, const void *data, size_t len);

/* What is said of the entry whose first header lies at `offset` of the tar, or
 * NULL. Offsets rise from call to call; valid until the next one. */
const struct pax_values *pax_scan_take(struct pax_scan *scan, uint64_t offset);

#endif
