#include "rootfs/flatten.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "rootfs/layer.h"
#include "rootfs/place.h"

/* Of one entry, names included; far more than ext4 can hold. */
#define XATTRS_MAX ((size_t)64 << 10)

/* Removed files are punched by 16 MiB or more while a layer goes on. */
#define TRIM_BLOCKS (((uint64_t)16 << 20) / LAYOUT_BLOCK_SIZE)

const struct flatten_limits flatten_default_limits = {
	.layers = 512,
	.depth = RESOLVE_DEPTH_MAX,
	.entries = 20000000,
	.bytes = (uint64_t)256 << 30,
};

/* ---- progress, limits ------------------------------------------------------------ */

static int tick(struct layer *l, struct err *err)
{
	struct flatten_progress p = {
		.consumed = l->inflate ? inflate_consumed(l->inflate) : 0,
		.unpacked = l->tar ? tar_reader_bytes(l->tar) : 0,
		.entries = l->report->entries,
	};
	struct blob_progress blob;
	int64_t now = clock_ms();

	if (interrupt_check(err) < 0)
		return -1;
	if (!l->options->tick)
		return 0;
	if (now - l->ticked < 100 && !l->ended)
		return 0;
	l->ticked = now;
	blob_progress(l->blob, &blob);
	p.size = blob.size;
	return l->options->tick(l->options->arg, &p, err);
}

static int count_entry(struct layer *l, struct err *err)
{
	l->report->entries++;
	if (++l->rootfs->entries > l->options->limits.entries)
		return err_set(err, ERR_LAYER,
			"the layers have more than %llu entries (limit entries)",
			(unsigned long long)l->options->limits.entries);
	return l->report->entries % 256 == 0 ? tick(l, err) : 0;
}

/* ---- names ----------------------------------------------------------------------- */

/* Clean a name of the layer by the options' rules. `what` is "name" or "hard link
 * target". */
int layer_clean_name(
	struct layer *l, const char *name, const char *what, struct buf *out, struct err *err)
{
	enum flatten_paths paths = l->options->paths;
	bool dotdot = false;

	if (resolve_clean(name, out, TREE_NAME_MAX + WHITEOUT_PREFIX_LEN, &dotdot, err) < 0)
		return layer_entry_prefix(l, err);
	if (dotdot && paths != FLATTEN_CLAMP)
		return layer_entry_error(l, err,
			"the %s%s%s has a \"..\" in it (paths = \"clamp\" stops it at the root)",
			what, name == l->raw ? "" : " ", name == l->raw ? "" : name);
	if (dotdot && layer_note(l, err, FLATTEN_ALTERED,
			      "the %s has a \"..\", stopped at the root", what) < 0)
		return -1;
	if (name[0] != '/')
		return 0;
	if (paths == FLATTEN_STRICT)
		return layer_entry_error(
			l, err, "the %s is absolute (refused by paths = \"strict\")", what);
	return layer_note(
		l, err, FLATTEN_NOTED, "the %s is absolute, taken from the image's root", what);
}

/* Whether a link's target goes above the root by "..", read from the directory
 * that the link lies in. */
static bool climbs(const struct tree_node *dir, const char *target)
{
	int64_t depth = target[0] == '/' ? 0 : (int64_t)tree_depth(dir);
	const char *p = target;

	while (*p) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			depth--;
		else if (n > 0 && !(n == 1 && p[0] == '.'))
			depth++;
		if (depth < 0)
			return true;
		p += n + (p[n] == '/');
	}
	return false;
}

/* ---- metadata -------------------------------------------------------------------- */

static int set_times(
	struct layer *l, const struct tar_entry *e, struct tree_inode *inode, struct err *err)
{
	inode->mtime = e->mtime;
	inode->nsec = e->mtime_nsec;
	if (e->mtime >= ENTRY_TIME_MIN && e->mtime <= ENTRY_TIME_MAX)
		return 0;
	inode->mtime = e->mtime < ENTRY_TIME_MIN ? ENTRY_TIME_MIN : ENTRY_TIME_MAX;
	inode->nsec = 0;
	return layer_note(
		l, err, FLATTEN_ALTERED, "mtime %lld is out of ext4's range", (long long)e->mtime);
}

