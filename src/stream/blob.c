#include "stream/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/wait.h"
#include "stream/digest.h"

#define READ_SIZE ((size_t)256 << 10)

struct blob {
	struct verifier *verifier;
	struct blob *next;             /* in the verifier's list */
	int fd;                        /* -1: nothing has arrived */
	char *path;                    /* of a path's blob */
	uint64_t offset;               /* of the blob in its file */
	char digest[DIGEST_TEXT_SIZE]; /* "": none is stated */
	int64_t size;
	uint64_t arrived; /* good to read */
	bool ended;       /* no more will come */
	bool whole;       /* nor is anything missing */
	struct digest *hash;
	uint64_t verified;
	blob_verdict_fn *verdict;
	void *verdict_arg;
	enum blob_state state;
	struct err err; /* why it failed */
};

struct verifier {
	pthread_mutex_t lock; /* of the list and of every blob's state */
	pthread_cond_t work;  /* for the thread */
	pthread_cond_t changed;
	pthread_t thread;
	struct blob *blobs; /* under verification, in the order they came */
	struct blob *current;
	bool stop;
	void *data; /* the thread's read buffer */
};

/* ---- verification ------------------------------------------------------------------- */

/* With the lock held: the next bytes to hash, or a blob that is all hashed. */
static struct blob *pick(struct verifier *v)
{
	for (struct blob *b = v->blobs; b; b = b->next)
		if (b->verified < b->arrived || b->ended)
			return b;
	return NULL;
}

/* Hash `len` bytes from where the hash is. */
static int hash_more(struct verifier *v, struct blob *blob, size_t len, struct err *err)
{
	ssize_t n = fd_pread_all(blob->fd, v->data, len, blob->offset + blob->verified);

	if (n < 0)
		return err_errno(err, errno, "read %s", blob_name(blob));
	if ((size_t)n < len)
		return err_set(err, ERR_DIGEST, "blob %s: has %llu bytes, expected %lld",
			blob_name(blob), (unsigned long long)blob->verified + (size_t)n,
			(long long)blob->size);
	digest_update(blob->hash, v->data, len);
	return 0;
}

/* All is hashed: are the bytes those of the digest, and as many as they should be? */
static int judge(struct blob *blob, bool *right, struct err *err)
{
	char found[DIGEST_TEXT_SIZE];

	digest_final(blob->hash, found);
	*right = !blob->digest[0] || strcmp(found, blob->digest) == 0;
	if (blob->size != BLOB_SIZE_UNKNOWN && blob->verified != (uint64_t)blob->size)
		return err_set(err, ERR_DIGEST, "blob %s: has %llu bytes, expected %lld%s%s",
			blob_name(blob), (unsigned long long)blob->verified, (long long)blob->size,
			*right ? "" : "; its content has the digest ", *right ? "" : found);
	if (!*right)
		return err_set(err, ERR_DIGEST, "blob %s: its content has the digest %s%s%s%s",
			blob->digest, found, blob->path ? " (" : "", blob->path ? blob->path : "",
			blob->path ? ")" : "");
	return 0;
}

/* With the lock held. */
static void leave_list(struct verifier *v, struct blob *blob)
{
	struct blob **slot;

	for (slot = &v->blobs; *slot && *slot != blob; slot = &(*slot)->next)
		;
	if (*slot)
		*slot = blob->next;
}

/* With the lock held, which is let go meanwhile: one piece, or the verdict. */
static void verify_some(struct verifier *v, struct blob *blob)
{
	size_t len = READ_SIZE;
	struct err err = {0};
	bool last, right = false;
	int rc;

	if (blob->arrived - blob->verified < len)
		len = (size_t)(blob->arrived - blob->verified);
	last = !len;
	v->current = blob;
	pthread_mutex_unlock(&v->lock);
	rc = last ? judge(blob, &right, &err) : hash_more(v, blob, len, &err);
	if ((last || rc < 0) && blob->verdict && blob->verdict(blob->verdict_arg, right, &err) < 0)
		rc = -1;
	pthread_mutex_lock(&v->lock);
	v->current = NULL;
	blob->verified += len;
	if (last || rc < 0) {
		leave_list(v, blob);
		blob->state = rc < 0 ? BLOB_FAILED : BLOB_DONE;
		blob->err = err;
	}
	pthread_cond_broadcast(&v->changed);
}

