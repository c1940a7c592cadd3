/* tar: the reader, and its own look at pax records beside libarchive's. */
#include "unit.h"

#include <archive.h>
#include <archive_entry.h>
#include <time.h>

#include "tar/pax.h"
#include "tar/reader.h"
#include "tar_make.h"

#define NO_DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000000"

/* ---- the scan in step with libarchive --------------------------------------------- */

#define ENTRIES_MAX 256

static size_t libarchive_positions(const struct tar_make *t, uint64_t *at)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	size_t n = 0;
	int rc;

	archive_read_support_format_tar(a);
	archive_read_support_filter_none(a);
	assert_int_equal(archive_read_open_memory(a, t->data, t->len), ARCHIVE_OK);
	while ((rc = archive_read_next_header(a, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		assert_true(n < ENTRIES_MAX);
		at[n++] = (uint64_t)archive_read_header_position(a);
	}
	assert_int_equal(rc, ARCHIVE_EOF);
	archive_read_free(a);
	return n;
}

static void feed(struct pax_scan *s, const struct tar_make *t, size_t first, size_t piece)
{
	pax_scan_feed(s, t->data, first);
	for (size_t i = first; i < t->len; i += piece)
		pax_scan_feed(s, t->data + i, piece < t->len - i ? piece : t->len - i);
}

/* The scan has something to say of every entry that libarchive finds, where it
 * finds it: the archive begins with a global mtime. */
static void assert_in_step_in(const struct tar_make *t, const uint64_t *at, size_t n, size_t first,
	size_t piece, const char *what)
{
	struct pax_scan *s = pax_scan_new();

	feed(s, t, first, piece);
	for (size_t i = 0; i < n; i++) {
		const struct pax_values *v = pax_scan_take(s, at[i]);

		if (!v || !v->has_mtime)
			fail_msg(
				"%s: entry %zu of %zu at %llu is not the scan's (in pieces of %zu)",
				what, i, n, (unsigned long long)at[i], piece);
	}
	assert_null(pax_scan_take(s, UINT64_MAX));
	pax_scan_free(s);
}

static void assert_in_step(const struct tar_make *fixture, size_t entries, const char *what)
{
	struct tar_make t = {0};
	uint64_t at[ENTRIES_MAX];
	size_t n;

	tar_pax(&t, 'g', "mtime", "7", NULL);
	memcpy(tar_grow(&t, fixture->len), fixture->data, fixture->len);
	n = libarchive_positions(&t, at);
	if (n != entries)
		fail_msg("%s: libarchive finds %zu entries, there are %zu", what, n, entries);
	assert_in_step_in(&t, at, n, 0, t.len, what);
	for (size_t piece = 1; piece < 1100; piece += piece < 4 || piece > 508 ? 1 : 101)
		assert_in_step_in(&t, at, n, 0, piece, what);
	for (size_t first = 1; first < t.len && t.len < 30000; first += 1)
		assert_in_step_in(&t, at, n, first, t.len, what);
	tar_free(&t);
}

static void ustar_is_read_in_step(void **state)
{
	struct tar_make t = {0};
	char content[1500] = {0};

	(void)state;
	tar_header(&t, "d/", '5', 0, NULL);
	for (size_t size = 0; size < 1500; size += 100) {
		tar_header(&t, "d/f", '0', size, NULL);
		tar_body(&t, content, size);
	}
	tar_header(&t, "s", '2', 0, "d");
	tar_header(&t, "h", '1', 0, "d/f");
	tar_header(&t, "c", '3', 0, NULL);
	tar_header(&t, "b", '4', 0, NULL);
	tar_header(&t, "p", '6', 0, NULL);
	tar_header(&t, "contiguous", '7', 3, NULL);
	tar_body(&t, "abc", 3);
	tar_header(&t, "v7", '\0', 3, NULL);
	tar_body(&t, "abc", 3);
	tar_end(&t);
	assert_in_step(&t, 15 + 8, "ustar");
	tar_free(&t);
}

static void sizes_of_what_is_no_file_mean_nothing(void **state)
{
	static const char types[] = "23456";

	(void)state;
	for (size_t i = 0; types[i]; i++) {
		struct tar_make t = {0};
		char what[] = "type ?";

		what[5] = types[i];
		tar_header(&t, "x", types[i], 1000, "y");
		tar_file(&t, "after", "text");
		tar_end(&t);
		assert_in_step(&t, 2, what);
		tar_free(&t);
	}
}

static void gnu_long_names_are_read_in_step(void **state)
{
	struct tar_make t = {0};
	char name[700];
	uint8_t *h;

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t len = 101; len < 700; len += 199) {
		tar_header(&t, "././@LongLink", 'L', len + 1, NULL);
		name[len] = '\0';
		tar_body(&t, name, len + 1);
		tar_header(&t, "././@LongLink", 'K', len + 1, NULL);
		tar_body(&t, name, len + 1);
		h = tar_header(&t, "x", '2', 0, "y");
		memcpy(h + 257, "ustar  ", 8);
		tar_checksum(h);
		name[len] = 'n';
	}
	h = tar_header(&t, "volume", 'V', 0, NULL);
	memcpy(h + 257, "ustar  ", 8);
	tar_checksum(h);
	tar_file(&t, "after", "text");
	tar_end(&t);
	assert_in_step(&t, 5, "GNU long names");
	tar_free(&t);
}