static int set_owner(
	struct layer *l, const struct tar_entry *e, struct tree_inode *inode, struct err *err)
{
	/* 2^32 - 1 is "no owner" to every system call. */
	if (e->uid < 0 || e->uid >= UINT32_MAX)
		return layer_entry_error(l, err, "uid %lld is out of range", (long long)e->uid);
	if (e->gid < 0 || e->gid >= UINT32_MAX)
		return layer_entry_error(l, err, "gid %lld is out of range", (long long)e->gid);
	inode->uid = (uint32_t)e->uid;
	inode->gid = (uint32_t)e->gid;
	return 0;
}

static int set_xattrs(struct layer *l, struct tree_inode *inode, struct err *err)
{
	struct tar_xattr x;
	size_t total = 0;

	inode->xattrs = NULL;
	while (tar_reader_xattr(l->tar, &x)) {
		total += x.size + strlen(x.name);
		if (total > XATTRS_MAX)
			return layer_entry_error(l, err,
				"its extended attributes have more than %zu bytes", XATTRS_MAX);
		const char *suffix = entry_xattr_suffix(x.name);

		if (suffix && strlen(x.name) > ENTRY_XATTR_NAME_MAX)
			return layer_entry_error(l, err,
				"the extended attribute %.64s... has a name of %zu bytes, over %d",
				x.name, strlen(x.name), ENTRY_XATTR_NAME_MAX);
		if (!suffix) {
			if (layer_note(l, err, FLATTEN_ALTERED,
				    "the extended attribute %s has no place in ext4", x.name) < 0)
				return -1;
			continue;
		}
		if (tree_xattr_set(
			    &l->rootfs->tree, inode, x.name, x.value, (uint32_t)x.size, err) < 0)
			return -1;
	}
	return 0;
}

static int set_metadata(
	struct layer *l, const struct tar_entry *e, struct tree_inode *inode, struct err *err)
{
	inode->mode = (uint16_t)((inode->mode & S_IFMT) | e->mode);
	inode->flags = 0;
	if (set_owner(l, e, inode, err) < 0 || set_times(l, e, inode, err) < 0)
		return -1;
	return set_xattrs(l, inode, err);
}

/* ---- entries --------------------------------------------------------------------- */

/* Something is put where a name was: what the cache of the last directory knows
 * may lie below it. */
struct tree_node *layer_put(struct layer *l, struct tree_node *dir, const char *name, size_t len,
	struct tree_inode *inode, struct err *err)
{
	struct tree_node *old = tree_lookup(&l->rootfs->tree, dir, name, len);
	struct tree_node *node;

	if (old) {
		l->report->replaced++;
		if (tree_is_dir(old) || tree_is_link(old))
			l->dir = NULL;
	}
	node = place_inode(&l->rootfs->tree, dir, name, len, inode, err);
	if (node)
		node->layer = l->layer;
	return node;
}

static int put_dir(struct layer *l, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	struct tree_node *node = tree_lookup(&l->rootfs->tree, dir, name, len);
	struct tree_inode *inode;

	l->report->directories++;
	if (node && tree_is_dir(node)) {
		node->layer = l->layer;
		return set_metadata(l, e, node->inode, err);
	}
	inode = tree_inode_new(&l->rootfs->tree, S_IFDIR, err);
	if (!inode || set_metadata(l, e, inode, err) < 0)
		return -1;
	return layer_put(l, dir, name, len, inode, err) ? 0 : -1;
}

static int read_content(struct layer *l, struct tree_inode *inode, struct err *err)
{
	struct stage *stage = l->rootfs->stage;
	struct extent *extents;
	uint32_t count;
	const void *data;
	size_t len;
	uint64_t offset;
	int rc;

	stage_file_begin(stage);
	while ((rc = tar_reader_data(l->tar, &data, &len, &offset, err)) > 0) {
		if (offset > inode->size || len > inode->size - offset)
			return layer_entry_error(l, err,
				"%zu bytes at byte %llu lie past its size of %llu", len,
				(unsigned long long)offset, (unsigned long long)inode->size);
		if (stage_file_write(stage, offset, data, len, err) < 0 || tick(l, err) < 0)
			return -1;
	}
	if (rc < 0 || stage_file_end(stage, &extents, &count, err) < 0)
		return -1;
	tree_set_extents(inode, extents, count);
	if (count == 1)
		free(extents);
	l->report->bytes += inode->size;
	return 0;
}

