/* Makes an OCI layout with one gzip layer for the scale cases, tag "bench":
 * make-layout DIR files N   N small files, 100 to a directory
 *             DIR dir N     N empty files in one directory
 *             DIR zeros N   one file of N bytes, a MiB in every GB not zero
 * The same arguments give the same bytes. */
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifdef __aarch64__
#define ARCH "arm64"
#else
#define ARCH "amd64"
#endif

enum { BLOCK = 512, CHUNK = 1 << 20 };

static const char *dir;

static struct {
	FILE *file;
	EVP_MD_CTX *tar_hash;
	EVP_MD_CTX *gzip_hash;
	struct isal_zstream stream;
	unsigned char *out;
	uint64_t size; /* of the gzip */
} layer;

static void die(const char *what)
{
	fprintf(stderr, "make-layout: %s: %s\n", what, strerror(errno));
	exit(1);
}

static EVP_MD_CTX *hash_new(void)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (!hash || !EVP_DigestInit_ex(hash, EVP_sha256(), NULL))
		die("sha256");
	return hash;
}

static void hash_hex(EVP_MD_CTX *hash, char hex[65])
{
	unsigned char digest[32];

	EVP_DigestFinal_ex(hash, digest, NULL);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	EVP_MD_CTX_free(hash);
}

/* ---- the layer: tar bytes go through a gzip stream into a file ---- */

static void deflate(const void *data, size_t len, bool end)
{
	layer.stream.next_in = (void *)data;
	layer.stream.avail_in = (uint32_t)len;
	layer.stream.end_of_stream = end;
	do {
		size_t n;

		layer.stream.next_out = layer.out;
		layer.stream.avail_out = CHUNK;
		if (isal_deflate(&layer.stream) != COMP_OK)
			die("deflate");
		n = CHUNK - layer.stream.avail_out;
		EVP_DigestUpdate(layer.gzip_hash, layer.out, n);
		if (fwrite(layer.out, 1, n, layer.file) != n)
			die("write");
		layer.size += n;
	} while (layer.stream.avail_in > 0 || layer.stream.avail_out == 0 ||
		 (end && layer.stream.internal_state.state != ZSTATE_END));
}

static void put(const void *data, size_t len)
{
	static unsigned char pending[CHUNK];
	static size_t used;

	if (!data) { /* the end */
		EVP_DigestUpdate(layer.tar_hash, pending, used);
		deflate(pending, used, true);
		return;
	}
	while (len > 0) {
		size_t n = len < CHUNK - used ? len : CHUNK - used;

		memcpy(pending + used, data, n);
		used += n;
		data = (const char *)data + n;
		len -= n;
		if (used == CHUNK) {
			EVP_DigestUpdate(layer.tar_hash, pending, used);
			deflate(pending, used, false);
			used = 0;
		}
	}
}

static void put_header(const char *name, char type, uint64_t size)
{
	unsigned char h[BLOCK] = {0};
	unsigned sum = 0;

	snprintf((char *)h, 100, "%s", name);
	memcpy(h + 100, type == '5' ? "0000755" : "0000644", 7);
	memcpy(h + 108, "0000000", 7);
	memcpy(h + 116, "0000000", 7);
	snprintf((char *)h + 124, 12, "%011llo", (unsigned long long)size);
	memcpy(h + 136, "14524724400", 11);
	h[156] = (unsigned char)type;
	memcpy(h + 257, "ustar\00000", 8);
	memset(h + 148, ' ', 8);
	for (int i = 0; i < BLOCK; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
	put(h, BLOCK);
}

static void put_padding(uint64_t size)
{
	static const unsigned char zeros[BLOCK];

	if (size % BLOCK)
		put(zeros, BLOCK - size % BLOCK);
}

static uint32_t random_next(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* ---- the three kinds ---- */

static void put_files(uint64_t count)
{
	static const char letters[] = "etaoinshrdlu bcfgkmpvwxyzq_().;\n";
	char text[2048];
	char name[100];

	for (uint64_t i = 0; i < count; i++) {
		uint64_t size = random_next() % sizeof(text);

		if (i % 10000 == 0) {
			snprintf(name, sizeof(name), "d%04u/", (unsigned)(i / 10000));
			put_header(name, '5', 0);
		}
		if (i % 100 == 0) {
			snprintf(name, sizeof(name), "d%04u/d%02u/", (unsigned)(i / 10000),
				(unsigned)(i / 100 % 100));
			put_header(name, '5', 0);
		}
		snprintf(name, sizeof(name), "d%04u/d%02u/file-%07u.txt", (unsigned)(i / 10000),
			(unsigned)(i / 100 % 100), (unsigned)i);
		put_header(name, '0', size);
		for (uint64_t k = 0; k < size; k++)
			text[k] = letters[random_next() >> 27];
		put(text, size);
		put_padding(size);
	}
}

static void put_dir(uint64_t count)
{
	char name[100];

	put_header("many/", '5', 0);
	for (uint64_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "many/message-%08x.eml", (unsigned)(i * 2654435761u));
		put_header(name, '0', 0);
	}
}

static void put_zeros(uint64_t size)
{
	static unsigned char zeros[CHUNK], noise[CHUNK];
	uint64_t gb = 0;

	put_header("disk.img", '0', size);
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < CHUNK ? size - at : CHUNK;

		if (at >= gb * 1000000000) {
			gb++;
			for (size_t k = 0; k < CHUNK; k++)
				noise[k] = (unsigned char)random_next();
			put(noise, n);
		} else {
			put(zeros, n);
		}
		at += n;
	}
	put_padding(size);
}