static void pax_records_are_read_in_step(void **state)
{
	struct tar_make t = {0};
	char content[3000] = {0};

	(void)state;
	tar_pax(&t, 'x', "path", "some/long/name", "mtime", "3.5", NULL);
	tar_file(&t, "a", "text");
	/* The record's size counts, not the header's. */
	tar_pax(&t, 'x', "size", "3000", NULL);
	tar_header(&t, "b", '0', 0, NULL);
	tar_body(&t, content, 3000);
	tar_pax(&t, 'x', "size", "3", NULL);
	tar_header(&t, "c", '0', 3000, NULL);
	tar_body(&t, "abc", 3);
	tar_pax(&t, 'g', "comment", "x", NULL);
	tar_pax(&t, 'x', "comment", "y", NULL);
	tar_file(&t, "d", "text");
	tar_pax(&t, 'x', "SCHILY.xattr.user.k", "v", NULL);
	tar_header(&t, "e", '5', 0, NULL);
	tar_end(&t);
	assert_in_step(&t, 5, "pax");
	tar_free(&t);
}

/* Without a global header in front, which would make pax of it: the scan must have
 * come as far as the last entry, which has a header of its own. */
static void assert_reaches_the_last(struct tar_make *t, size_t entries, const char *what)
{
	struct pax_scan *s = pax_scan_new();
	uint64_t at[ENTRIES_MAX];
	size_t n;

	tar_pax(t, 'x', "mtime", "5", NULL);
	tar_file(t, "last", "text");
	tar_end(t);
	n = libarchive_positions(t, at);
	if (n != entries + 1)
		fail_msg("%s: libarchive finds %zu entries, there are %zu", what, n, entries + 1);
	feed(s, t, 0, t->len);
	if (!pax_scan_take(s, at[n - 1]))
		fail_msg("%s: the scan does not find the last entry", what);
	pax_scan_free(s);
	tar_free(t);
}

static void size_of_a_hard_link_counts_as_libarchive_has_it(void **state)
{
	struct tar_make t = {0};
	uint8_t *h;

	(void)state;
	tar_file(&t, "a", "text");
	tar_header(&t, "link", '1', 4, "a");
	tar_file(&t, "after", "text");
	assert_reaches_the_last(&t, 3, "ustar, no content behind the link");
	h = tar_header(&t, "a", '0', 0, NULL);
	memcpy(h + 257, "ustar  ", 8);
	tar_checksum(h);
	h = tar_header(&t, "link", '1', 4, "a");
	memcpy(h + 257, "ustar  ", 8);
	tar_checksum(h);
	tar_file(&t, "after", "text");
	assert_reaches_the_last(&t, 3, "GNU, no content behind the link");
}

/* POSIX pax: a hard link may bring the content again. */
static void hard_link_with_content_is_read_in_step(void **state)
{
	struct tar_make t = {0};

	(void)state;
	tar_file(&t, "a", "text");
	tar_pax(&t, 'x', "size", "4", NULL);
	tar_header(&t, "link", '1', 4, "a");
	tar_body(&t, "text", 4);
	tar_file(&t, "after", "text");
	tar_end(&t);
	assert_in_step(&t, 3, "hard link with a pax size");
	tar_free(&t);
	/* libarchive takes the header's size once it has seen any pax header. */
	tar_file(&t, "a", "text");
	tar_pax(&t, 'x', "comment", "x", NULL);
	tar_header(&t, "link", '1', 4, "a");
	tar_body(&t, "text", 4);
	tar_file(&t, "after", "text");
	tar_end(&t);
	assert_in_step(&t, 3, "hard link with a size behind a pax header");
	tar_free(&t);
}

static void global_size_is_nobodys(void **state)
{
	struct tar_make t = {0};

	(void)state;
	tar_pax(&t, 'g', "size", "1000", NULL);
	tar_file(&t, "a", "text");
	tar_file(&t, "b", "text");
	tar_end(&t);
	assert_in_step(&t, 2, "global size");
	tar_free(&t);
}