static int put_file(struct layer *l, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	struct tree_inode *inode = tree_inode_new(&l->rootfs->tree, S_IFREG, err);

	l->report->files++;
	if (!inode || set_metadata(l, e, inode, err) < 0)
		return -1;
	inode->size = e->size;
	if (e->size > STAGE_FILE_MAX)
		return layer_entry_error(l, err, "the file has %llu bytes, over ext4's 16 TiB",
			(unsigned long long)e->size);
	/* Of a sparse file the tar says little and the image may hold much. */
	l->rootfs->content += e->size;
	if (e->size > l->options->limits.bytes || l->rootfs->content > l->options->limits.bytes)
		return layer_entry_error(l, err,
			"the layers' files have more than %llu bytes (limit bytes)",
			(unsigned long long)l->options->limits.bytes);
	if (e->size && read_content(l, inode, err) < 0)
		return -1;
	return layer_put(l, dir, name, len, inode, err) ? 0 : -1;
}

static int put_symlink(struct layer *l, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	size_t target_len = e->target ? strlen(e->target) : 0;
	struct tree_inode *inode;

	l->report->symlinks++;
	if (!target_len)
		return layer_entry_error(l, err, "the symbolic link has no target");
	if (target_len > ENTRY_TARGET_MAX)
		return layer_entry_error(l, err,
			"the symbolic link's target has %zu bytes, over %u", target_len,
			ENTRY_TARGET_MAX);
	if (climbs(dir, e->target)) {
		if (l->options->paths == FLATTEN_STRICT)
			return layer_entry_error(l, err,
				"the link target %s climbs above the root (refused by paths = \"strict\")",
				e->target);
		if (layer_note(l, err, FLATTEN_NOTED, "the link target %s climbs above the root",
			    e->target) < 0)
			return -1;
	}
	inode = tree_inode_new(&l->rootfs->tree, S_IFLNK, err);
	if (!inode || set_metadata(l, e, inode, err) < 0)
		return -1;
	inode->size = target_len;
	inode->target = arena_copy(&l->rootfs->tree.arena, e->target, target_len + 1);
	if (!inode->target)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	return layer_put(l, dir, name, len, inode, err) ? 0 : -1;
}

static int put_special(struct layer *l, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	static const uint16_t modes[] = {
		[TAR_CHAR] = S_IFCHR,
		[TAR_BLOCK] = S_IFBLK,
		[TAR_FIFO] = S_IFIFO,
	};
	struct tree_inode *inode = tree_inode_new(&l->rootfs->tree, modes[e->type], err);

	l->report->devices++;
	if (!inode || set_metadata(l, e, inode, err) < 0)
		return -1;
	if (e->type != TAR_FIFO) {
		if (e->major > ENTRY_MAJOR_MAX || e->minor > ENTRY_MINOR_MAX)
			return layer_entry_error(
				l, err, "device number %u:%u is out of range", e->major, e->minor);
		inode->dev.major = e->major;
		inode->dev.minor = e->minor;
	}
	return layer_put(l, dir, name, len, inode, err) ? 0 : -1;
}

/* ---- the walk through the tar ------------------------------------------------------ */

static int displaced(void *arg, const struct tree_node *node, struct err *err)
{
	struct layer *l = arg;

	l->report->replaced++;
	return layer_note(l, err, FLATTEN_ALTERED,
		"its parent %s was not a directory and is one now", node->name);
}

/* The directory that the entry's path, dir_len bytes of it, leads to. Most
 * entries lie in the same one as the entry before. */
static struct tree_node *entry_dir(struct layer *l, size_t dir_len, struct err *err)
{
	struct tree_node *dir;

