#include "common/json_read.h"

#include <inttypes.h>
#include <jansson.h>

#define DEPTH_MAX 8

struct reading {
	json_value_fn fn;
	void *ctx;
	size_t object;
};

static void free_json(json_t **j)
{
	json_decref(*j);
}

static int take_object(const struct reading *r, json_t *object, const char *outer, int depth,
		       struct error *err);

static int take_array(const struct reading *r, json_t *array, const char *outer, int depth,
		      struct error *err);

static int take_value(const struct reading *r, const char *key, json_t *value, int depth,
		      struct error *err)
{
	autofree char *text = NULL;

	if (depth > DEPTH_MAX)
		return error_set(err, E_USAGE, "nested deeper than %d", DEPTH_MAX);

	if (json_is_null(value))
		return 0;
	if (json_is_object(value))
		return take_object(r, value, key, depth + 1, err);
	if (json_is_array(value))
		return take_array(r, value, key, depth + 1, err);
	if (json_is_string(value))
		text = xstrdup(json_string_value(value));
	else if (json_is_integer(value))
		text = xasprintf("%" PRId64, (int64_t)json_integer_value(value));
	else if (json_is_real(value))
		text = xasprintf("%g", json_real_value(value));
	else
		text = xstrdup(json_is_true(value) ? "true" : "false");
	r->fn(r->ctx, r->object, key, text);
	return 0;
}

static int take_object(const struct reading *r, json_t *object, const char *outer, int depth,
		       struct error *err)
{
	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
		const char *name = json_object_iter_key(at);
		autofree char *key = outer ? xasprintf("%s.%s", outer, name) : xstrdup(name);

		if (take_value(r, key, json_object_iter_value(at), depth, err) == -1)
			return -1;
	}
	return 0;
}

static int take_array(const struct reading *r, json_t *array, const char *outer, int depth,
		      struct error *err)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		autofree char *key = xasprintf("%s.%zu", outer, i);

		if (take_value(r, key, json_array_get(array, i), depth, err) == -1)
			return -1;
	}
	return 0;
}

static int take_element(const struct reading *r, json_t *element, struct error *err)
{
	if (!json_is_object(element))
		return error_set(err, E_USAGE, "expected an object, or an array of objects");
	return take_object(r, element, NULL, 0, err);
}

int json_read(const char *text, size_t len, json_value_fn fn, void *ctx, size_t *n,
	      struct error *err)
{
	json_error_t bad;
	__attribute__((cleanup(free_json))) json_t *document =
		json_loadb(text, len, JSON_REJECT_DUPLICATES, &bad);
	struct reading r = {.fn = fn, .ctx = ctx};

	if (!document)
		return error_set(err, E_USAGE, "line %d: %s", bad.line, bad.text);
	if (n)
		*n = json_is_array(document) ? json_array_size(document) : 1;
	if (!json_is_array(document))
		return take_element(&r, document, err);
	for (; r.object < json_array_size(document); r.object++)
		if (take_element(&r, json_array_get(document, r.object), err) == -1)
			return -1;
	return 0;
}