static void base_256_sizes_are_read_in_step(void **state)
{
	struct tar_make t = {0};
	uint8_t *h;

	(void)state;
	h = tar_header(&t, "a", '0', 0, NULL);
	memcpy(h + 124, "\x80\0\0\0\0\0\0\0\0\0\2\x58", 12); /* 600 */
	tar_checksum(h);
	tar_grow(&t, 1024);
	tar_file(&t, "b", "text");
	tar_end(&t);
	assert_in_step(&t, 2, "base 256");
	tar_free(&t);
}

static void sizes_with_spaces_are_read_in_step(void **state)
{
	static const char *const fields[] = {
		"       1130 ", "1130        ", "00000001130\0", "1130\0009999999", " 1130 77    "};

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct tar_make t = {0};
		uint8_t *h = tar_header(&t, "a", '0', 0, NULL);

		memcpy(h + 124, fields[i], 12);
		tar_checksum(h);
		tar_grow(&t, 1024);
		tar_file(&t, "b", "text");
		tar_end(&t);
		assert_in_step(&t, 2, fields[i]);
		tar_free(&t);
	}
}

/* A file with many holes, packed by GNU tar. */
static size_t sparse_file(char **data)
{
	size_t len = 40 * 8192 + 100;

	int fd;

	*data = calloc(1, len);
	unit_write(unit_path("sparse"), "", 0);
	fd = open(unit_path("sparse"), O_WRONLY);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	for (size_t i = 0; i < 40; i++) {
		size_t n = 1 + i * 37 % 600;

		memset(*data + i * 8192, 'a' + (int)(i % 26), n);
		assert_int_equal(pwrite(fd, *data + i * 8192, n, (off_t)i * 8192), n);
	}
	(*data)[len - 1] = 'z';
	assert_int_equal(pwrite(fd, "z", 1, (off_t)len - 1), 1);
	close(fd);
	return len;
}

static const char *const sparse_formats[] = {"--format=gnu", "--format=pax --sparse-version=0.0",
	"--format=pax --sparse-version=0.1", "--format=pax --sparse-version=1.0"};

static void pack_sparse(const char *format, struct tar_make *t)
{
	int status;
	char *said = unit_run(&status,
		"cd '%s' && printf text > after && tar %s -S -cf s.tar sparse "
		"after 2>&1",
		unit_dir, format);

	if (status)
		fail_msg("tar: %s", said);
	free(said);
	t->data = (uint8_t *)unit_read(unit_path("s.tar"), &t->len);
	t->cap = t->len;
}

static void sparse_files_are_read_in_step(void **state)
{
	char *data;

	(void)state;
	sparse_file(&data);
	free(data);
	for (size_t i = 0; i < COUNT(sparse_formats); i++) {
		struct tar_make t = {0};

		pack_sparse(sparse_formats[i], &t);
		assert_in_step(&t, 2, sparse_formats[i]);
		tar_free(&t);
	}
}

static void sparse_type_without_gnu_magic_is_no_sparse_file(void **state)
{
	struct tar_make t = {0};
	uint8_t *h = tar_header(&t, "a", 'S', 4, NULL);

	(void)state;
	h[386] = '0';
	h[482] = 1;
	tar_checksum(h);
	tar_body(&t, "text", 4);
	tar_file(&t, "b", "text");
	tar_end(&t);
	assert_in_step(&t, 2, "type S in ustar");
	tar_free(&t);
}

static void what_is_no_tar_ends_the_scan(void **state)
{
	struct tar_make t = {0};
	struct pax_scan *s = pax_scan_new();
	size_t bad;

	(void)state;
	tar_pax(&t, 'x', "mtime", "5", NULL);
	tar_file(&t, "a", "text");
	bad = t.len;
	tar_file(&t, "b", "text");
	t.data[bad]++;
	tar_pax(&t, 'x', "mtime", "6", NULL);
	tar_file(&t, "c", "text");
	feed(s, &t, 0, 1);
	assert_non_null(pax_scan_take(s, 0));
	assert_null(pax_scan_take(s, bad + 1024));
	pax_scan_free(s);
	tar_free(&t);
}

/* ---- what the scan says -------------------------------------------------------------- */

static const struct pax_values *scan_one(struct pax_scan *s, const char *records)
{
	struct tar_make t = {0};

	tar_header(&t, "PaxHeaders/x", 'x', strlen(records), NULL);
	tar_body(&t, records, strlen(records));
	tar_file(&t, "a", "text");
	tar_end(&t);
	pax_scan_feed(s, t.data, t.len);
	tar_free(&t);
	return pax_scan_take(s, 0);
}