	if (l->dir && l->dir_path.len == dir_len &&
		memcmp(l->dir_path.data, l->path.data, dir_len) == 0)
		return l->dir;
	l->dir = NULL;
	dir = resolve_make_dir(&l->resolver, l->path.data, dir_len, err);
	if (!dir) {
		layer_entry_prefix(l, err);
		return NULL;
	}
	l->dir_path.len = 0;
	if (dir_len && buf_append(&l->dir_path, l->path.data, dir_len, err) < 0)
		return NULL;
	return l->dir = dir_len ? dir : NULL;
}

static int put_entry(struct layer *l, const struct tar_entry *e, struct err *err)
{
	size_t last = resolve_last(l->path.data, l->path.len), len = l->path.len - last;
	const char *name = l->path.data + last;
	struct tree_node *dir = l->rootfs->tree.root;

	if (last && !(dir = entry_dir(l, last - 1, err)))
		return -1;
	if (tree_depth(dir) + 1 > l->options->limits.depth)
		return layer_entry_error(l, err, "it lies deeper than %u levels (limit depth)",
			l->options->limits.depth);
	if (len > TREE_NAME_MAX)
		return layer_entry_error(
			l, err, "a name in it has %zu bytes, over %d", len, TREE_NAME_MAX);
	switch (e->type) {
	case TAR_DIR:
		return put_dir(l, e, dir, name, len, err);
	case TAR_FILE:
		return put_file(l, e, dir, name, len, err);
	case TAR_SYMLINK:
		return put_symlink(l, e, dir, name, len, err);
	case TAR_HARDLINK:
		return layer_put_hardlink(l, e, dir, name, len, err);
	default:
		return put_special(l, e, dir, name, len, err);
	}
}

static int put_root(struct layer *l, const struct tar_entry *e, struct err *err)
{
	struct tree_node *root = l->rootfs->tree.root;

	if (e->type != TAR_DIR)
		return layer_entry_error(l, err, "the image's root is not a directory in it");
	l->report->directories++;
	root->layer = l->layer;
	return set_metadata(l, e, root->inode, err);
}

static int put_marker(struct layer *l, enum whiteout_kind kind, size_t dir_len, struct err *err)
{
	switch (kind) {
	case WHITEOUT_BAD:
		return layer_entry_error(l, err, "a whiteout of no name, \".\" or \"..\"");
	case WHITEOUT_SKIP:
		return layer_note(
			l, err, FLATTEN_SKIPPED, "a whiteout's own file, of no meaning here");
	default:
		l->report->whiteouts++;
		/* The cached directory may lie behind a link that is hidden from now on. */
		l->dir = NULL;
		if (whiteout_add(&l->whiteouts, kind, l->path.data, l->path.len, dir_len, err) < 0)
			return -1;
		return stage_trim(l->rootfs->stage, TRIM_BLOCKS, err);
	}
}

static int apply_entry(struct layer *l, const struct tar_entry *e, struct err *err)
{
	enum whiteout_kind kind;
	size_t dir_len = 0;

	l->raw = e->path;
	if (count_entry(l, err) < 0 || layer_clean_name(l, e->path, "name", &l->path, err) < 0)
		return -1;
	if (!l->path.len)
		return put_root(l, e, err);
	kind = whiteout_kind(l->path.data, l->path.len, &dir_len);
	if (kind != WHITEOUT_NONE)
		return put_marker(l, kind, dir_len, err);
	if (e->type == TAR_SOCKET)
		return layer_note(
			l, err, FLATTEN_SKIPPED, "a socket exists only while its program runs");
	return put_entry(l, e, err);
}

static int apply_entries(struct layer *l, struct err *err)
{
	struct tar_entry entry;
	int rc;

	while ((rc = tar_reader_next(l->tar, &entry, err)) > 0)
		if (apply_entry(l, &entry, err) < 0)
			return -1;
	if (rc < 0)
		return -1;
	if (tar_reader_finish(l->tar, l->report->diff_id, err) < 0)
		return -1;
	if (layer_resolve_links(l, err) < 0)
		return -1;
	if (whiteout_apply(&l->whiteouts, err) < 0)
		return -1;
	return stage_trim(l->rootfs->stage, 0, err);
}

static int wait_for_blob(struct layer *l, struct err *err)
{
	int rc;

	while ((rc = blob_wait_briefly(l->blob, err)) > 0)
		if (tick(l, err) < 0)
			return -1;
	return rc;
}

