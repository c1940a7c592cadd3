/* The pax scan beside libarchive over the same bytes, fed in pieces of any size:
 * where both find an entry it lies at the same offset. */
#include "fuzz.h"

#include <archive.h>
#include <archive_entry.h>

/* Its queue is looked at from inside. */
#include "tar/pax.c" /* NOLINT(bugprone-suspicious-include) */

#define ENTRIES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t read_positions(const uint8_t *data, size_t len, uint64_t *at)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	size_t n = 0;
	int rc;

	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	archive_read_support_filter_none(a);
	archive_read_open_memory(a, data, len);
	while (n < ENTRIES_MAX) {
		rc = archive_read_next_header(a, &e);
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			break;
		at[n++] = (uint64_t)archive_read_header_position(a);
	}
	archive_read_free(a);
	return n;
}

static size_t scan_positions(
	struct pax_scan *s, const uint8_t *data, size_t len, uint64_t *at, size_t piece)
{
	size_t n = 0;

	/* So that the scan has something to say of every entry. */
	s->global.has_mtime = true;
	for (size_t i = 0; i < len; i += piece) {
		pax_scan_feed(s, data + i, piece < len - i ? piece : len - i);
		s->global.has_mtime = true;
	}
	for (const struct said *said = s->head; said && n < ENTRIES_MAX; said = said->next)
		at[n++] = said->offset;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint64_t archive[ENTRIES_MAX], scan[ENTRIES_MAX], again[ENTRIES_MAX];
	struct pax_scan *s;
	size_t n, m, k;
	uint8_t *copy;

	if (len < 513)
		return 0;
	copy = malloc(len);
	memcpy(copy, data + 1, len - 1);
	len--;
	if (data[0] & 1)
		fuzz_mend_tar(copy, len);
	n = read_positions(copy, len, archive);
	s = pax_scan_new();
	m = scan_positions(s, copy, len, scan, len);
	for (size_t i = 0; i < m; i++) {
		const struct pax_values *v = pax_scan_take(s, scan[i]);

		CLAIM(v, "an entry of the scan is not to be had");
		CLAIM(!v->path || strlen(v->path) <= len, "a path from nowhere");
	}
	pax_scan_free(s);
	s = pax_scan_new();
	k = scan_positions(s, copy, len, again, data[0] / 2 + 1);
	CLAIM(k == m && !memcmp(scan, again, m * sizeof(*scan)), "pieces make a difference");
	pax_scan_free(s);
	free(copy);
	for (size_t i = 0; i < n && i < m; i++)
		CLAIM(archive[i] == scan[i], "entry %zu: libarchive at %llu, the scan at %llu", i,
			(unsigned long long)archive[i], (unsigned long long)scan[i]);
	return 0;
}