static void times_are_read_to_the_nanosecond(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
		uint32_t nsec;
	} rows[] = {
		{"0", 0, 0},
		{"1", 1, 0},
		{"-1", -1, 0},
		{"-0", 0, 0},
		{"-1.5", -2, 500000000},
		{"-0.5", -1, 500000000},
		{"-0.000000001", -1, 999999999},
		{"-0.0", 0, 0},
		{"0.5", 0, 500000000},
		{"1.000000001", 1, 1},
		{"1.1", 1, 100000000},
		{"1.12345678", 1, 123456780},
		{"1.", 1, 0},
		{"10000000000.123456789", 10000000000, 123456789},
		{"-10000000000.999999999", -10000000001, 1},
		{"253402300799.9", 253402300799, 900000000},
		{"1.1234567899", 1, 123456789},
		{"1.123456789999999999999999", 1, 123456789},
		{"-1.0000000001", -2, 999999999},
		{"00000000000000007", 7, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct pax_scan *s = pax_scan_new();
		char record[100];
		const struct pax_values *v;

		tar_record(record, "mtime", rows[i].text);
		v = scan_one(s, record);
		if (!v || !v->has_mtime)
			fail_msg("mtime %s is not read", rows[i].text);
		else if (v->mtime != rows[i].seconds || v->nsec != rows[i].nsec)
			fail_msg("mtime %s is read as %lld and %u", rows[i].text,
				(long long)v->mtime, v->nsec);
		pax_scan_free(s);
	}
}

static void times_that_are_none_are_not_read(void **state)
{
	static const char *const texts[] = {"", "-", ".", "-.5", ".5", "x", "1e10.123456789",
		"1e10", "--1", "+1", " 1", "1 ", "1.5x", "1.x", "1..5", "0x10", "nan", "1,5",
		"99999999999999999999999", "1.2.3"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct pax_scan *s = pax_scan_new();
		char record[100];
		const struct pax_values *v;

		tar_record(record, "mtime", texts[i]);
		v = scan_one(s, record);
		if (v && v->has_mtime)
			fail_msg("mtime \"%s\" is read as %lld and %u", texts[i],
				(long long)v->mtime, v->nsec);
		pax_scan_free(s);
	}
}

static void names_come_byte_by_byte(void **state)
{
	struct pax_scan *s = pax_scan_new();
	char records[200];
	size_t len = tar_record(records, "path", "a=b\n\xff\xe9 c");
	const struct pax_values *v;

	(void)state;
	tar_record(records + len, "linkpath", "\x01=");
	v = scan_one(s, records);
	assert_non_null(v);
	assert_string_equal(v->path, "a=b\n\xff\xe9 c");
	assert_string_equal(v->linkpath, "\x01=");
	assert_false(v->has_mtime);
	pax_scan_free(s);
}

static void last_record_of_a_key_counts(void **state)
{
	struct pax_scan *s = pax_scan_new();
	char records[200];
	size_t len = tar_record(records, "mtime", "1");
	const struct pax_values *v;

	(void)state;
	len += tar_record(records + len, "path", "first");
	len += tar_record(records + len, "path", "second");
	tar_record(records + len, "mtime", "2.5");
	v = scan_one(s, records);
	assert_non_null(v);
	assert_string_equal(v->path, "second");
	assert_int_equal(v->mtime, 2);
	pax_scan_free(s);
}

static void malformed_records_say_nothing(void **state)
{
	static const char *const records[] = {"", "\n", "x", "11 mtime=1", "12 mtime=1\n",
		"10 mtime=1\n", "99999 mtime=1\n", "0 mtime=1\n", "-11 mtime=1\n", "11mtime=1\n",
		"11 mtime 1\n", "11  mtime=1\n", "5 a=\n", " 11 mtime=1\n", "3 \n", "4 =\n",
		"18446744073709551627 mtime=1\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(records); i++) {
		struct pax_scan *s = pax_scan_new();
		const struct pax_values *v = scan_one(s, records[i]);

		if (v)
			fail_msg("records \"%s\" say something", records[i]);
		pax_scan_free(s);
	}
}

static const struct pax_values *take(struct pax_scan *s, uint64_t at)
{
	const struct pax_values *v = pax_scan_take(s, at);

	if (!v) {
		fail_msg("the scan has nothing to say at %llu", (unsigned long long)at);
		abort(); /* for those who do not know that fail_msg ends it */
	}
	return v;
}

