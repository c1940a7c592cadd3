/* A blob's verdict, waited for as the handle's wait() does. */
#ifndef BANGER_TESTS_VERDICT_H
#define BANGER_TESTS_VERDICT_H

#include "stream/blob.h"

static inline int blob_wait(struct blob *blob, struct err *err)
{
	int rc;

	do
		rc = blob_wait_briefly(blob, err);
	while (rc > 0);
	return rc;
}

#endif
