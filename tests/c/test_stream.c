/* stream: digests, the ring, blobs and their verification, decompression. */
#include "unit.h"
#include "verdict.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/interrupt.h"
#include "stream/blob.h"
#include "stream/digest.h"
#include "stream/inflate.h"
#include "stream/ring.h"

#define CHUNK ((size_t)256 << 10) /* what inflate reads and hands over at a time */

/* ---- digest --------------------------------------------------------------------- */

static void assert_digest(const char *data, size_t len, size_t piece, const char *hex)
{
	struct err err;
	struct digest *digest = digest_new(&err);
	char text[DIGEST_TEXT_SIZE];

	assert_non_null(digest);
	for (size_t i = 0; i < len; i += piece)
		digest_update(digest, data + i, piece < len - i ? piece : len - i);
	digest_final(digest, text);
	assert_int_equal(strlen(text), 71);
	assert_memory_equal(text, "sha256:", 7);
	assert_string_equal(text + 7, hex);
	digest_free(digest);
}

/* FIPS 180-2, appendix B, and NIST's example of 896 bits. */
static void digest_is_sha256(void **state)
{
	static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	static const char four[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
				   "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
	char *million = malloc(1000000);

	(void)state;
	memset(million, 'a', 1000000);
	assert_digest("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_digest(
		"abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	for (size_t piece = 1; piece <= 60; piece++)
		assert_digest(two, 56, piece,
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	assert_digest(
		four, 112, 112, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
	assert_digest(million, 1000000, 999,
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(million);
}

static void only_a_whole_digest_is_valid(void **state)
{
	char text[80] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

	(void)state;
	assert_true(digest_valid(text));
	for (size_t i = 0; i < 71; i++) {
		char old = text[i];

		text[i] = 'G';
		assert_false(digest_valid(text));
		text[i] = '\0';
		assert_false(digest_valid(text));
		text[i] = old;
	}
	text[70] = 'F';
	assert_false(digest_valid(text));
	text[70] = 'f';
	text[71] = '0';
	assert_false(digest_valid(text));
	text[71] = '\n';
	assert_false(digest_valid(text));
	assert_false(digest_valid(""));
	assert_false(digest_valid(
		"sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"));
}

/* ---- ring ----------------------------------------------------------------------- */

struct producer {
	struct ring *ring;
	uint32_t chunks;
	struct err *err;
	bool cancelled;
};

static void *produce(void *arg)
{
	struct producer *p = arg;

	for (uint32_t i = 0; i < p->chunks; i++) {
		size_t size;
		uint32_t *chunk = ring_reserve(p->ring, &size);

		if (!chunk) {
			p->cancelled = true;
			break;
		}
		chunk[0] = i;
		ring_commit(p->ring, 4 + i % (size - 3));
	}
	ring_finish(p->ring, p->err);
	return NULL;
}

static int peek(struct ring *ring, const void **data, size_t *len, struct err *err)
{
	int rc;

	while ((rc = ring_peek(ring, data, len, err)) == RING_NOTHING_YET)
		;
	return rc;
}

static void ring_keeps_order_and_lengths(void **state)
{
	struct err err;
	struct producer p = {.ring = ring_new(3, 4096, &err), .chunks = 20000};
	pthread_t thread;
	const void *data;
	size_t len;
	int rc;

	(void)state;
	pthread_create(&thread, NULL, produce, &p);
	for (uint32_t i = 0; i < p.chunks; i++) {
		assert_int_equal(peek(p.ring, &data, &len, &err), 1);
		assert_int_equal((uintptr_t)data % 4096, 0);
		assert_int_equal(*(const uint32_t *)data, i);
		assert_int_equal(len, 4 + i % 4093);
		ring_release(p.ring);
	}
	rc = peek(p.ring, &data, &len, &err);
	assert_int_equal(rc, 0);
	assert_int_equal(peek(p.ring, &data, &len, &err), 0);
	pthread_join(thread, NULL);
	ring_free(p.ring);
}

static void ring_gives_the_data_before_the_error(void **state)
{
	struct err err, bad;
	struct producer p = {.ring = ring_new(4, 4096, &err), .chunks = 3, .err = &bad};
	pthread_t thread;
	const void *data;
	size_t len;

	(void)state;
	err_set(&bad, ERR_LAYER, "it broke");
	pthread_create(&thread, NULL, produce, &p);
	pthread_join(thread, NULL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(peek(p.ring, &data, &len, &err), 1);
		ring_release(p.ring);
	}
	assert_error(peek(p.ring, &data, &len, &err), ERR_LAYER, "it broke");
	assert_error(peek(p.ring, &data, &len, &err), ERR_LAYER, "it broke");
	ring_free(p.ring);
}

static void cancel_wakes_a_waiting_producer(void **state)
{
	struct err err;
	struct producer p = {.ring = ring_new(2, 4096, &err), .chunks = 100};
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, produce, &p);
	usleep(30000);
	ring_cancel(p.ring);
	pthread_join(thread, NULL);
	assert_true(p.cancelled);
	ring_free(p.ring);
}

static void signal_ends_a_wait_for_data(void **state)
{
	struct err err;
	struct ring *ring = ring_new(2, 4096, &err);
	const void *data;
	size_t len;
	double start = unit_now();

	(void)state;
	interrupt_request(SIGINT);
	assert_error(peek(ring, &data, &len, &err), ERR_INTERRUPTED, "interrupted");
	assert_true(unit_now() - start < PATIENCE);
	interrupt_clear();
	ring_free(ring);
}

/* ---- blobs ---------------------------------------------------------------------- */

#define NO_DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000000"

/* The digest by coreutils. */
static const char *sha256_of(const char *path)
{
	static char text[4][DIGEST_TEXT_SIZE];
	static int turn;
	char *at = text[turn++ % 4];
	int status;
	char *out = unit_run(&status, "sha256sum < '%s'", path);

	assert_int_equal(status, 0);
	snprintf(at, DIGEST_TEXT_SIZE, "sha256:%.64s", out);
	free(out);
	return at;
}

static struct verifier *new_verifier(void)
{
	struct err err;
	struct verifier *v = verifier_new(&err);

	assert_non_null(v);
	return v;
}

static void right_blob_is_done(void **state)
{
	struct verifier *v = new_verifier();
	struct blob_progress progress;
	struct err err;
	struct blob *blob;
	char *data = malloc(1000000), back[100];
	struct unit_random r = {1};

	(void)state;
	unit_fill(&r, data, 1000000);
	unit_write(unit_path("blob"), data, 1000000);
	for (int known = 0; known < 2; known++) {
		const char *digest = sha256_of(unit_path("blob"));

		blob = blob_open(
			v, unit_path("blob"), digest, known ? 1000000 : BLOB_SIZE_UNKNOWN, &err);
		assert_non_null(blob);
		assert_ok(blob_wait(blob, &err));
		assert_ok(blob_wait(blob, &err));
		blob_progress(blob, &progress);
		assert_int_equal(progress.state, BLOB_DONE);
		assert_int_equal(progress.bytes, 1000000);
		assert_int_equal(progress.size, 1000000);
		assert_string_equal(blob_name(blob), digest);
		assert_int_equal(blob_read(blob, back, 100, 999950, NULL, &err), 50);
		assert_memory_equal(back, data + 999950, 50);
		assert_int_equal(blob_read(blob, back, 100, 1000000, NULL, &err), 0);
		blob_close(blob);
	}
	verifier_free(v);
	free(data);
}

static void wrong_content_is_a_digest_error(void **state)
{
	struct verifier *v = new_verifier();
	struct blob_progress progress;
	struct err err;
	struct blob *blob;

	(void)state;
	unit_write(unit_path("blob"), "abc", 3);
	blob = blob_open(v, unit_path("blob"), NO_DIGEST, 3, &err);
	assert_error(blob_wait(blob, &err), ERR_DIGEST,
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_message(ERR_DIGEST, NO_DIGEST);
	assert_message(ERR_DIGEST, unit_path("blob"));
	assert_error(blob_wait(blob, &err), ERR_DIGEST, NO_DIGEST);
	blob_progress(blob, &progress);
	assert_int_equal(progress.state, BLOB_FAILED);
	blob_close(blob);
	verifier_free(v);
}

static void assert_not_opened(struct verifier *v, const char *path, const char *digest,
	int64_t size, enum err_code code, const char *text)
{
	struct err err;

	assert_null(blob_open(v, path, digest, size, &err));
	assert_message(code, text);
}

static void what_cannot_be_a_blob_is_refused_at_once(void **state)
{
	struct verifier *v = new_verifier();

	(void)state;
	unit_write(unit_path("blob"), "abc", 3);
	assert_not_opened(
		v, unit_path("blob"), NO_DIGEST, 4, ERR_DIGEST, "blob has 3 bytes, expected 4");
	assert_not_opened(
		v, unit_path("blob"), NO_DIGEST, 0, ERR_DIGEST, "has 3 bytes, expected 0");
	assert_not_opened(v, unit_path("none"), NO_DIGEST, 3, ERR_NOT_FOUND,
		"none: No such file or directory");
	assert_not_opened(
		v, unit_path("blob"), "sha256:12", 3, ERR_USAGE, "sha256:12 is not a digest");
	assert_not_opened(v, unit_path("blob"), "md5:x", 3, ERR_USAGE, "is not a digest");
	assert_null(blob_open(v, unit_dir, NO_DIGEST, BLOB_SIZE_UNKNOWN, &(struct err){0}));
	verifier_free(v);
}

/* Zeros that no disk holds, but that take the verifier a while. */
static struct blob *open_slow(struct verifier *v, int64_t size)
{
	const char *path = unit_path("slow");
	struct err err;
	struct blob *blob;

	unit_write(path, "", 0);
	assert_int_equal(truncate(path, size), 0);
	blob = blob_open(v, path, NO_DIGEST, size, &err);
	assert_non_null(blob);
	return blob;
}

static void blob_is_closed_while_it_is_verified(void **state)
{
	struct verifier *v = new_verifier();
	struct blob_progress progress = {0};
	struct blob *blob;
	double start = unit_now();

	(void)state;
	for (int i = 0; i < 5; i++) {
		blob = open_slow(v, (int64_t)1 << 40);
		do
			blob_progress(blob, &progress);
		while (i % 2 && progress.bytes == 0);
		assert_int_equal(progress.state, BLOB_RUNNING);
		assert_int_equal(progress.size, (int64_t)1 << 40);
		blob_close(blob);
	}
	verifier_free(v);
	assert_true(unit_now() - start < PATIENCE);
}

static void verifier_works_on_after_a_close(void **state)
{
	struct verifier *v = new_verifier();
	struct blob *slow = open_slow(v, (int64_t)1 << 40), *queued, *blob;
	struct err err;

	(void)state;
	unit_write(unit_path("blob"), "abc", 3);
	queued = blob_open(v, unit_path("blob"), sha256_of(unit_path("blob")), 3, &err);
	blob = blob_open(v, unit_path("blob"), sha256_of(unit_path("blob")), 3, &err);
	blob_close(queued);
	blob_close(slow);
	assert_ok(blob_wait(blob, &err));
	blob_close(blob);
	verifier_free(v);
}

static void many_blobs_are_verified_each(void **state)
{
	struct verifier *v = new_verifier();
	struct blob *blobs[200];
	struct err err;
	char name[32];
	int status;
	char *sums, *at;

	(void)state;
	mkdir(unit_path("many"), 0700);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "many/%03d", i);
		unit_write(unit_path(name), name, strlen(name));
	}
	sums = unit_run(&status, "cd '%s' && sha256sum *", unit_path("many"));
	at = sums;
	for (int i = 0; i < 200; i++, at = strchr(at, '\n') + 1) {
		char digest[DIGEST_TEXT_SIZE];

		snprintf(name, sizeof(name), "many/%03d", i);
		snprintf(digest, sizeof(digest), "sha256:%.64s", at);
		if (i % 3 == 0)
			digest[70] = digest[70] == '0' ? '1' : '0';
		blobs[i] = blob_open(v, unit_path(name), digest, 8, &err);
		assert_non_null(blobs[i]);
	}
	free(sums);
	for (int i = 199; i >= 0; i--)
		assert_int_equal(blob_wait(blobs[i], &err), i % 3 == 0 ? -1 : 0);
	for (int i = 0; i < 200; i++)
		blob_close(blobs[i]);
	verifier_free(v);
}

static void file_cut_off_meanwhile_is_found_out(void **state)
{
	struct verifier *v = new_verifier();
	struct blob *slow, *blob;
	struct err err;
	char back[8];
	const char *digest;

	(void)state;
	unit_write(unit_path("blob"), "abcdefgh", 8);
	digest = sha256_of(unit_path("blob"));
	slow = open_slow(v, (int64_t)1 << 40);
	blob = blob_open(v, unit_path("blob"), digest, 8, &err);
	assert_non_null(blob);
	assert_int_equal(truncate(unit_path("blob"), 5), 0);
	blob_close(slow);
	assert_int_equal(blob_read(blob, back, 8, 0, NULL, &err), 5);
	assert_error(blob_wait(blob, &err), ERR_DIGEST, "has 5 bytes, expected 8");
	blob_close(blob);
	/* One that grew is what it was. */
	slow = open_slow(v, (int64_t)1 << 40);
	unit_write(unit_path("blob"), "abc", 3);
	blob = blob_open(v, unit_path("blob"), sha256_of(unit_path("blob")), 3, &err);
	assert_non_null(blob);
	unit_write(unit_path("blob"), "abcdefgh", 8);
	blob_close(slow);
	assert_ok(blob_wait(blob, &err));
	assert_int_equal(blob_read(blob, back, 8, 0, NULL, &err), 3);
	blob_close(blob);
	verifier_free(v);
}

static void signal_ends_a_wait_for_the_verdict(void **state)
{
	struct verifier *v = new_verifier();
	struct blob *blob = open_slow(v, (int64_t)1 << 40);
	struct err err;
	double start = unit_now();

	(void)state;
	interrupt_request(SIGINT);
	assert_error(blob_wait(blob, &err), ERR_INTERRUPTED, "interrupted");
	interrupt_clear();
	blob_close(blob);
	verifier_free(v);
	assert_true(unit_now() - start < PATIENCE);
	unlink(unit_path("slow"));
}

/* ---- inflate -------------------------------------------------------------------- */

static struct verifier *shared;

static int setup(void **state)
{
	if (unit_setup(state) < 0)
		return -1;
	shared = new_verifier();
	return 0;
}

static int teardown(void **state)
{
	verifier_free(shared);
	return unit_teardown(state);
}

/* What inflate makes of these bytes: 0 with all of it in *out, or -1. */
static int inflate_all(const void *data, size_t len, char **out, size_t *out_len, struct err *err)
{
	const char *path = unit_path("in");
	struct blob *blob;
	struct inflate *in;
	const void *piece;
	size_t n;
	int rc;

	unit_write(path, data, len);
	blob = blob_open(shared, path, NO_DIGEST, BLOB_SIZE_UNKNOWN, err);
	assert_non_null(blob);
	in = inflate_start(blob, err);
	assert_non_null(in);
	*out = NULL;
	*out_len = 0;
	while ((rc = inflate_next(in, &piece, &n, err)) > 0) {
		assert_true(n > 0);
		*out = realloc(*out, *out_len + n + 1);
		memcpy(*out + *out_len, piece, n);
		*out_len += n;
	}
	if (!rc)
		assert_int_equal(inflate_consumed(in), len);
	inflate_stop(in);
	blob_close(blob);
	return rc;
}

static void assert_inflates(const void *data, size_t len, const void *expected, size_t expected_len)
{
	struct err err;
	char *out;
	size_t out_len;

	assert_ok(inflate_all(data, len, &out, &out_len, &err));
	assert_int_equal(out_len, expected_len);
	if (out_len)
		assert_memory_equal(out, expected, out_len);
	free(out);
}

static void assert_corrupt(const void *data, size_t len, const char *text)
{
	struct err err;
	char *out;
	size_t out_len;
	int rc = inflate_all(data, len, &out, &out_len, &err);

	free(out);
	if (rc == 0)
		fail_msg("%zu bytes inflate to %zu without \"%s\"", len, out_len, text);
	assert_int_equal(rc, -1);
	assert_message(ERR_LAYER, text);
}

/* Bytes packed by another program. */
static char *pack(const char *tool, const void *data, size_t len, size_t *packed)
{
	int status;

	unit_write(unit_path("plain"), data, len);
	free(unit_run(&status, "%s < '%s' > '%s'", tool, unit_path("plain"), unit_path("packed")));
	assert_int_equal(status, 0);
	return unit_read(unit_path("packed"), packed);
}

static char *join(const char *a, size_t a_len, const char *b, size_t b_len)
{
	char *both = malloc(a_len + b_len + 1);

	memcpy(both, a, a_len);
	memcpy(both + a_len, b, b_len);
	return both;
}

static const size_t sizes[] = {0, 1, 2, 511, 4095, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK,
	16 * CHUNK - 1, 16 * CHUNK, 16 * CHUNK + 1, 5000000};

static void plain_bytes_come_as_they_are(void **state)
{
	char *data = malloc(5000000);
	struct unit_random r = {4};

	(void)state;
	unit_fill(&r, data, 5000000);
	data[0] = 'x';
	for (size_t i = 0; i < COUNT(sizes); i++)
		assert_inflates(data, sizes[i], data, sizes[i]);
	assert_inflates("\x1f", 1, "\x1f", 1);
	assert_inflates("\x1f\x8a", 2, "\x1f\x8a", 2);
	assert_inflates("\x28\xb5\x2f", 3, "\x28\xb5\x2f", 3);
	assert_inflates("\x50\x2a\x4d\x19", 4, "\x50\x2a\x4d\x19", 4);
	free(data);
}

/* Random bytes, which do not pack, and text, which packs well. */
static void assert_round_trips(const char *tool)
{
	char *data = malloc(5000000), *packed;
	size_t len;
	struct unit_random r = {5};

	for (int text = 0; text < 2; text++) {
		unit_fill(&r, data, 5000000);
		for (size_t i = 0; text && i < 5000000; i++)
			data[i] = (char)('a' + ((uint8_t)data[i] & 3));
		for (size_t i = 0; i < COUNT(sizes); i++) {
			packed = pack(tool, data, sizes[i], &len);
			assert_inflates(packed, len, data, sizes[i]);
			free(packed);
		}
	}
	free(data);
}

static void gzip_of_all_sizes_is_read(void **state)
{
	(void)state;
	assert_round_trips("gzip -1 -n");
	assert_round_trips("gzip -4 -n");
}

static void zstd_of_all_sizes_is_read(void **state)
{
	(void)state;
	assert_round_trips("zstd -q -1 -c");
	assert_round_trips("zstd -q -c --no-check --long=27 -12");
}

/* ---- gzip ------------------------------------------------------------------------ */

static uint32_t crc32_of(const uint8_t *data, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return ~crc;
}

/* A member of stored blocks, every byte of which is known; malloc'ed. */
static char *stored_member(const char *data, size_t len, size_t *packed)
{
	char *out = malloc(len + 18 + (len / 65535 + 1) * 5), *at = out;
	uint32_t crc = crc32_of((const uint8_t *)data, len), size = (uint32_t)len;
	size_t done = 0;

	memcpy(at, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
	at += 10;
	do {
		uint16_t n = len - done < 65535 ? (uint16_t)(len - done) : 65535,
			 not = (uint16_t)~n;

		*at = done + n == len;
		memcpy(at + 1, &n, 2);
		memcpy(at + 3, &not, 2);
		memcpy(at + 5, data + done, n);
		at += 5 + n;
		done += n;
	} while (done < len);
	memcpy(at, &crc, 4);
	memcpy(at + 4, &size, 4);
	*packed = (size_t)(at + 8 - out);
	return out;
}

static void gzip_members_follow_each_other(void **state)
{
	char *one, *two, *both, *three;
	size_t a, b;

	(void)state;
	one = pack("gzip -n", "hello ", 6, &a);
	two = pack("gzip -n -9", "world", 5, &b);
	both = join(one, a, two, b);
	assert_inflates(both, a + b, "hello world", 11);
	/* An empty member between them, as bgzip ends its files. */
	three = join("\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0\x42\x43\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0",
		28, both, a + b);
	assert_inflates(three, 28 + a + b, "hello world", 11);
	free(three);
	free(both);
	both = join(two, b, one, a);
	assert_inflates(both, a + b, "worldhello ", 11);
	free(both);
	free(one);
	free(two);
}

/* Where the reader's pieces of input end, members end, begin or have their trailer:
 * every place is tried. */
static void gzip_members_end_anywhere_in_a_piece_of_input(void **state)
{
	char *data = malloc(CHUNK + 100), *first, *second, *both, *expected;
	const char text[] = "a member that is neither stored nor empty: aaaaaaaaaaabbbbbbbbb";
	size_t a, b;
	struct unit_random r = {6};

	(void)state;
	unit_fill(&r, data, CHUNK + 100);
	second = pack("gzip -n", text, strlen(text), &b);
	for (size_t shift = 0; shift < b + 20; shift++) {
		size_t len = CHUNK - 18 - 5 * 5 + 10 - shift;

		first = stored_member(data, len, &a);
		assert_true(a + b + 20 > CHUNK && a < CHUNK + 20);
		both = malloc(a + 2 * b);
		memcpy(both, first, a);
		memcpy(both + a, second, b);
		memcpy(both + a + b, second, b);
		expected = malloc(len + 2 * strlen(text));
		memcpy(expected, data, len);
		memcpy(expected + len, text, strlen(text));
		memcpy(expected + len + strlen(text), text, strlen(text));
		assert_inflates(both, a + 2 * b, expected, len + 2 * strlen(text));
		free(first);
		free(both);
		free(expected);
	}
	free(second);
	free(data);
}

static void gzip_of_thousands_of_members_is_read(void **state)
{
	char *one, *all, *expected;
	size_t a;

	(void)state;
	one = pack("gzip -n", "0123456789", 10, &a);
	all = malloc(a * 20000);
	expected = malloc(200000);
	for (size_t i = 0; i < 20000; i++) {
		memcpy(all + i * a, one, a);
		memcpy(expected + i * 10, "0123456789", 10);
	}
	assert_inflates(all, a * 20000, expected, 200000);
	free(all);
	free(expected);
	free(one);
}

static void zeros_between_and_after_gzip_members_are_passed_over(void **state)
{
	static const size_t zeros[] = {1, 511, 512, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK};
	char *one, *all;
	size_t a;

	(void)state;
	one = pack("gzip -n", "text", 4, &a);
	for (size_t i = 0; i < COUNT(zeros); i++) {
		all = calloc(1, 2 * a + 2 * zeros[i]);
		memcpy(all, one, a);
		assert_inflates(all, a + zeros[i], "text", 4);
		memcpy(all + a + zeros[i], one, a);
		assert_inflates(all, 2 * a + zeros[i], "texttext", 8);
		assert_inflates(all, 2 * a + 2 * zeros[i], "texttext", 8);
		free(all);
	}
	free(one);
}

static void gzip_headers_with_all_fields_are_read(void **state)
{
	static const char header[] = "\x1f\x8b\x08\x1c\1\2\3\4\2\3" /* FEXTRA, FNAME, FCOMMENT */
				     "\5\0extra"
				     "a name\0a comment";
	char *one, *all;
	size_t a;

	(void)state;
	one = pack("gzip -n", "text", 4, &a);
	all = join(header, sizeof(header), one + 10, a - 10);
	assert_inflates(all, sizeof(header) + a - 10, "text", 4);
	free(all);
	free(one);
}

static void gzip_cut_off_anywhere_is_truncated(void **state)
{
	char *one, *two, *both, text[300];
	size_t a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "abcdefghijklmnop"[i * i % 13];
	one = pack("gzip -n", text, sizeof(text), &a);
	for (size_t n = 2; n < a; n++)
		assert_corrupt(one, n, "gzip stream is truncated");
	two = stored_member(text, sizeof(text), &b);
	for (size_t n = 2; n < b; n += n < 20 || n > b - 20 ? 1 : 17)
		assert_corrupt(two, n, "gzip stream is truncated");
	both = join(one, a, two, b);
	for (size_t n = 1; n < b; n += 13)
		assert_corrupt(both, a + n, "gzip stream is truncated");
	free(both);
	free(two);
	free(one);
}

static void gzip_with_a_wrong_trailer_is_corrupt(void **state)
{
	char *one;
	size_t a;

	(void)state;
	one = pack("gzip -n", "some text", 9, &a);
	for (size_t i = a - 8; i < a; i++)
		for (int bit = 0; bit < 8; bit++) {
			one[i] ^= (char)(1 << bit);
			assert_corrupt(one, a, "gzip stream is corrupt: wrong checksum");
			one[i] ^= (char)(1 << bit);
		}
	assert_inflates(one, a, "some text", 9);
	free(one);
}

static void gzip_with_a_wrong_byte_is_an_error(void **state)
{
	char *one, text[400];
	size_t a;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "abcdefghijklmnop"[i * i % 15];
	one = pack("gzip -n", text, sizeof(text), &a);
	for (size_t i = 10; i < a; i++)
		for (int mask = 1; mask < 256; mask = mask * 2 + 1) {
			one[i] ^= (char)mask;
			assert_corrupt(one, a, "gzip stream is ");
			one[i] ^= (char)mask;
		}
	one[2] = 7;
	assert_corrupt(one, a, "unknown compression method");
	free(one);
}

/* From the fuzzer: isa-l gives back more input than it got. */
static void gzip_that_refers_to_before_its_start_is_corrupt(void **state)
{
	static const uint8_t data[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9,
		0xc9, 0x57, 0x28, 0xcf, 0x2f, 0x35, 0xb6, 0x36, 0xe7, 0x65, 0x8e, 0x32, 0x47, 0x99,
		0xa3, 0x29, 0x4c, 0x72, 0x99, 0, 0x0d, 0x47, 4, 0x53, 0x4c, 4, 0, 0};

	(void)state;
	assert_corrupt(data, sizeof(data), "gzip stream is ");
}

static void bytes_after_gzip_are_an_error(void **state)
{
	char *one, *all;
	size_t a;

	(void)state;
	one = pack("gzip -n", "text", 4, &a);
	all = join(one, a, "garbage", 7);
	assert_corrupt(all, a + 7, "bytes after its end");
	assert_corrupt(all, a + 1, "bytes after its end");
	memcpy(all + a, "\0\0x", 3);
	assert_corrupt(all, a + 3, "bytes after its end");
	memcpy(all + a, "\x1f\x8cxxxxx", 7);
	assert_corrupt(all, a + 7, "gzip stream is ");
	memcpy(all + a, "\x1f", 1);
	assert_corrupt(all, a + 1, "gzip stream is ");
	free(all);
	free(one);
}

/* ---- zstd ------------------------------------------------------------------------ */

static void zstd_frames_follow_each_other(void **state)
{
	char *one, *two, *both;
	size_t a, b;

	(void)state;
	one = pack("zstd -q -c", "hello ", 6, &a);
	two = pack("zstd -q -c --no-check", "world", 5, &b);
	both = join(one, a, two, b);
	assert_inflates(both, a + b, "hello world", 11);
	free(both);
	both = join(two, b, one, a);
	assert_inflates(both, a + b, "worldhello ", 11);
	free(both);
	free(one);
	free(two);
}

static void skippable_frames_are_passed_over(void **state)
{
	char *one, *x, *y;
	static const char skip[] = "\x5a\x2a\x4d\x18\x06\0\0\0skip..";
	char *large = calloc(1, 600008);
	size_t a, n = sizeof(skip) - 1;

	(void)state;
	one = pack("zstd -q -c", "text", 4, &a);
	x = join(skip, n, one, a);
	assert_inflates(x, n + a, "text", 4);
	y = join(x, n + a, skip, n);
	assert_inflates(y, 2 * n + a, "text", 4);
	free(x);
	x = join(y, 2 * n + a, one, a);
	assert_inflates(x, 2 * (n + a), "texttext", 8);
	assert_inflates(skip, n, "", 0);
	for (size_t cut = 4; cut < n; cut++)
		assert_corrupt(skip, cut, "zstd stream is truncated");
	free(y);
	memcpy(large, "\x50\x2a\x4d\x18\xc0\x27\x09", 7); /* 600,000 bytes */
	y = join(large, 600008, one, a);
	assert_inflates(y, 600008 + a, "text", 4);
	assert_corrupt(large, 600007, "zstd stream is truncated");
	free(large);
	free(x);
	free(y);
	free(one);
}

static void zstd_cut_off_anywhere_is_truncated(void **state)
{
	char *one, *both, text[300];
	size_t a;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "abcdefghijklmnop"[i * i % 13];
	one = pack("zstd -q -c", text, sizeof(text), &a);
	for (size_t n = 4; n < a; n++)
		assert_corrupt(one, n, "zstd stream is truncated");
	both = join(one, a, one, a);
	for (size_t n = 1; n < a; n++)
		assert_corrupt(both, a + n, "zstd stream is truncated");
	free(both);
	free(one);
}

/* A bit of a frame may mean nothing: then nothing may change either. */
static void assert_corrupt_or_same(
	const void *data, size_t len, const void *expected, size_t expected_len)
{
	struct err err;
	char *out;
	size_t out_len;
	int rc = inflate_all(data, len, &out, &out_len, &err);

	if (rc < 0) {
		assert_message(ERR_LAYER, "zstd stream is ");
	} else {
		assert_int_equal(out_len, expected_len);
		assert_memory_equal(out, expected, out_len);
	}
	free(out);
}

static void zstd_with_a_wrong_byte_is_an_error(void **state)
{
	char *one, text[400];
	size_t a;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "abcdefghijklmnop"[i * i % 15];
	one = pack("zstd -q -c", text, sizeof(text), &a);
	for (size_t i = 5; i < a; i++)
		for (int mask = 1; mask < 256; mask = mask * 2 + 1) {
			one[i] ^= (char)mask;
			assert_corrupt_or_same(one, a, text, sizeof(text));
			one[i] ^= (char)mask;
		}
	free(one);
}

static void bytes_after_zstd_are_an_error(void **state)
{
	char *one, *all;
	size_t a;

	(void)state;
	one = pack("zstd -q -c", "text", 4, &a);
	all = join(one, a, "garbage", 7);
	assert_corrupt(all, a + 7, "zstd stream is corrupt");
	assert_corrupt(all, a + 1, "zstd stream is ");
	free(all);
	free(one);
}

static void zstd_that_wants_too_large_a_window_is_refused(void **state)
{
	/* A frame header of no single segment: window 2^(10 + 18), then 2^(10 + 17). */
	static const char too_large[] = "\x28\xb5\x2f\xfd\0\x90\1\0\0";
	static const char largest[] = "\x28\xb5\x2f\xfd\0\x88\1\0\0";

	(void)state;
	assert_corrupt(too_large, 9, "zstd stream is corrupt: Frame requires too much memory");
	assert_inflates(largest, 9, "", 0);
}

/* ---- stopping -------------------------------------------------------------------- */

static void reader_may_stop_at_any_time(void **state)
{
	struct blob *blob = open_slow(shared, (int64_t)1 << 40);
	struct err err;
	double start = unit_now();

	(void)state;
	for (int pieces = 0; pieces < 40; pieces += 13) {
		struct inflate *in = inflate_start(blob, &err);
		const void *data;
		size_t len;

		for (int i = 0; i < pieces; i++)
			assert_int_equal(inflate_next(in, &data, &len, &err), 1);
		if (pieces)
			usleep(20000);
		inflate_stop(in);
	}
	inflate_stop(NULL);
	blob_close(blob);
	unlink(unit_path("slow"));
	assert_true(unit_now() - start < PATIENCE);
}

static void bomb_is_stopped_by_its_reader(void **state)
{
	int status;
	struct blob *blob;
	struct inflate *in;
	struct err err;
	const void *data;
	size_t len;

	(void)state;
	free(unit_run(
		&status, "head -c 200000000 /dev/zero | gzip -n -1 > '%s'", unit_path("bomb")));
	assert_int_equal(status, 0);
	blob = blob_open(shared, unit_path("bomb"), NO_DIGEST, BLOB_SIZE_UNKNOWN, &err);
	in = inflate_start(blob, &err);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(inflate_next(in, &data, &len, &err), 1);
		assert_int_equal(len, CHUNK);
	}
	inflate_stop(in);
	blob_close(blob);
	unlink(unit_path("bomb"));
}

/* ---- blobs that arrive ------------------------------------------------------------ */

#define ABC    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABCDEF "sha256:bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721"

/* What the verifier has told. */
struct verdict {
	atomic_int calls;
	atomic_bool right;
	int rc;       /* to answer */
	unsigned lag; /* before that, in us */
	atomic_bool answered;
};

static int take_verdict(void *arg, bool right, struct err *err)
{
	struct verdict *v = arg;

	atomic_store(&v->right, right);
	atomic_fetch_add(&v->calls, 1);
	usleep(v->lag);
	atomic_store(&v->answered, true);
	return v->rc < 0 ? err_set(err, ERR_IO, "there is no room to keep it") : 0;
}

static struct blob *expect(const char *digest, int64_t size, struct verdict *verdict)
{
	struct err err;
	struct blob *blob =
		blob_expect(shared, digest, size, verdict ? take_verdict : NULL, verdict, &err);

	assert_non_null(blob);
	return blob;
}

/* Have the blob read from a new file with this in it. */
static void feed_file(struct blob *blob, const char *name, const char *content)
{
	struct err err;
	int fd;

	unit_write(unit_path(name), content, strlen(content));
	fd = open(unit_path(name), O_RDWR);
	assert_true(fd >= 0);
	assert_ok(blob_feed_file(blob, fd, &err));
	close(fd);
}

static void assert_reads(struct blob *blob, uint64_t offset, const char *text)
{
	struct err err;
	char back[64] = "";

	assert_int_equal(blob_read(blob, back, 63, offset, NULL, &err), strlen(text));
	assert_string_equal(back, text);
}

static void wait_until_verified(struct blob *blob, uint64_t bytes)
{
	struct blob_progress progress;
	double start = unit_now();

	do {
		usleep(1000);
		blob_progress(blob, &progress);
		assert_true(unit_now() - start < PATIENCE);
	} while (progress.bytes < bytes);
	assert_int_equal(progress.bytes, bytes);
}

/* A thread that reads once, or waits for the verdict. */
struct waiter {
	pthread_t thread;
	struct blob *blob;
	uint64_t offset;
	atomic_bool stop, done;
	ssize_t rc;
	char back[64];
	struct err err;
};

static void *read_once(void *arg)
{
	struct waiter *w = arg;

	w->rc = blob_read(w->blob, w->back, 63, w->offset, &w->stop, &w->err);
	atomic_store(&w->done, true);
	return NULL;
}

static void *wait_once(void *arg)
{
	struct waiter *w = arg;

	w->rc = blob_wait(w->blob, &w->err);
	atomic_store(&w->done, true);
	return NULL;
}

static void start_waiter(struct waiter *w, void *(*act)(void *), struct blob *blob, uint64_t offset)
{
	memset(w, 0, sizeof(*w));
	w->blob = blob;
	w->offset = offset;
	pthread_create(&w->thread, NULL, act, w);
}

static void assert_waits(struct waiter *w)
{
	usleep(30000);
	assert_false(atomic_load(&w->done));
}

static void assert_failed(struct waiter *w, enum err_code code, const char *text)
{
	pthread_join(w->thread, NULL);
	assert_int_equal(w->rc, -1);
	assert_int_equal(w->err.code, code);
	assert_string_equal(w->err.msg, text);
}

static void reading_waits_for_what_has_yet_to_arrive(void **state)
{
	struct blob *blob = expect(ABCDEF, 6, NULL);
	struct waiter reader;
	struct err err;

	(void)state;
	start_waiter(&reader, read_once, blob, 2);
	assert_waits(&reader);
	feed_file(blob, "arriving", "abcdef...");
	assert_waits(&reader);
	blob_feed(blob, 2);
	assert_waits(&reader);
	blob_feed(blob, 5);
	pthread_join(reader.thread, NULL);
	assert_int_equal(reader.rc, 3);
	assert_string_equal(reader.back, "cde");
	assert_reads(blob, 0, "abcde");
	start_waiter(&reader, read_once, blob, 6);
	blob_feed(blob, 6);
	assert_waits(&reader);
	blob_feed_end(blob, NULL);
	pthread_join(reader.thread, NULL);
	assert_int_equal(reader.rc, 0);
	assert_ok(blob_wait(blob, &err));
	assert_reads(blob, 0, "abcdef");
	assert_reads(blob, 6, "");
	blob_close(blob);
}

static void mark_does_not_move_back(void **state)
{
	struct blob *blob = expect(ABCDEF, 6, NULL);
	struct blob_progress progress;

	(void)state;
	feed_file(blob, "arriving", "abcdef");
	blob_feed(blob, 5);
	blob_feed(blob, 2);
	blob_progress(blob, &progress);
	assert_int_equal(progress.arrived, 5);
	assert_int_equal(progress.size, 6);
	assert_int_equal(progress.state, BLOB_RUNNING);
	assert_reads(blob, 0, "abcde");
	assert_string_equal(blob_name(blob), ABCDEF);
	blob_close(blob);
}

static void reader_that_is_told_to_stop_does(void **state)
{
	struct blob *blob = expect(ABCDEF, 6, NULL);
	struct waiter told, other;

	(void)state;
	start_waiter(&told, read_once, blob, 0);
	start_waiter(&other, read_once, blob, 0);
	assert_waits(&told);
	atomic_store(&told.stop, true);
	assert_failed(&told, ERR_INTERRUPTED, "interrupted");
	assert_waits(&other);
	feed_file(blob, "arriving", "abc");
	blob_feed(blob, 3);
	pthread_join(other.thread, NULL);
	assert_int_equal(other.rc, 3);
	blob_close(blob);
}

static void end_of_the_feeder_reaches_all_who_wait(void **state)
{
	struct verdict verdict = {0};
	struct blob *blob = expect(ABCDEF, 6, &verdict);
	struct blob_progress progress;
	struct waiter readers[3], waiter;
	struct err cut, err;

	(void)state;
	feed_file(blob, "arriving", "abc");
	blob_feed(blob, 3);
	for (size_t i = 0; i < COUNT(readers); i++)
		start_waiter(&readers[i], read_once, blob, 3 + i);
	start_waiter(&waiter, wait_once, blob, 0);
	assert_waits(&readers[0]);
	assert_false(atomic_load(&waiter.done));
	err_set(&cut, ERR_NETWORK, "the line is cut");
	blob_feed_end(blob, &cut);
	for (size_t i = 0; i < COUNT(readers); i++)
		assert_failed(&readers[i], ERR_NETWORK, "the line is cut");
	assert_failed(&waiter, ERR_NETWORK, "the line is cut");
	assert_reads(blob, 0, "abc");
	assert_error(blob_wait_briefly(blob, &err), ERR_NETWORK, "the line is cut");
	blob_progress(blob, &progress);
	assert_int_equal(progress.state, BLOB_FAILED);
	blob_close(blob);
	assert_int_equal(verdict.calls, 0);
}

/* `message`: of the failure, if it is one. */
static void assert_verdict(const char *digest, int64_t size, bool right, const char *message)
{
	struct verdict verdict = {0};
	struct blob *blob = expect(digest, size, &verdict);
	struct blob_progress progress;
	struct err err;

	feed_file(blob, "arriving", "abcdef");
	blob_feed(blob, 2);
	wait_until_verified(blob, 2);
	assert_int_equal(verdict.calls, 0);
	blob_feed(blob, 6);
	assert_int_equal(blob_wait_briefly(blob, &err), 1);
	assert_int_equal(verdict.calls, 0);
	blob_feed_end(blob, NULL);
	if (message)
		assert_error(blob_wait(blob, &err), ERR_DIGEST, message);
	else
		assert_ok(blob_wait(blob, &err));
	assert_int_equal(verdict.calls, 1);
	assert_int_equal(verdict.right, right);
	assert_int_equal(blob_wait(blob, &err), message ? -1 : 0);
	assert_reads(blob, 0, "abcdef");
	assert_reads(blob, 6, "");
	blob_progress(blob, &progress);
	assert_int_equal(progress.state, message ? BLOB_FAILED : BLOB_DONE);
	assert_int_equal(progress.bytes, 6);
	blob_close(blob);
	assert_int_equal(verdict.calls, 1);
}

static void feeder_hears_the_verdict_once(void **state)
{
	(void)state;
	assert_verdict(ABCDEF, 6, true, NULL);
	assert_verdict(ABCDEF, BLOB_SIZE_UNKNOWN, true, NULL);
	assert_verdict(ABC, 6, false, "blob " ABC ": its content has the digest " ABCDEF);
	assert_verdict(ABC, BLOB_SIZE_UNKNOWN, false, "its content has the digest " ABCDEF);
	assert_verdict(ABC, 7, false,
		"blob " ABC ": has 6 bytes, expected 7; its content has the digest " ABCDEF);
}

/* Then it is who expects another size that is wrong. */
static void bytes_of_the_digest_are_right_whatever_their_number(void **state)
{
	(void)state;
	assert_verdict(ABCDEF, 7, true, "blob " ABCDEF ": has 6 bytes, expected 7");
	assert_verdict(ABCDEF, 5, true, "blob " ABCDEF ": has 6 bytes, expected 5");
}

static void blob_that_cannot_be_kept_has_failed(void **state)
{
	struct verdict verdict = {.rc = -1};
	struct blob *blob = expect(ABC, 3, &verdict);
	struct blob_progress progress;
	struct err err;

	(void)state;
	feed_file(blob, "arriving", "abc");
	blob_feed(blob, 3);
	blob_feed_end(blob, NULL);
	assert_error(blob_wait(blob, &err), ERR_IO, "there is no room to keep it");
	assert_true(verdict.right);
	assert_int_equal(verdict.calls, 1);
	blob_progress(blob, &progress);
	assert_int_equal(progress.state, BLOB_FAILED);
	blob_close(blob);
}

static void file_that_has_less_than_the_mark_is_found_out(void **state)
{
	struct verdict verdict = {0};
	struct blob *blob = expect(ABCDEF, 6, &verdict);
	struct waiter reader;
	struct err err;

	(void)state;
	feed_file(blob, "arriving", "abcd");
	start_waiter(&reader, read_once, blob, 6);
	assert_waits(&reader);
	blob_feed(blob, 6);
	assert_error(blob_wait(blob, &err), ERR_DIGEST, "has 4 bytes, expected 6");
	assert_failed(&reader, ERR_DIGEST, "blob " ABCDEF ": has 4 bytes, expected 6");
	assert_int_equal(verdict.calls, 1);
	assert_false(verdict.right);
	blob_feed_end(blob, NULL);
	assert_error(blob_wait(blob, &err), ERR_DIGEST, "has 4 bytes, expected 6");
	blob_close(blob);
	assert_int_equal(verdict.calls, 1);
}

static void nothing_at_all_can_be_a_blob(void **state)
{
	static const char empty[] =
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	struct verdict verdict = {0};
	struct blob *blob = expect(empty, 0, &verdict);
	struct err err;

	(void)state;
	assert_int_equal(blob_wait_briefly(blob, &err), 1);
	blob_feed_end(blob, NULL);
	assert_ok(blob_wait(blob, &err));
	assert_true(verdict.right);
	assert_reads(blob, 0, "");
	blob_close(blob);
}

static void what_cannot_be_expected_is_refused(void **state)
{
	struct err err;

	(void)state;
	assert_null(blob_expect(shared, "sha256:12", 3, NULL, NULL, &err));
	assert_message(ERR_USAGE, "sha256:12 is not a digest: expected sha256: and 64 hex digits");
}

static void file_may_be_replaced_by_another_midway(void **state)
{
	struct blob *blob = expect(ABCDEF, 6, NULL);
	struct err err;

	(void)state;
	feed_file(blob, "first", "abc");
	blob_feed(blob, 3);
	wait_until_verified(blob, 3);
	assert_reads(blob, 0, "abc");
	feed_file(blob, "second", "abcdef");
	unit_write(unit_path("first"), "xyzxyz", 6);
	assert_reads(blob, 0, "abc");
	blob_feed(blob, 6);
	blob_feed_end(blob, NULL);
	assert_ok(blob_wait(blob, &err));
	assert_reads(blob, 0, "abcdef");
	blob_close(blob);
}

static void descriptor_of_the_feeder_is_its_own(void **state)
{
	struct blob *blob = expect(ABC, 3, NULL);
	struct err err;

	(void)state;
	assert_error(blob_feed_file(blob, -1, &err), ERR_IO, "duplicate a descriptor: Bad file");
	feed_file(blob, "arriving", "abc"); /* which closes it */
	blob_feed(blob, 3);
	assert_error(blob_feed_file(blob, -1, &err), ERR_IO, "duplicate a descriptor: Bad file");
	blob_feed_end(blob, NULL);
	assert_ok(blob_wait(blob, &err));
	assert_reads(blob, 0, "abc");
	blob_close(blob);
}

static void close_waits_for_the_feeders_word(void **state)
{
	struct verdict verdict = {.lag = 200000};
	struct blob *blob = expect(ABC, 3, &verdict);

	(void)state;
	feed_file(blob, "arriving", "abc");
	blob_feed(blob, 3);
	blob_feed_end(blob, NULL);
	while (!atomic_load(&verdict.calls))
		usleep(1000);
	assert_false(atomic_load(&verdict.answered));
	blob_close(blob);
	assert_true(atomic_load(&verdict.answered));
	assert_int_equal(verdict.calls, 1);
}

static void blob_is_closed_before_it_has_arrived(void **state)
{
	struct verdict verdict = {0};
	struct blob *blob;
	double start = unit_now();

	(void)state;
	blob_close(expect(ABC, 3, &verdict));
	blob = expect(ABC, 3, &verdict);
	feed_file(blob, "arriving", "ab");
	blob_feed(blob, 2);
	blob_close(blob);
	blob_close(NULL);
	/* While it is hashed: zeros that no disk holds. */
	for (int i = 0; i < 5; i++) {
		blob = expect(ABC, BLOB_SIZE_UNKNOWN, &verdict);
		feed_file(blob, "arriving", "");
		assert_int_equal(truncate(unit_path("arriving"), (int64_t)1 << 40), 0);
		blob_feed(blob, (uint64_t)1 << 40);
		blob_feed_end(blob, NULL);
		usleep(3000);
		blob_close(blob);
	}
	assert_int_equal(verdict.calls, 0);
	assert_true(unit_now() - start < PATIENCE);
	unlink(unit_path("arriving"));
}

static void stalled_blob_does_not_keep_others_waiting(void **state)
{
	struct blob *stalled = expect(ABCDEF, 6, NULL), *nothing = expect(ABC, 3, NULL), *blob;
	struct verdict verdict = {0};
	struct err err;

	(void)state;
	feed_file(stalled, "stalled", "abcdef");
	blob_feed(stalled, 3);
	for (int i = 0; i < 3; i++) {
		blob = expect(ABC, 3, &verdict);
		feed_file(blob, "arriving", "abc");
		blob_feed(blob, 3);
		blob_feed_end(blob, NULL);
		assert_ok(blob_wait(blob, &err));
		blob_close(blob);
	}
	assert_int_equal(verdict.calls, 3);
	assert_int_equal(blob_wait_briefly(stalled, &err), 1);
	assert_int_equal(blob_wait_briefly(nothing, &err), 1);
	blob_feed(stalled, 6);
	blob_feed_end(stalled, NULL);
	assert_ok(blob_wait(stalled, &err));
	blob_close(nothing);
	blob_close(stalled);
}

/* Feeds blob after blob, in pieces of all sizes, to readers that follow. */
struct arrival {
	const char *data;
	const char *name, *digest;
	pthread_t feeder, reader;
	struct blob *blob;
	size_t read;
	bool same;
	uint64_t seed;
};

#define ARRIVAL ((size_t)3000000)

static void *feed_in_pieces(void *arg)
{
	struct arrival *a = arg;
	struct unit_random r = {a->seed};
	struct err err;
	int fd = open(a->name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	size_t at = 0;

	blob_feed_file(a->blob, fd, &err);
	while (at < ARRIVAL) {
		size_t n = unit_below(&r, 100000) + 1;

		if (n > ARRIVAL - at)
			n = ARRIVAL - at;
		if (pwrite(fd, a->data + at, n, (off_t)at) != (ssize_t)n)
			break;
		at += n;
		blob_feed(a->blob, at);
		if (unit_below(&r, 4) == 0)
			usleep(unit_below(&r, 3000));
	}
	close(fd);
	blob_feed_end(a->blob, NULL);
	return NULL;
}

static void *read_along(void *arg)
{
	struct arrival *a = arg;
	struct err err;
	char back[70000];
	ssize_t n;

	a->same = true;
	while ((n = blob_read(a->blob, back, sizeof(back), a->read, NULL, &err)) > 0) {
		a->same = a->same && memcmp(back, a->data + a->read, (size_t)n) == 0;
		a->read += (size_t)n;
	}
	return NULL;
}

static void several_arrive_at_once_and_are_read_along(void **state)
{
	static struct arrival arrivals[4];
	char *data = malloc(ARRIVAL);
	struct unit_random r = {8};
	const char *digest;
	struct err err;

	(void)state;
	unit_fill(&r, data, ARRIVAL);
	unit_write(unit_path("all"), data, ARRIVAL);
	digest = sha256_of(unit_path("all"));
	for (size_t i = 0; i < COUNT(arrivals); i++) {
		struct arrival *a = &arrivals[i];
		char name[16];

		snprintf(name, sizeof(name), "piece%zu", i);
		*a = (struct arrival){.data = data, .name = unit_path(name), .seed = i};
		a->blob = expect(digest, i % 2 ? (int64_t)ARRIVAL : BLOB_SIZE_UNKNOWN, NULL);
		pthread_create(&a->feeder, NULL, feed_in_pieces, a);
		pthread_create(&a->reader, NULL, read_along, a);
	}
	for (size_t i = 0; i < COUNT(arrivals); i++) {
		assert_ok(blob_wait(arrivals[i].blob, &err));
		pthread_join(arrivals[i].feeder, NULL);
		pthread_join(arrivals[i].reader, NULL);
		assert_true(arrivals[i].same);
		assert_int_equal(arrivals[i].read, 3000000);
		blob_close(arrivals[i].blob);
	}
	free(data);
}

/* Packed by the tool, `first` bytes of it at first and then piece by piece. */
static void assert_inflated_along(const char *tool, size_t first, size_t step)
{
	struct blob *blob;
	struct inflate *in;
	struct err err;
	char text[20000], *packed;
	const void *data;
	size_t len, got = 0;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "abcdefghijklmnop"[i * i % 13 + i % 3];
	packed = pack(tool, text, sizeof(text), &len);
	blob = expect(NO_DIGEST, (int64_t)len, NULL);
	feed_file(blob, "arriving", "");
	unit_write(unit_path("arriving"), packed, len);
	in = inflate_start(blob, &err);
	for (size_t at = first; at < len; at += step) {
		blob_feed(blob, at);
		usleep(1000);
	}
	blob_feed(blob, len);
	blob_feed_end(blob, NULL);
	while (inflate_next(in, &data, &len, &err) == 1) {
		assert_true(got + len <= sizeof(text));
		assert_memory_equal(data, text + got, len);
		got += len;
	}
	assert_int_equal(got, 20000);
	inflate_stop(in);
	blob_close(blob);
	free(packed);
}

static void what_arrives_is_inflated_along(void **state)
{
	static const char *const tools[] = {"gzip -n", "zstd -q -c", "cat"};

	(void)state;
	for (size_t i = 0; i < COUNT(tools); i++) {
		assert_inflated_along(tools[i], 1, i == 2 ? 991 : 1);
		assert_inflated_along(tools[i], 11, 37);
	}
}

static void inflation_ends_with_the_feeders_error(void **state)
{
	struct blob *blob = expect(ABC, 3, NULL);
	struct inflate *in;
	struct err err, cut;
	const void *data;
	size_t len;
	double start = unit_now();

	(void)state;
	in = inflate_start(blob, &err);
	err_set(&cut, ERR_NETWORK, "the line is cut");
	blob_feed_end(blob, &cut);
	assert_error(inflate_next(in, &data, &len, &err), ERR_NETWORK, "the line is cut");
	inflate_stop(in);
	blob_close(blob);
	/* And one that nobody feeds is stopped by its reader. */
	blob = expect(ABC, 3, NULL);
	in = inflate_start(blob, &err);
	usleep(20000);
	inflate_stop(in);
	blob_close(blob);
	assert_true(unit_now() - start < PATIENCE);
}

/* ---- parts of files -------------------------------------------------------------- */

static struct blob *open_part(uint64_t offset, uint64_t size, const char *digest)
{
	struct err err;
	struct blob *blob = blob_open_part(shared, unit_path("parts"), offset, size, digest, &err);

	if (!blob)
		fail_msg("%s", err.msg);
	return blob;
}

static void part_of_a_file_is_a_blob(void **state)
{
	struct blob *blob;
	struct err err;

	(void)state;
	unit_write(unit_path("parts"), "..abcdef", 8);
	blob = open_part(2, 3, ABC);
	assert_reads(blob, 0, "abc");
	assert_reads(blob, 1, "bc");
	assert_reads(blob, 3, "");
	assert_reads(blob, 4, "");
	assert_ok(blob_wait(blob, &err));
	assert_string_equal(blob_name(blob), ABC);
	blob_close(blob);
	blob = open_part(2, 6, ABCDEF);
	assert_reads(blob, 0, "abcdef");
	assert_ok(blob_wait(blob, &err));
	blob_close(blob);
	blob = open_part(
		8, 0, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_reads(blob, 0, "");
	assert_ok(blob_wait(blob, &err));
	blob_close(blob);
	blob = open_part(3, 3, ABC);
	assert_error(
		blob_wait(blob, &err), ERR_DIGEST, "blob " ABC ": its content has the digest ");
	blob_close(blob);
}

static void part_without_a_digest_is_right_as_it_is(void **state)
{
	struct blob_progress progress;
	struct blob *blob;
	struct err err;

	(void)state;
	unit_write(unit_path("parts"), "..abcdef", 8);
	blob = open_part(1, 4, NULL);
	assert_reads(blob, 0, ".abc");
	assert_ok(blob_wait(blob, &err));
	assert_string_equal(blob_name(blob), unit_path("parts"));
	blob_progress(blob, &progress);
	assert_int_equal(progress.state, BLOB_DONE);
	assert_int_equal(progress.bytes, 4);
	assert_int_equal(progress.size, 4);
	blob_close(blob);
}

static void assert_no_part(uint64_t offset, uint64_t size, const char *text)
{
	struct err err;

	assert_null(blob_open_part(shared, unit_path("parts"), offset, size, ABC, &err));
	assert_message(ERR_DIGEST, text);
}

static void part_outside_of_the_file_is_refused(void **state)
{
	struct err err;

	(void)state;
	unit_write(unit_path("parts"), "..abcdef", 8);
	assert_no_part(0, 9, "has 8 bytes, expected 9 from byte 0 on");
	assert_no_part(8, 1, "has 8 bytes, expected 1 from byte 8 on");
	assert_no_part(9, 0, "has 8 bytes, expected 0 from byte 9 on");
	assert_no_part(UINT64_MAX, 2, "expected 2 from byte 18446744073709551615 on");
	assert_no_part(2, UINT64_MAX, "expected 18446744073709551615 from byte 2 on");
	assert_null(blob_open_part(shared, unit_path("none"), 0, 0, NULL, &err));
	assert_message(ERR_NOT_FOUND, "none: No such file or directory");
	assert_null(blob_open_part(shared, unit_path("parts"), 0, 1, "sha256:", &err));
	assert_message(ERR_USAGE, "sha256: is not a digest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digest_is_sha256),
		cmocka_unit_test(only_a_whole_digest_is_valid),
		cmocka_unit_test(ring_keeps_order_and_lengths),
		cmocka_unit_test(ring_gives_the_data_before_the_error),
		cmocka_unit_test(cancel_wakes_a_waiting_producer),
		cmocka_unit_test(signal_ends_a_wait_for_data),
		cmocka_unit_test(right_blob_is_done),
		cmocka_unit_test(wrong_content_is_a_digest_error),
		cmocka_unit_test(what_cannot_be_a_blob_is_refused_at_once),
		cmocka_unit_test(blob_is_closed_while_it_is_verified),
		cmocka_unit_test(verifier_works_on_after_a_close),
		cmocka_unit_test(many_blobs_are_verified_each),
		cmocka_unit_test(file_cut_off_meanwhile_is_found_out),
		cmocka_unit_test(signal_ends_a_wait_for_the_verdict),
		cmocka_unit_test(plain_bytes_come_as_they_are),
		cmocka_unit_test(gzip_of_all_sizes_is_read),
		cmocka_unit_test(zstd_of_all_sizes_is_read),
		cmocka_unit_test(gzip_members_follow_each_other),
		cmocka_unit_test(gzip_members_end_anywhere_in_a_piece_of_input),
		cmocka_unit_test(gzip_of_thousands_of_members_is_read),
		cmocka_unit_test(zeros_between_and_after_gzip_members_are_passed_over),
		cmocka_unit_test(gzip_headers_with_all_fields_are_read),
		cmocka_unit_test(gzip_cut_off_anywhere_is_truncated),
		cmocka_unit_test(gzip_with_a_wrong_trailer_is_corrupt),
		cmocka_unit_test(gzip_with_a_wrong_byte_is_an_error),
		cmocka_unit_test(gzip_that_refers_to_before_its_start_is_corrupt),
		cmocka_unit_test(bytes_after_gzip_are_an_error),
		cmocka_unit_test(zstd_frames_follow_each_other),
		cmocka_unit_test(skippable_frames_are_passed_over),
		cmocka_unit_test(zstd_cut_off_anywhere_is_truncated),
		cmocka_unit_test(zstd_with_a_wrong_byte_is_an_error),
		cmocka_unit_test(bytes_after_zstd_are_an_error),
		cmocka_unit_test(zstd_that_wants_too_large_a_window_is_refused),
		cmocka_unit_test(reader_may_stop_at_any_time),
		cmocka_unit_test(bomb_is_stopped_by_its_reader),
		cmocka_unit_test(reading_waits_for_what_has_yet_to_arrive),
		cmocka_unit_test(mark_does_not_move_back),
		cmocka_unit_test(reader_that_is_told_to_stop_does),
		cmocka_unit_test(end_of_the_feeder_reaches_all_who_wait),
		cmocka_unit_test(feeder_hears_the_verdict_once),
		cmocka_unit_test(bytes_of_the_digest_are_right_whatever_their_number),
		cmocka_unit_test(blob_that_cannot_be_kept_has_failed),
		cmocka_unit_test(file_that_has_less_than_the_mark_is_found_out),
		cmocka_unit_test(nothing_at_all_can_be_a_blob),
		cmocka_unit_test(what_cannot_be_expected_is_refused),
		cmocka_unit_test(file_may_be_replaced_by_another_midway),
		cmocka_unit_test(descriptor_of_the_feeder_is_its_own),
		cmocka_unit_test(close_waits_for_the_feeders_word),
		cmocka_unit_test(blob_is_closed_before_it_has_arrived),
		cmocka_unit_test(stalled_blob_does_not_keep_others_waiting),
		cmocka_unit_test(several_arrive_at_once_and_are_read_along),
		cmocka_unit_test(what_arrives_is_inflated_along),
		cmocka_unit_test(inflation_ends_with_the_feeders_error),
		cmocka_unit_test(part_of_a_file_is_a_blob),
		cmocka_unit_test(part_without_a_digest_is_right_as_it_is),
		cmocka_unit_test(part_outside_of_the_file_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