static void global_records_hold_until_taken_back(void **state)
{
	struct tar_make t = {0};
	struct pax_scan *s = pax_scan_new();
	const struct pax_values *v;
	size_t at[5];

	(void)state;
	tar_pax(&t, 'g', "uid", "7", "gid", "8", "mtime", "9.5", NULL);
	at[0] = 0;
	tar_file(&t, "a", "text");
	at[1] = t.len;
	tar_pax(&t, 'x', "uid", "70", "mtime", "90", NULL);
	tar_file(&t, "b", "text");
	at[2] = t.len;
	tar_file(&t, "c", "text");
	at[3] = t.len;
	tar_pax(&t, 'g', "uid", "", "mtime", "", NULL);
	tar_file(&t, "d", "text");
	at[4] = t.len;
	tar_pax(&t, 'g', "gid", "", NULL);
	tar_file(&t, "e", "text");
	tar_end(&t);
	feed(s, &t, 0, 7);
	v = take(s, at[0]);
	assert_true(v->has_uid && v->uid == 7 && v->has_gid && v->gid == 8);
	assert_true(v->has_mtime && v->mtime == 9 && v->nsec == 500000000);
	v = take(s, at[1]);
	assert_true(!v->has_uid && v->has_gid && v->gid == 8);
	assert_true(v->has_mtime && v->mtime == 90 && v->nsec == 0);
	v = take(s, at[2]);
	assert_true(v->has_uid && v->uid == 7 && v->has_mtime && v->mtime == 9);
	v = take(s, at[3]);
	assert_true(!v->has_uid && !v->has_mtime && v->has_gid && v->gid == 8);
	assert_null(pax_scan_take(s, at[4]));
	pax_scan_free(s);
	tar_free(&t);
}

static void entries_passed_over_are_forgotten(void **state)
{
	struct tar_make t = {0};
	struct pax_scan *s = pax_scan_new();
	size_t second, third;

	(void)state;
	tar_pax(&t, 'x', "mtime", "1", NULL);
	tar_file(&t, "a", "text");
	second = t.len;
	tar_pax(&t, 'x', "mtime", "2", NULL);
	tar_file(&t, "b", "text");
	third = t.len;
	tar_pax(&t, 'x', "mtime", "3", NULL);
	tar_file(&t, "c", "text");
	feed(s, &t, 0, t.len);
	assert_null(pax_scan_take(s, second - 1));
	assert_int_equal(pax_scan_take(s, second)->mtime, 2);
	assert_null(pax_scan_take(s, second));
	assert_int_equal(pax_scan_take(s, third)->mtime, 3);
	pax_scan_free(s);
	tar_free(&t);
}

/* ---- the reader ---------------------------------------------------------------------- */

struct reading {
	struct verifier *verifier;
	struct blob *blob;
	struct inflate *in;
	struct tar_reader *tar;
};

static struct reading open_tar(const void *data, size_t len)
{
	struct reading r;
	struct err err;

	unit_write(unit_path("t.tar"), data, len);
	r.verifier = verifier_new(&err);
	r.blob = blob_open(r.verifier, unit_path("t.tar"), NO_DIGEST, BLOB_SIZE_UNKNOWN, &err);
	assert_non_null(r.blob);
	r.in = inflate_start(r.blob, &err);
	r.tar = tar_reader_open(r.in, 0, UINT64_MAX, &err);
	assert_non_null(r.tar);
	return r;
}

static void close_tar(struct reading *r)
{
	tar_reader_close(r->tar);
	inflate_stop(r->in);
	blob_close(r->blob);
	verifier_free(r->verifier);
}

static void next(struct reading *r, struct tar_entry *e)
{
	struct err err;
	int rc = tar_reader_next(r->tar, e, &err);

	if (rc < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(rc, 1);
}

static void reader_gives_all_types(void **state)
{
	static const struct {
		const char *name;
		char flag;
		enum tar_type type;
	} rows[] = {
		{"file", '0', TAR_FILE},
		{"v7 file", '\0', TAR_FILE},
		{"contiguous", '7', TAR_FILE},
		{"unknown", 'Z', TAR_FILE},
		{"hardlink", '1', TAR_HARDLINK},
		{"symlink", '2', TAR_SYMLINK},
		{"char", '3', TAR_CHAR},
		{"block", '4', TAR_BLOCK},
		{"dir/", '5', TAR_DIR},
		{"fifo", '6', TAR_FIFO},
	};
	struct tar_make t = {0};
	struct tar_entry e;
	struct reading r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t *h = tar_header(&t, rows[i].name, rows[i].flag, 0, "target");

		memcpy(h + 100, "0006751", 8);
		memcpy(h + 108, "0000144", 8);
		memcpy(h + 116, "0001750", 8);
		memcpy(h + 136, "00000000017", 12);
		memcpy(h + 329, "0000377", 8);
		memcpy(h + 337, "3777777", 8);
		tar_checksum(h);
	}
	tar_end(&t);
	r = open_tar(t.data, t.len);
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool link = rows[i].flag == '1' || rows[i].flag == '2';

		next(&r, &e);
		assert_string_equal(e.path, rows[i].name);
		assert_int_equal(e.type, rows[i].type);
		assert_int_equal(e.mode, 06751);
		assert_int_equal(e.uid, 100);
		assert_int_equal(e.gid, 1000);
		assert_int_equal(e.mtime, 15);
		assert_int_equal(e.mtime_nsec, 0);
		if (link)
			assert_string_equal(e.target, "target");
		else
			assert_null(e.target);
		if (rows[i].flag == '3' || rows[i].flag == '4') {
			assert_int_equal(e.major, 255);
			assert_int_equal(e.minor, 1048575);
		}
	}
	assert_int_equal(tar_reader_next(r.tar, &e, &err), 0);
	close_tar(&r);
	tar_free(&t);
}

