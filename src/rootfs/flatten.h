/* Applying a layer: the rules of the OCI image specification (layer.md) for
 * whiteouts, and the conformance suite's for all they leave open. */
#ifndef BANGER_ROOTFS_FLATTEN_H
#define BANGER_ROOTFS_FLATTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "rootfs/rootfs.h"
#include "stream/blob.h"
#include "stream/digest.h"

enum flatten_paths {
	FLATTEN_SAFE,   /* absolute names are the image's; ".." in a name is refused */
	FLATTEN_CLAMP,  /* ".." in a name stops at the image's root */
	FLATTEN_STRICT, /* refuse absolute names and links that climb above the root too */
};

struct flatten_limits {
	uint32_t layers;  /* of the image */
	uint32_t depth;   /* of directories */
	uint64_t entries; /* of all layers */
	uint64_t bytes;   /* of all layers' tar streams */
};

extern const struct flatten_limits flatten_default_limits;

struct flatten_progress {
	uint64_t consumed; /* compressed bytes */
	int64_t size;      /* compressed, or BLOB_SIZE_UNKNOWN */
	uint64_t unpacked; /* tar bytes */
	uint64_t entries;
};

struct flatten_options {
	const char *diff_id; /* expected, or NULL */
	enum flatten_paths paths;
	bool strict; /* whatever would be noted is an error */
	struct flatten_limits limits;
	/* Called about ten times a second; -1 stops. May be NULL. */
	int (*tick)(void *arg, const struct flatten_progress *progress, struct err *err);
	void *arg;
};

enum flatten_action {
	FLATTEN_SKIPPED, /* nothing of the entry is in the image */
	FLATTEN_ALTERED, /* it is there, but not as the layer has it */
	FLATTEN_NOTED,   /* it is there as it is, and worth a look */
};

struct flatten_note {
	enum flatten_action action;
	char *entry;
	char *reason;
};

#define FLATTEN_NOTES_MAX 10000

struct flatten_report {
	uint32_t layer; /* from 1 */
	char diff_id[DIGEST_TEXT_SIZE];
	uint64_t entries; /* of the tar, whiteouts included */
	uint64_t files, directories, symlinks, hardlinks, devices;
	uint64_t whiteouts; /* markers of both kinds */
	uint64_t replaced;  /* names that something else stood under */
	uint64_t skipped;
	uint64_t bytes;      /* of file contents */
	uint64_t unpacked;   /* of the tar stream */
	uint64_t compressed; /* of the blob */
	struct flatten_note *notes;
	size_t note_count;
	uint64_t notes_dropped; /* past FLATTEN_NOTES_MAX */
};

/* Apply the blob as the next layer, following it while it arrives. Fails with
 * ERR_LAYER for what a layer may not hold, ERR_DIGEST for bytes that are not
 * what they should be; the message names the layer and the entry. A failure
 * marks the rootfs as failed. The report is filled on success; free it. */
int flatten_layer(struct rootfs *rootfs, struct blob *blob, const struct flatten_options *options,
	struct flatten_report *report, struct err *err);
void flatten_report_free(struct flatten_report *report);

#endif