static int idle(void *arg, struct err *err)
{
	return tick(arg, err);
}

/* The blob's own verdict comes first: a wrong digest explains whatever else went
 * wrong with the bytes. */
static int check_digests(struct layer *l, int rc, struct err *err)
{
	struct err blob_err;

	if (rc < 0 && err->code != ERR_DIGEST && err->code != ERR_LAYER)
		return -1;
	if (wait_for_blob(l, &blob_err) < 0) {
		*err = blob_err;
		return -1;
	}
	if (rc < 0)
		return -1;
	if (l->options->diff_id && strcmp(l->options->diff_id, l->report->diff_id) != 0)
		return err_set(err, ERR_DIGEST, "its content has the diff_id %s, expected %s",
			l->report->diff_id, l->options->diff_id);
	return 0;
}

/* image-spec config.md, "Layer ChainID": names the stack of layers so far. */
static int extend_chain(struct rootfs *rootfs, const char *diff_id, struct err *err)
{
	struct digest *hash;

	if (!rootfs->chain_id[0]) {
		memcpy(rootfs->chain_id, diff_id, sizeof(rootfs->chain_id));
		return 0;
	}
	hash = digest_new(err);
	if (!hash)
		return -1;
	digest_update(hash, rootfs->chain_id, strlen(rootfs->chain_id));
	digest_update(hash, " ", 1);
	digest_update(hash, diff_id, strlen(diff_id));
	digest_final(hash, rootfs->chain_id);
	digest_free(hash);
	return 0;
}

static int run(struct layer *l, struct err *err)
{
	int rc = -1;

	l->inflate = inflate_start(l->blob, err);
	if (l->inflate)
		inflate_set_idle(l->inflate, idle, l);
	l->tar = l->inflate ? tar_reader_open(l->inflate, l->rootfs->unpacked,
				      l->options->limits.bytes, err)
			    : NULL;
	if (l->tar)
		rc = apply_entries(l, err);
	rc = check_digests(l, rc, err);
	l->ended = true;
	if (!rc)
		rc = tick(l, err);
	if (!rc) {
		l->report->unpacked = tar_reader_bytes(l->tar);
		l->report->compressed = inflate_consumed(l->inflate);
		l->rootfs->unpacked += l->report->unpacked;
		rc = extend_chain(l->rootfs, l->report->diff_id, err);
	}
	tar_reader_close(l->tar);
	inflate_stop(l->inflate);
	return rc;
}

static int check_options(
	const struct rootfs *rootfs, const struct flatten_options *options, struct err *err)
{
	if (rootfs_check(rootfs, err) < 0)
		return -1;
	if (options->diff_id && !digest_valid(options->diff_id))
		return err_set(err, ERR_USAGE,
			"diff_id %s is not a digest: expected sha256: and 64 hex digits",
			options->diff_id);
	if (rootfs->layers >= options->limits.layers)
		return err_set(err, ERR_LAYER, "the image has more than %u layers (limit layers)",
			options->limits.layers);
	return 0;
}

int flatten_layer(struct rootfs *rootfs, struct blob *blob, const struct flatten_options *options,
	struct flatten_report *report, struct err *err)
{
	struct layer l = {
		.rootfs = rootfs,
		.options = options,
		.report = report,
		.blob = blob,
		.layer = rootfs->layers + 1,
		.resolver = {&rootfs->tree, rootfs->layers + 1, options->limits.depth, displaced,
			&l},
		.whiteouts = {&rootfs->tree, rootfs->layers + 1},
	};
	int rc;

	*report = (struct flatten_report){.layer = l.layer};
	if (check_options(rootfs, options, err) < 0)
		return err_prefix(err, "layer %u (%s)", l.layer, blob_name(blob));
	rootfs->layers++;
	rootfs->busy = true;
	rc = run(&l, err);
	rootfs->busy = false;
	whiteout_free(&l.whiteouts);
	layer_free_links(&l);
	buf_free(&l.path);
	buf_free(&l.dir_path);
	if (!rc)
		return 0;
	rootfs->failed = true;
	flatten_report_free(report);
	return err_prefix(err, "layer %u (%s)", l.layer, blob_name(blob));
}