static void reader_corrects_times_and_owners(void **state)
{
	struct tar_make t = {0};
	struct tar_entry e;
	struct reading r;

	(void)state;
	tar_pax(&t, 'g', "uid", "4294967294", NULL);
	tar_pax(&t, 'x', "mtime", "-1.5", NULL);
	tar_file(&t, "a", "text");
	tar_pax(&t, 'x', "mtime", "-0.000000001", "uid", "3", NULL);
	tar_file(&t, "b", "text");
	tar_pax(&t, 'x', "mtime", "10000000000.123456789", NULL);
	tar_file(&t, "c", "text");
	tar_end(&t);
	r = open_tar(t.data, t.len);
	next(&r, &e);
	assert_true(e.mtime == -2 && e.mtime_nsec == 500000000);
	assert_true(e.uid == 4294967294);
	next(&r, &e);
	assert_true(e.mtime == -1 && e.mtime_nsec == 999999999);
	assert_int_equal(e.uid, 3);
	next(&r, &e);
	assert_true(e.mtime == 10000000000 && e.mtime_nsec == 123456789);
	close_tar(&r);
	tar_free(&t);
}

static void reader_keeps_base_256_numbers(void **state)
{
	struct tar_make t = {0};
	struct tar_entry e;
	struct reading r;
	uint8_t *h = tar_header(&t, "a", '0', 0, NULL);

	(void)state;
	memcpy(h + 108, "\x80\0\0\0\xff\xff\xff\xfe", 8);
	memcpy(h + 116, "\x80\0\0\0\0\1\0\0", 8);
	memcpy(h + 136, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
	tar_checksum(h);
	tar_end(&t);
	r = open_tar(t.data, t.len);
	next(&r, &e);
	assert_true(e.uid == 4294967294);
	assert_int_equal(e.gid, 65536);
	assert_int_equal(e.mtime, -2);
	close_tar(&r);
	tar_free(&t);
}

static void reader_keeps_the_bytes_of_names(void **state)
{
	struct tar_make t = {0};
	struct tar_entry e;
	struct reading r;
	static const char nfd[] = "e\xcc\x81", raw[] = "\xff\xfe name\n\"'";
	char long_name[1200];

	(void)state;
	memset(long_name, 'x', sizeof(long_name));
	for (size_t i = 200; i < sizeof(long_name); i += 200)
		long_name[i] = '/';
	long_name[sizeof(long_name) - 1] = '\0';
	tar_file(&t, nfd, "");
	tar_file(&t, raw, "");
	tar_pax(&t, 'x', "path", nfd, NULL);
	tar_file(&t, "a", "");
	tar_pax(&t, 'x', "hdrcharset", "BINARY", "path", raw, "linkpath", raw, NULL);
	tar_header(&t, "b", '2', 0, "y");
	tar_pax(&t, 'x', "path", raw, NULL);
	tar_file(&t, "c", "");
	tar_pax(&t, 'x', "path", long_name, NULL);
	tar_file(&t, "d", "");
	tar_header(&t, "././@LongLink", 'L', strlen(long_name) + 1, NULL);
	tar_body(&t, long_name, strlen(long_name) + 1);
	tar_file(&t, "e", "");
	tar_end(&t);
	r = open_tar(t.data, t.len);
	next(&r, &e);
	assert_string_equal(e.path, nfd);
	next(&r, &e);
	assert_string_equal(e.path, raw);
	next(&r, &e);
	assert_string_equal(e.path, nfd);
	next(&r, &e);
	assert_string_equal(e.path, raw);
	assert_string_equal(e.target, raw);
	next(&r, &e);
	assert_string_equal(e.path, raw);
	next(&r, &e);
	assert_string_equal(e.path, long_name);
	next(&r, &e);
	assert_string_equal(e.path, long_name);
	close_tar(&r);
	tar_free(&t);
}

static void reader_gives_xattrs(void **state)
{
	struct tar_make t = {0};
	struct tar_entry e;
	struct tar_xattr x;
	struct reading r;
	int seen = 0;

	(void)state;
	tar_pax(&t, 'x', "SCHILY.xattr.user.one", "value=1\n", "LIBARCHIVE.xattr.user.two",
		"AAEC/w", NULL);
	tar_file(&t, "a", "");
	tar_file(&t, "b", "");
	tar_end(&t);
	r = open_tar(t.data, t.len);
	next(&r, &e);
	while (tar_reader_xattr(r.tar, &x) == 1) {
		if (strcmp(x.name, "user.one") == 0) {
			assert_int_equal(x.size, 8);
			assert_memory_equal(x.value, "value=1\n", 8);
			seen |= 1;
		} else {
			assert_string_equal(x.name, "user.two");
			assert_int_equal(x.size, 4);
			assert_memory_equal(x.value, "\0\1\2\xff", 4);
			seen |= 2;
		}
	}
	assert_int_equal(seen, 3);
	next(&r, &e);
	assert_int_equal(tar_reader_xattr(r.tar, &x), 0);
	close_tar(&r);
	tar_free(&t);
}

static void reader_gives_sparse_files_as_they_were(void **state)
{
	char *data, *back;
	size_t len = sparse_file(&data);

	(void)state;
	for (size_t i = 0; i < COUNT(sparse_formats); i++) {
		struct tar_make t = {0};
		struct tar_entry e;
		struct reading r;
		struct err err;
		const void *piece;
		size_t n, holes = 0;
		uint64_t offset, end = 0;
		int rc;

		pack_sparse(sparse_formats[i], &t);
		r = open_tar(t.data, t.len);
		next(&r, &e);
		assert_string_equal(e.path, "sparse");
		assert_int_equal(e.size, len);
		back = calloc(1, len);
		while ((rc = tar_reader_data(r.tar, &piece, &n, &offset, &err)) == 1) {
			assert_true(offset >= end && offset + n <= len);
			holes += offset > end;
			memcpy(back + offset, piece, n);
			end = offset + n;
		}
		assert_int_equal(rc, 0);
		assert_memory_equal(back, data, len);
		if (holes < 10)
			fail_msg("%s: %zu holes", sparse_formats[i], holes);
		next(&r, &e);
		assert_string_equal(e.path, "after");
		assert_int_equal(e.size, 4);
		free(back);
		close_tar(&r);
		tar_free(&t);
	}
	free(data);
}

static void digest_is_of_the_whole_stream(void **state)
{
	static const size_t tails[] = {0, 1, 512, 10240, 1000000};

	(void)state;
	for (size_t i = 0; i < COUNT(tails); i++) {
		struct tar_make t = {0};
		struct tar_entry e;
		struct reading r;
		struct err err;
		char found[DIGEST_TEXT_SIZE], *expected;
		int status;

		tar_file(&t, "a", "text");
		tar_end(&t);
		memset(tar_grow(&t, tails[i]), 'x', tails[i]);
		r = open_tar(t.data, t.len);
		next(&r, &e);
		assert_int_equal(tar_reader_next(r.tar, &e, &err), 0);
		assert_ok(tar_reader_finish(r.tar, found, &err));
		assert_int_equal(tar_reader_bytes(r.tar), t.len);
		expected = unit_run(&status, "sha256sum < '%s'", unit_path("t.tar"));
		assert_memory_equal(found + 7, expected, 64);
		free(expected);
		close_tar(&r);
		tar_free(&t);
	}
}

static void tar_without_an_end_is_fine(void **state)
{
	struct tar_make t = {0};
	struct tar_entry e;
	struct reading r;
	struct err err;

	(void)state;
	r = open_tar("", 0);
	assert_int_equal(tar_reader_next(r.tar, &e, &err), 0);
	close_tar(&r);
	tar_file(&t, "a", "text");
	r = open_tar(t.data, t.len);
	next(&r, &e);
	assert_int_equal(tar_reader_next(r.tar, &e, &err), 0);
	close_tar(&r);
	tar_free(&t);
}

/* Read all of it; what went wrong is in *err. */
static int read_through(const void *data, size_t len, struct err *err)
{
	struct reading r = open_tar(data, len);
	struct tar_entry e;
	const void *piece;
	size_t n;
	uint64_t offset;
	int rc;

	while ((rc = tar_reader_next(r.tar, &e, err)) == 1)
		while (rc == 1 && e.type == TAR_FILE)
			if ((rc = tar_reader_data(r.tar, &piece, &n, &offset, err)) <= 0)
				break;
	close_tar(&r);
	return rc;
}

static void tar_cut_off_is_an_error(void **state)
{
	struct tar_make t = {0};
	struct err err;
	char content[3000];

	(void)state;
	memset(content, 'c', sizeof(content));
	tar_pax(&t, 'x', "path", "name", NULL);
	tar_header(&t, "a", '0', 3000, NULL);
	tar_body(&t, content, 3000);
	/* In a header, in a pax body, between that and the entry, in the content. */
	for (size_t cut = 1; cut < 1536 + 3000; cut += 64) {
		err.msg[0] = '\0';
		assert_int_equal(read_through(t.data, cut, &err), -1);
		assert_message(ERR_LAYER, "bad tar: ");
		assert_null(strstr(err.msg, "unknown error"));
	}
	tar_free(&t);
}

static void what_is_no_tar_is_an_error(void **state)
{
	struct tar_make t = {0};
	struct err err;
	char junk[4096];
	struct unit_random r = {8};

	(void)state;
	unit_fill(&r, junk, sizeof(junk));
	assert_error(read_through(junk, sizeof(junk), &err), ERR_LAYER, "bad tar: ");
	assert_error(read_through("x", 1, &err), ERR_LAYER, "bad tar: ");
	tar_file(&t, "a", "text");
	memcpy(tar_grow(&t, 512), junk, 512);
	tar_end(&t);
	assert_error(read_through(t.data, t.len, &err), ERR_LAYER, "bad tar: ");
	tar_free(&t);
	tar_file(&t, "a", "text");
	t.data[0] = 'b';
	assert_error(read_through(t.data, t.len, &err), ERR_LAYER, "bad tar: ");
	tar_free(&t);
}

static void corrupt_stream_says_so_itself(void **state)
{
	struct err err;
	int status;
	char *data;
	size_t len;
	struct tar_make t = {0};

	(void)state;
	tar_file(&t, "a", "text");
	tar_end(&t);
	unit_write(unit_path("x.tar"), t.data, t.len);
	free(unit_run(&status, "cd '%s' && gzip -n -c x.tar > x.tar.gz", unit_dir));
	data = unit_read(unit_path("x.tar.gz"), &len);
	assert_int_equal(read_through(data, len, &err), 0);
	assert_error(read_through(data, len / 2, &err), ERR_LAYER, "gzip stream is truncated");
	free(data);
	tar_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ustar_is_read_in_step),
		cmocka_unit_test(sizes_of_what_is_no_file_mean_nothing),
		cmocka_unit_test(gnu_long_names_are_read_in_step),
		cmocka_unit_test(pax_records_are_read_in_step),
		cmocka_unit_test(size_of_a_hard_link_counts_as_libarchive_has_it),
		cmocka_unit_test(hard_link_with_content_is_read_in_step),
		cmocka_unit_test(global_size_is_nobodys),
		cmocka_unit_test(base_256_sizes_are_read_in_step),
		cmocka_unit_test(sizes_with_spaces_are_read_in_step),
		cmocka_unit_test(sparse_files_are_read_in_step),
		cmocka_unit_test(sparse_type_without_gnu_magic_is_no_sparse_file),
		cmocka_unit_test(what_is_no_tar_ends_the_scan),
		cmocka_unit_test(times_are_read_to_the_nanosecond),
		cmocka_unit_test(times_that_are_none_are_not_read),
		cmocka_unit_test(names_come_byte_by_byte),
		cmocka_unit_test(last_record_of_a_key_counts),
		cmocka_unit_test(malformed_records_say_nothing),
		cmocka_unit_test(global_records_hold_until_taken_back),
		cmocka_unit_test(entries_passed_over_are_forgotten),
		cmocka_unit_test(reader_gives_all_types),
		cmocka_unit_test(reader_corrects_times_and_owners),
		cmocka_unit_test(reader_keeps_base_256_numbers),
		cmocka_unit_test(reader_keeps_the_bytes_of_names),
		cmocka_unit_test(reader_gives_xattrs),
		cmocka_unit_test(reader_gives_sparse_files_as_they_were),
		cmocka_unit_test(digest_is_of_the_whole_stream),
		cmocka_unit_test(tar_without_an_end_is_fine),
		cmocka_unit_test(tar_cut_off_is_an_error),
		cmocka_unit_test(what_is_no_tar_is_an_error),
		cmocka_unit_test(corrupt_stream_says_so_itself),
	};

	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