/* ---- the layout around it ---- */

static FILE *open_in(const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "wb");
	if (!file)
		die(path);
	return file;
}

/* Write a small blob; its digest into `hex`. The length. */
__attribute__((format(printf, 2, 3))) static int put_blob(char hex[65], const char *fmt, ...)
{
	EVP_MD_CTX *hash = hash_new();
	char text[2048], name[128];
	va_list args;
	FILE *file;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	EVP_DigestUpdate(hash, text, (size_t)len);
	hash_hex(hash, hex);
	snprintf(name, sizeof(name), "blobs/sha256/%s", hex);
	file = open_in(name);
	if (fwrite(text, 1, (size_t)len, file) != (size_t)len || fclose(file))
		die(name);
	return len;
}

static void layer_start(void)
{
	layer.file = open_in("layer");
	layer.tar_hash = hash_new();
	layer.gzip_hash = hash_new();
	layer.out = malloc(CHUNK);
	isal_deflate_init(&layer.stream);
	layer.stream.gzip_flag = IGZIP_GZIP;
	layer.stream.level = 1;
	layer.stream.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
	layer.stream.level_buf = malloc(ISAL_DEF_LVL1_DEFAULT);
	if (!layer.out || !layer.stream.level_buf)
		die("memory");
}

static void layer_finish(char diff_id[65], char digest[65])
{
	static const unsigned char end[2 * BLOCK];
	char from[4096], to[4200];

	put(end, sizeof(end));
	put(NULL, 0);
	if (fclose(layer.file))
		die("layer");
	hash_hex(layer.tar_hash, diff_id);
	hash_hex(layer.gzip_hash, digest);
	snprintf(from, sizeof(from), "%s/layer", dir);
	snprintf(to, sizeof(to), "%s/blobs/sha256/%s", dir, digest);
	if (rename(from, to))
		die(to);
}

static void put_layout(const char *diff_id, const char *digest)
{
	char config[65], manifest[65];
	FILE *file;
	int len;

	len = put_blob(config,
		"{\"architecture\":\"" ARCH
		"\",\"os\":\"linux\",\"created\":\"2023-11-14T22:13:20Z\","
		"\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\"]}}",
		diff_id);
	len = put_blob(manifest,
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
		"\"digest\":\"sha256:%s\",\"size\":%d},"
		"\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\","
		"\"digest\":\"sha256:%s\",\"size\":%llu}]}",
		config, len, digest, (unsigned long long)layer.size);
	file = open_in("index.json");
	fprintf(file,
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
		"\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%s\",\"size\":%d,"
		"\"annotations\":{\"org.opencontainers.image.ref.name\":\"bench\"}}]}",
		manifest, len);
	if (fclose(file))
		die("index.json");
	file = open_in("oci-layout");
	fputs("{\"imageLayoutVersion\":\"1.0.0\"}", file);
	if (fclose(file))
		die("oci-layout");
}

int main(int argc, char **argv)
{
	char path[4096], diff_id[65], digest[65];
	uint64_t count;

	if (argc != 4) {
		fprintf(stderr, "usage: make-layout DIR files|dir|zeros N\n");
		return 2;
	}
	dir = argv[1];
	count = strtoull(argv[3], NULL, 10);
	mkdir(dir, 0777);
	snprintf(path, sizeof(path), "%s/blobs", dir);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/blobs/sha256", dir);
	if (mkdir(path, 0777) && errno != EEXIST)
		die(path);
	layer_start();
	if (strcmp(argv[2], "files") == 0)
		put_files(count);
	else if (strcmp(argv[2], "dir") == 0)
		put_dir(count);
	else
		put_zeros(count);
	layer_finish(diff_id, digest);
	put_layout(diff_id, digest);
	return 0;
}
