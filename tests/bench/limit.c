/* What the machine can do at best: limit BLOB...
 * The pipeline of banger-lua with nothing written: the gzip layers are inflated
 * by isa-l in one thread and hashed compressed in another; the main thread
 * hashes the tar stream and walks it with libarchive, dropping the contents.
 * Layers follow each other without a pause. Prints bytes in, bytes out, entries
 * and the digests' first letters, so that nothing is optimised away. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNKS = 16, CHUNK = 256 * 1024 };

struct chunk {
	size_t len; /* 0: the layer's end */
	unsigned char *data;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct chunk chunk[CHUNKS];
	size_t head; /* produced */
	size_t tail; /* released */
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static char **blobs;
static unsigned long long bytes_in, bytes_out, entries;

static void die(const char *what, const char *name)
{
	fprintf(stderr, "limit: %s: %s\n", name, what);
	exit(1);
}

static int open_blob(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("cannot open", name);
	return fd;
}

static struct chunk *reserve(void)
{
	pthread_mutex_lock(&ring.lock);
	while (ring.head - ring.tail == CHUNKS)
		pthread_cond_wait(&ring.changed, &ring.lock);
	pthread_mutex_unlock(&ring.lock);
	return &ring.chunk[ring.head % CHUNKS];
}

static void commit(size_t len)
{
	ring.chunk[ring.head % CHUNKS].len = len;
	pthread_mutex_lock(&ring.lock);
	ring.head++;
	pthread_cond_signal(&ring.changed);
	pthread_mutex_unlock(&ring.lock);
}

static struct chunk *peek(void)
{
	pthread_mutex_lock(&ring.lock);
	while (ring.head == ring.tail)
		pthread_cond_wait(&ring.changed, &ring.lock);
	pthread_mutex_unlock(&ring.lock);
	return &ring.chunk[ring.tail % CHUNKS];
}

static void release(void)
{
	pthread_mutex_lock(&ring.lock);
	ring.tail++;
	pthread_cond_signal(&ring.changed);
	pthread_mutex_unlock(&ring.lock);
}

static void inflate_blob(const char *name, struct inflate_state *state, unsigned char *in)
{
	int fd = open_blob(name);
	bool more = true;

	isal_inflate_init(state);
	state->crc_flag = ISAL_GZIP;
	state->avail_in = 0;
	while (more) {
		struct chunk *chunk = reserve();

		state->next_out = chunk->data;
		state->avail_out = CHUNK;
		while (state->avail_out > 0 && more) {
			if (state->avail_in == 0) {
				ssize_t n = read(fd, in, CHUNK);

				if (n <= 0)
					die("truncated", name);
				state->next_in = in;
				state->avail_in = (uint32_t)n;
			}
			if (isal_inflate(state) != ISAL_DECOMP_OK)
				die("corrupt", name);
			more = state->block_state != ISAL_BLOCK_FINISH;
		}
		if (state->avail_out < CHUNK)
			commit(CHUNK - state->avail_out);
	}
	reserve();
	commit(0);
	close(fd);
}

static void *inflate_all(void *unused)
{
	struct inflate_state *state = malloc(sizeof(*state));
	unsigned char *in = malloc(CHUNK);

	if (!state || !in)
		die("no memory", "inflate");
	for (char **blob = blobs; *blob; blob++)
		inflate_blob(*blob, state, in);
	free(state);
	free(in);
	return unused;
}

static unsigned char finish_hash(EVP_MD_CTX *hash)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	EVP_DigestFinal_ex(hash, digest, NULL);
	return digest[0];
}

static void *hash_blobs(void *sum)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	unsigned char *in = malloc(CHUNK);

	if (!hash || !in)
		die("no memory", "hash");
	for (char **blob = blobs; *blob; blob++) {
		int fd = open_blob(*blob);
		ssize_t n;

		EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
		while ((n = read(fd, in, CHUNK)) > 0) {
			EVP_DigestUpdate(hash, in, (size_t)n);
			bytes_in += (unsigned long long)n;
		}
		*(unsigned *)sum += finish_hash(hash);
		close(fd);
	}
	EVP_MD_CTX_free(hash);
	free(in);
	return NULL;
}

struct layer {
	EVP_MD_CTX *hash;
	bool held; /* a chunk is being read */
	bool ended;
};

static ssize_t next_chunk(struct layer *layer, const void **data)
{
	struct chunk *chunk;

	if (layer->held)
		release();
	layer->held = false;
	if (layer->ended)
		return 0;
	chunk = peek();
	layer->held = true;
	layer->ended = chunk->len == 0;
	EVP_DigestUpdate(layer->hash, chunk->data, chunk->len);
	bytes_out += chunk->len;
	*data = chunk->data;
	return (ssize_t)chunk->len;
}

static la_ssize_t on_read(struct archive *ar, void *layer, const void **data)
{
	(void)ar;
	return next_chunk(layer, data);
}

/* Whatever libarchive skips has to be hashed all the same: no skip callback. */
static unsigned walk_layer(EVP_MD_CTX *hash)
{
	struct layer layer = {.hash = hash};
	struct archive *ar = archive_read_new();
	struct archive_entry *entry;
	const void *data;
	int rc;

	EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
	archive_read_support_format_tar(ar);
	archive_read_support_format_empty(ar);
	if (archive_read_open2(ar, &layer, NULL, on_read, NULL, NULL) != ARCHIVE_OK)
		die(archive_error_string(ar), "tar");
	while ((rc = archive_read_next_header(ar, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
		entries++;
	if (rc != ARCHIVE_EOF)
		die(archive_error_string(ar), "tar");
	archive_read_free(ar);
	while (next_chunk(&layer, &data) > 0)
		;
	if (layer.held)
		release();
	return finish_hash(hash);
}

int main(int argc, char **argv)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	pthread_t inflater, hasher;
	unsigned sum_in = 0, sum_out = 0;

	if (argc < 2 || !hash)
		die("usage: limit BLOB...", "arguments");
	blobs = argv + 1;
	for (size_t i = 0; i < CHUNKS; i++)
		if (posix_memalign((void **)&ring.chunk[i].data, 4096, CHUNK))
			die("no memory", "ring");
	if (pthread_create(&inflater, NULL, inflate_all, NULL) ||
		pthread_create(&hasher, NULL, hash_blobs, &sum_in))
		die("no thread", "start");
	for (char **blob = blobs; *blob; blob++)
		sum_out += walk_layer(hash);
	pthread_join(inflater, NULL);
	pthread_join(hasher, NULL);
	printf("%llu %llu %llu %x %x\n", bytes_in, bytes_out, entries, sum_in, sum_out);
	EVP_MD_CTX_free(hash);
	return 0;
}
