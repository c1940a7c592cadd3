#include "stream/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* `failed` is sticky, so that callers need no check on every update. A digest
 * that failed comes out as text that equals no digest. */
struct digest {
	EVP_MD_CTX *ctx;
	bool failed;
};

struct digest *digest_new(struct err *err)
{
	struct digest *digest = calloc(1, sizeof(*digest));

	if (digest)
		digest->ctx = EVP_MD_CTX_new();
	if (!digest || !digest->ctx || EVP_DigestInit_ex(digest->ctx, EVP_sha256(), NULL) != 1) {
		digest_free(digest);
		err_set(err, ERR_NO_MEMORY, "cannot start a sha256: out of memory");
		return NULL;
	}
	return digest;
}

void digest_update(struct digest *digest, const void *data, size_t len)
{
	if (EVP_DigestUpdate(digest->ctx, data, len) != 1)
		digest->failed = true;
}

void digest_final(struct digest *digest, char out[DIGEST_TEXT_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char md[32];
	char *at = out + strlen(DIGEST_PREFIX);

	memcpy(out, DIGEST_PREFIX, sizeof(DIGEST_PREFIX));
	if (EVP_DigestFinal_ex(digest->ctx, md, NULL) != 1 || digest->failed)
		return;
	for (size_t i = 0; i < sizeof(md); i++) {
		*at++ = hex[md[i] >> 4];
		*at++ = hex[md[i] & 15];
	}
	*at = '\0';
}

void digest_free(struct digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->ctx);
	free(digest);
}

void cleanup_digest(struct digest **digest)
{
	digest_free(*digest);
}

bool digest_valid(const char *text)
{
	size_t prefix = strlen(DIGEST_PREFIX);

	return strncmp(text, DIGEST_PREFIX, prefix) == 0 &&
	       strspn(text + prefix, "0123456789abcdef") == 64 && text[prefix + 64] == '\0';
}
