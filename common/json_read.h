/* json_read.h - reading the JSON (RFC 8259) that other programs print; the only user of jansson.
 *
 * For documents that are a table: an object, or an array of objects. A value is handed on as its
 * text (a real number by %g); null counts as absent. Of an object or an array
 * inside, keys are "outer.inner" and "outer.0". Text that is no UTF-8, NULs, a key twice, and more
 * than one document are errors. */
#pragma once
#include "common/mem.h"

/* `object` counts the objects of the array from 0; key and value live as long as the call. */
typedef void (*json_value_fn)(void *ctx, size_t object, const char *key, const char *value);

/* *n (may be NULL) is the number of objects. Nothing is handed on of a document that is bad from
 * its syntax; E_USAGE says where: "line 3: '}' expected near ...". */
MUST_CHECK int json_read(const char *text, size_t len, json_value_fn fn, void *ctx, size_t *n,
			 struct error *err);
