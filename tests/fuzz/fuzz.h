/* What the fuzzers share. */
#ifndef BANGER_TESTS_FUZZ_H
#define BANGER_TESTS_FUZZ_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "stream/blob.h"
#include "stream/digest.h"

/* A fuzzer's own claims: what is false is a crash with its reason. */
#define CLAIM(what, ...)                                                                           \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "CLAIM: " __VA_ARGS__);                                    \
			fputc('\n', stderr);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The bytes as a blob that says the truth about itself; *fd is the caller's. */
static inline struct blob *fuzz_blob(
	struct verifier *verifier, const uint8_t *data, size_t len, int *fd)
{
	struct err err;
	char text[DIGEST_TEXT_SIZE], path[64];
	struct digest *digest = digest_new(&err);
	struct blob *blob;

	*fd = memfd_create("blob", MFD_CLOEXEC);
	CLAIM(*fd >= 0 && fd_pwrite_all(*fd, data, len, 0) == 0, "no memory file");
	digest_update(digest, data, len);
	digest_final(digest, text);
	digest_free(digest);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	blob = blob_open(verifier, path, text, (int64_t)len, &err);
	CLAIM(blob, "%s", err.msg);
	return blob;
}

/* Make whatever looks like a header of a tar one with a right checksum, so that a
 * mutation gets past the first test of all. */
static inline void fuzz_mend_tar(uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at + 512 <= len) {
		uint8_t *h = data + at;
		uint64_t size = 0;
		unsigned sum = 0;
		char text[8];

		if (!h[0] && !memcmp(h, h + 1, 511)) {
			at += 512;
			continue;
		}
		memset(h + 148, ' ', 8);
		for (int i = 0; i < 512; i++)
			sum += h[i];
		snprintf(text, sizeof(text), "%06o", sum);
		memcpy(h + 148, text, 7);
		for (int i = 124; i < 136 && h[i] >= '0' && h[i] <= '7'; i++)
			size = size * 8 + (h[i] - (uint64_t)'0');
		if (h[156] >= '1' && h[156] <= '6')
			size = 0;
		at += 512 + (size + 511) / 512 * 512;
	}
}

#endif