static void *verify_all(void *arg)
{
	struct verifier *v = arg;

	/* What is inflated now has the processors first: measured on two of them, a
	 * quarter less for the whole. The verdict is due at the layer's end only. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	pthread_mutex_lock(&v->lock);
	while (!v->stop) {
		struct blob *blob = pick(v);

		if (blob)
			verify_some(v, blob);
		else
			pthread_cond_wait(&v->work, &v->lock);
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

struct verifier *verifier_new(struct err *err)
{
	struct verifier *v = calloc(1, sizeof(*v));

	if (!v)
		goto out_of_memory;
	v->data = malloc(READ_SIZE);
	if (!v->data)
		goto out_of_memory;
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->work, NULL);
	wait_cond_init(&v->changed);
	if (pthread_create(&v->thread, NULL, verify_all, v) == 0)
		return v;
	pthread_cond_destroy(&v->changed);
	pthread_cond_destroy(&v->work);
	pthread_mutex_destroy(&v->lock);
out_of_memory:
	if (v)
		free(v->data);
	free(v);
	err_set(err, ERR_NO_MEMORY, "cannot start the verifying thread");
	return NULL;
}

void verifier_free(struct verifier *v)
{
	if (!v)
		return;
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	pthread_cond_signal(&v->work);
	pthread_mutex_unlock(&v->lock);
	pthread_join(v->thread, NULL);
	pthread_cond_destroy(&v->changed);
	pthread_cond_destroy(&v->work);
	pthread_mutex_destroy(&v->lock);
	free(v->data);
	free(v);
}

/* ---- blobs ---------------------------------------------------------------------------- */

static void enlist(struct verifier *v, struct blob *blob)
{
	struct blob **slot;

	pthread_mutex_lock(&v->lock);
	blob->verifier = v;
	for (slot = &v->blobs; *slot; slot = &(*slot)->next)
		;
	*slot = blob;
	pthread_cond_signal(&v->work);
	pthread_mutex_unlock(&v->lock);
}

static int open_file(struct blob *blob, const char *path, int64_t *file_size, struct err *err)
{
	struct stat st;

	blob->path = strdup(path);
	if (!blob->path)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	blob->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (blob->fd < 0)
		return err_errno(err, errno, "blob %s: open %s", blob_name(blob), path);
	if (fstat(blob->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_NOT_FOUND, "blob %s: %s is not a regular file",
			blob_name(blob), path);
	*file_size = st.st_size;
	return 0;
}

static int open_whole(struct blob *blob, const char *path, int64_t size, struct err *err)
{
	int64_t there;

	if (open_file(blob, path, &there, err) < 0)
		return -1;
	if (size != BLOB_SIZE_UNKNOWN && there != size)
		return err_set(err, ERR_DIGEST, "blob %s: %s has %lld bytes, expected %lld",
			blob_name(blob), path, (long long)there, (long long)size);
	blob->size = there;
	return 0;
}

static int open_part(
	struct blob *blob, const char *path, uint64_t offset, uint64_t size, struct err *err)
{
	int64_t there;

	if (open_file(blob, path, &there, err) < 0)
		return -1;
	if (offset > (uint64_t)there || size > (uint64_t)there - offset)
		return err_set(err, ERR_DIGEST,
			"blob %s: %s has %lld bytes, expected %llu from byte %llu on",
			blob_name(blob), path, (long long)there, (unsigned long long)size,
			(unsigned long long)offset);
	blob->offset = offset;
	blob->size = (int64_t)size;
	return 0;
}

static struct blob *blob_new(const char *digest, struct err *err)
{
	struct blob *blob;

	if (digest && !digest_valid(digest)) {
		err_set(err, ERR_USAGE, "%s is not a digest: expected sha256: and 64 hex digits",
			digest);
		return NULL;
	}
	blob = calloc(1, sizeof(*blob));
	if (!blob) {
		err_set(err, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	blob->fd = -1;
	if (digest)
		memcpy(blob->digest, digest, sizeof(blob->digest));
	blob->hash = digest_new(err);
	if (blob->hash)
		return blob;
	free(blob);
	return NULL;
}

/* Of a host file, which is all there, or not to be had (`rc`). */
static struct blob *verify_file(struct verifier *verifier, struct blob *blob, int rc)
{
	if (rc < 0) {
		blob_close(blob);
		return NULL;
	}
	blob->arrived = (uint64_t)blob->size;
	blob->ended = blob->whole = true;
	enlist(verifier, blob);
	return blob;
}

struct blob *blob_open(struct verifier *verifier, const char *path, const char *digest,
	int64_t size, struct err *err)
{
	struct blob *blob = blob_new(digest, err);

	return blob ? verify_file(verifier, blob, open_whole(blob, path, size, err)) : NULL;
}

struct blob *blob_open_part(struct verifier *verifier, const char *path, uint64_t offset,
	uint64_t size, const char *digest, struct err *err)
{
	struct blob *blob = blob_new(digest, err);

	return blob ? verify_file(verifier, blob, open_part(blob, path, offset, size, err)) : NULL;
}

struct blob *blob_expect(struct verifier *verifier, const char *digest, int64_t size,
	blob_verdict_fn *verdict, void *arg, struct err *err)
{
	struct blob *blob = blob_new(digest, err);

	if (!blob)
		return NULL;
	blob->size = size;
	blob->verdict = verdict;
	blob->verdict_arg = arg;
	enlist(verifier, blob);
	return blob;
}

int blob_feed_file(struct blob *blob, int fd, struct err *err)
{
	/* A reader may be at it: the number stays, the file behind it changes. */
	int number = blob->fd < 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : dup3(fd, blob->fd, O_CLOEXEC);

	if (number < 0)
		return err_errno(err, errno, "duplicate a descriptor");
	/* Readers look at it once something has arrived, and from then on it stays. */
	if (blob->fd < 0)
		blob->fd = number;
	return 0;
}

void blob_feed(struct blob *blob, uint64_t bytes)
{
	struct verifier *v = blob->verifier;

	pthread_mutex_lock(&v->lock);
	if (bytes > blob->arrived) {
		blob->arrived = bytes;
		pthread_cond_signal(&v->work);
		pthread_cond_broadcast(&v->changed);
	}
	pthread_mutex_unlock(&v->lock);
}

void blob_feed_end(struct blob *blob, const struct err *err)
{
	struct verifier *v = blob->verifier;

	pthread_mutex_lock(&v->lock);
	if (err && blob->state == BLOB_RUNNING) {
		leave_list(v, blob);
		blob->state = BLOB_FAILED;
		blob->err = *err;
	}
	blob->ended = true;
	blob->whole = !err;
	pthread_cond_signal(&v->work);
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
}

void blob_close(struct blob *blob)
{
	struct verifier *v;

	if (!blob)
		return;
	v = blob->verifier;
	if (v) {
		pthread_mutex_lock(&v->lock);
		leave_list(v, blob);
		while (v->current == blob)
			pthread_cond_wait(&v->changed, &v->lock);
		leave_list(v, blob);
		pthread_mutex_unlock(&v->lock);
	}
	digest_free(blob->hash);
	if (blob->fd >= 0)
		close(blob->fd);
	free(blob->path);
	free(blob);
}

static bool told(const atomic_bool *stop)
{
	return stop && atomic_load(stop);
}

/* With the lock held: how many bytes can be read at `offset`, waiting for them. 0 at
 * the end. */
static ssize_t await(struct blob *blob, uint64_t offset, const atomic_bool *stop, struct err *err)
{
	struct verifier *v = blob->verifier;

	while (offset >= blob->arrived && !blob->ended && blob->state != BLOB_FAILED && !told(stop))
		wait_briefly(&v->changed, &v->lock);
	if (told(stop))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	if (offset < blob->arrived)
		return (ssize_t)(blob->arrived - offset);
	if (blob->state == BLOB_FAILED && !blob->whole) {
		*err = blob->err;
		return -1;
	}
	return 0;
}

ssize_t blob_read(struct blob *blob, void *data, size_t len, uint64_t offset,
	const atomic_bool *stop, struct err *err)
{
	struct verifier *v = blob->verifier;
	ssize_t n;

	pthread_mutex_lock(&v->lock);
	n = await(blob, offset, stop, err);
	pthread_mutex_unlock(&v->lock);
	if (n <= 0)
		return n;
	if ((size_t)n < len)
		len = (size_t)n;
	n = fd_pread_all(blob->fd, data, len, blob->offset + offset);
	if (n < 0)
		return err_errno(err, errno, "read %s", blob_name(blob));
	return n;
}

int blob_wait_briefly(struct blob *blob, struct err *err)
{
	struct verifier *v = blob->verifier;
	int rc = 0;

	pthread_mutex_lock(&v->lock);
	if (blob->state == BLOB_RUNNING)
		wait_briefly(&v->changed, &v->lock);
	if (interrupt_check(err) < 0) {
		rc = -1;
	} else if (blob->state == BLOB_FAILED) {
		*err = blob->err;
		rc = -1;
	} else if (blob->state == BLOB_RUNNING) {
		rc = 1;
	}
	pthread_mutex_unlock(&v->lock);
	return rc;
}

void blob_progress(struct blob *blob, struct blob_progress *progress)
{
	pthread_mutex_lock(&blob->verifier->lock);
	progress->state = blob->state;
	progress->bytes = blob->verified;
	progress->arrived = blob->arrived;
	progress->size = blob->size;
	pthread_mutex_unlock(&blob->verifier->lock);
}

const char *blob_name(const struct blob *blob)
{
	if (blob->digest[0])
		return blob->digest;
	return blob->path ? blob->path : "";
}
