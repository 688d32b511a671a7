/* sha256.h - SHA-256 (FIPS 180-4), to know content again: not for secrets.
 *
 *	sha256_init(); sha256_add() any number of times; sha256_hex() once */
#pragma once
#include "common/mem.h"

#define SHA256_HEX 64

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;
	unsigned char block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t len);
void sha256_hex(struct sha256 *s, char out[SHA256_HEX + 1]);
