/* Layers of whatever bytes, applied one over another. The first byte says how the
 * rest is taken: as blobs as they are; as tars whose checksums are mended; or as a
 * list of short orders to write tars with few names, which goes deep into
 * whiteouts, links and replacements. Now and then an image is made and e2fsck has
 * the last word. */
#include "fuzz.h"

#include "../c/flaws.h"
#include "../c/tar_make.h"
#include "ext4/mkext4.h"
#include "rootfs/flatten.h"

static struct verifier *verifier;
static char fuzz_dir[64], fuzz_out[96];
static unsigned fuzz_runs;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void clean_up(void)
{
	unlink(fuzz_out);
	rmdir(fuzz_dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err err;

	(void)argc;
	(void)argv;
	verifier = verifier_new(&err);
	snprintf(fuzz_dir, sizeof(fuzz_dir), "%s/fuzz-layer.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CLAIM(verifier && mkdtemp(fuzz_dir), "no start");
	snprintf(fuzz_out, sizeof(fuzz_out), "%s/out.ext4", fuzz_dir);
	atexit(clean_up);
	return 0;
}

static int apply(struct rootfs *rootfs, const uint8_t *data, size_t len, uint8_t how)
{
	struct flatten_options options = {
		.paths = how & 0x40 ? FLATTEN_CLAMP : FLATTEN_SAFE,
		.limits = flatten_default_limits,
	};
	struct flatten_report report;
	struct err err = {0};
	int fd, rc;
	struct blob *blob = fuzz_blob(verifier, data, len, &fd);

	options.limits.bytes = 64 << 20;
	options.limits.depth = 40;
	rc = flatten_layer(rootfs, blob, &options, &report, &err);
	if (!rc)
		flatten_report_free(&report);
	else
		CLAIM(err.code != ERR_NONE && err.msg[0] && !strchr(err.msg, '\n'), "bad error");
	blob_close(blob);
	close(fd);
	return rc;
}

static void make_image(struct rootfs *rootfs, uint8_t how)
{
	struct mkext4_options o = {.minimal = true, .uuid = {1}, .sparse = !(how & 0x20)};
	struct mkext4_info info;
	struct err err;
	bool spent;
	char command[512];
	uint64_t content = 0;

	for (struct tree_node *n = rootfs->tree.root; n; n = tree_next(rootfs->tree.root, n))
		content += S_ISREG(n->inode->mode) ? n->inode->size : 0;
	o.sparse |= content > 32 << 20;
	if (mkext4(&rootfs->tree, rootfs->stage, fuzz_out, &o, &info, &spent, &err) < 0) {
		CLAIM(!strstr(err.msg, "internal"), "%s", err.msg);
		return;
	}
	snprintf(command, sizeof(command), "e2fsck -fn %s > %s.log 2>&1 || { cat %s.log; false; }",
		fuzz_out, fuzz_out, fuzz_out);
	CLAIM(system(command) == 0, "e2fsck is not content");
	snprintf(command, sizeof(command), "%s.log", fuzz_out);
	unlink(command);
	unlink(fuzz_out);
}

static const char *const names[] = {"a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "l", "l/a",
	"l/e/a", "d/l", "d/l/a", ".", "./d/", "d/e/f/g", "..", "a/../b", "/d", "lost+found",
	"d/e/"};
static const char *const targets[] = {
	"d", "/d/e", "..", "../..", "l", "d/l", "a", "nothing", "/", "d/e/a", "./d/../d", "e"};
static const char types[] = "00155512234560";

#define PICK(list, n) ((list)[(n) % (sizeof(list) / sizeof(*(list)))])

/* Three bytes an entry: what, where and whereto. */
static void order(struct tar_make *t, const uint8_t *p)
{
	const char *name = PICK(names, p[1]), *target = NULL, *slash;
	char type = types[p[0] % (sizeof(types) - 1)], marker[64];
	static char big[9000];

	if (type == '1')
		target = PICK(names, p[2]);
	if (type == '2')
		target = PICK(targets, p[2]);
	if (p[0] >= 0xc0) {
		slash = strrchr(name, '/');
		if (p[0] >= 0xe8)
			snprintf(marker, sizeof(marker), "%s/.wh..wh..opq", name);
		else
			snprintf(marker, sizeof(marker), "%.*s.wh.%s",
				slash ? (int)(slash - name + 1) : 0, name,
				slash ? slash + 1 : name);
		tar_header(t, marker, type == '2' ? '0' : type, 0, target);
		return;
	}
	if (type == '0' && p[2]) {
		size_t size = p[2] * (p[2] > 128 ? 33u : 1u);

		memset(big, p[2] & 1 ? 'x' : 0, sizeof(big));
		big[size - 1] = 'y';
		tar_header(t, name, type, size, NULL);
		tar_body(t, big, size);
		return;
	}
	if (p[0] & 0x10)
		tar_pax(t, 'x', "SCHILY.xattr.user.k", p[2] & 1 ? "v" : "", "mtime", "-1.5", NULL);
	tar_header(t, name, type, 0, target);
}

static int apply_orders(struct rootfs *rootfs, const uint8_t *data, size_t len, uint8_t how)
{
	struct tar_make t = {0};
	int rc = 0;

	for (; len >= 3 && !rc; data += 3, len -= 3) {
		if (data[0] == 0xbf && t.len) {
			rc = apply(rootfs, t.data, t.len, how);
			tar_free(&t);
		} else {
			order(&t, data);
		}
	}
	if (!rc && t.len)
		rc = apply(rootfs, t.data, t.len, how);
	tar_free(&t);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rootfs rootfs;
	struct err err;
	const char *flaw;
	int rc = 0;
	uint8_t how, *copy;

	if (len < 2)
		return 0;
	how = *data++;
	len--;
	CLAIM(rootfs_open(&rootfs, fuzz_out, &err) == 0, "%s", err.msg);
	copy = malloc(len);
	memcpy(copy, data, len);
	if (how & 3)
		rc = how & 1 ? apply_orders(&rootfs, copy, len, how)
			     : (fuzz_mend_tar(copy, len), apply(&rootfs, copy, len, how));
	else
		rc = apply(&rootfs, copy, len, how);
	if (!rc && !(how & 1) && how & 0x10)
		rc = apply(&rootfs, copy, len, how);
	free(copy);
	if (!rc) {
		flaw = flaws_of_rootfs(&rootfs);
		CLAIM(!flaw, "%s", flaw);
		if (++fuzz_runs % 64 == 0 || getenv("FUZZ_IMAGE"))
			make_image(&rootfs, how);
	}
	rootfs_close(&rootfs);
	return 0;
}
