#include "ext4/mkext4.h"

#include <stdlib.h>
#include <string.h>

#include "ext4/image.h"
#include "tree/entry.h"

static int check_options(const struct mkext4_options *o, struct err *err)
{
	if ((o->size != 0) + o->minimal + o->has_free > 1)
		return err_set(err, ERR_USAGE, "size and free exclude each other");
	if (o->label && strlen(o->label) > MKEXT4_LABEL_MAX)
		return err_set(err, ERR_USAGE, "label %s has %zu bytes, over %u", o->label,
			strlen(o->label), MKEXT4_LABEL_MAX);
	if (o->epoch < ENTRY_TIME_MIN || o->epoch > ENTRY_TIME_MAX)
		return err_set(
			err, ERR_USAGE, "epoch %lld is out of ext4's range", (long long)o->epoch);
	if (o->inodes > UINT32_MAX)
		return err_set(err, ERR_USAGE, "inodes %llu is out of range",
			(unsigned long long)o->inodes);
	return 0;
}

static int init(struct image *im, struct tree *tree, struct stage *stage,
	const struct mkext4_options *o, struct err *err)
{
	*im = (struct image){.tree = tree, .stage = stage, .options = o, .fd = -1};
	im->format.block_size = LAYOUT_BLOCK_SIZE;
	im->format.checksums = true;
	im->format.csum_seed = format_crc(~0u, o->uuid, sizeof(o->uuid));
	memcpy(im->format.hash_seed, o->hash_seed, sizeof(o->hash_seed));
	if (im->format.csum_seed == ext2fs_crc32c_le(~0u, o->uuid, sizeof(o->uuid)))
		return 0;
	return err_set(err, ERR_EXT4, "internal error: two crc32c do not agree");
}

static int make_plan(struct image *im, uint64_t data_end, struct err *err)
{
	const struct plan_request rq = {
		.size = im->options->size,
		.minimal = im->options->minimal,
		.has_free = im->options->has_free,
		.free = im->options->free,
		.inode_goal = im->options->inodes,
		.journal = im->options->journal,
		.data_end = data_end,
		.data_used = stage_used(im->stage),
		.inodes = im->last_ino,
	};

	return plan_make(&rq, &im->plan, err);
}

static int place_and_plan(struct image *im, struct err *err)
{
	im->placed.len = 0;
	if (image_place(im, err) < 0)
		return -1;
	return make_plan(im, stage_end(im->stage), err);
}

/* Everything that can be found wanting before the image is written, and before
 * contents move. Holes among them cost nothing on disk and are free space to the
 * guest, so they are closed only for a size that they stand in the way of. */
static int prepare(struct image *im, struct stage_mark *mark, bool *spent, struct err *err)
{
	const struct mkext4_options *o = im->options;
	bool holes = stage_holes(im->stage) > 0, compact = holes && (o->minimal || o->has_free);
	int rc;

	if (image_number(im, err) < 0)
		return -1;
	rc = place_and_plan(im, err);
	if (rc < 0 ? !holes || err->code != ERR_NO_SPACE : !compact)
		return rc;
	rc = make_plan(im, stage_compact_end_block(im->stage), err);
	if (rc < 0)
		return rc;
	*spent = true;
	if (stage_rewind(im->stage, *mark, err) < 0 || image_compact(im, err) < 0)
		return -1;
	*mark = stage_mark(im->stage);
	*spent = false;
	return place_and_plan(im, err);
}

static void fill_info(const struct image *im, struct mkext4_info *info)
{
	const struct plan *p = &im->plan;

	info->size = p->bytes;
	info->free = p->free_blocks * LAYOUT_BLOCK_SIZE;
	info->used = p->blocks * LAYOUT_BLOCK_SIZE - info->free;
	info->inodes = (uint64_t)p->inodes_per_group * p->groups;
	info->inodes_used = im->last_ino - (im->nodes[IMAGE_FIRST_INO] ? 0 : 1);
	info->inodes_free = info->inodes - info->inodes_used;
	info->journal = (uint64_t)p->journal_blocks * LAYOUT_BLOCK_SIZE;
}

int mkext4(struct tree *tree, struct stage *stage, const char *path,
	const struct mkext4_options *options, struct mkext4_info *info, bool *spent,
	struct err *err)
{
	struct stage_mark mark = stage_mark(stage);
	struct image im;
	struct err ignored;
	int rc;

	*spent = false;
	if (check_options(options, err) < 0 || stage_check_target(stage, path, err) < 0 ||
		init(&im, tree, stage, options, err) < 0)
		return -1;
	rc = prepare(&im, &mark, spent, err);
	if (rc < 0) {
		*spent = *spent || stage_rewind(stage, mark, &ignored) < 0;
	} else {
		*spent = true;
		rc = stage_settle(stage, &im.fd, err);
		if (!rc)
			rc = image_write(&im, err);
		if (!rc)
			rc = stage_publish(stage, path, im.plan.bytes, err);
		fill_info(&im, info);
		if (rc < 0)
			stage_explain_space(stage, info->used - info->journal, err);
	}
	free(im.nodes);
	buf_free(&im.placed);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}
