/* The processor's time stamp counter. */
#ifndef BANGER_BASE_TSC_H
#define BANGER_BASE_TSC_H

#include <stdint.h>

/* Its frequency in kHz, measured in about 30 ms; 0 where there is none. */
uint64_t tsc_khz(void);

#endif
