#include "common/input.h"

#include <unistd.h>

int input_read(struct strbuf *out, size_t max_bytes, struct error *err)
{
	const char *how = getenv("SILVER_INPUT");
	bool sealed = how && strcmp(how, "sealed") == 0;

	if (strbuf_read_fd(out, STDIN_FILENO, max_bytes + sealed, err) == -1)
		return error_prefix(err, "standard input");
	if (!sealed)
		return 0;
	if (out->len == 0 || out->buf[out->len - 1] != '\0')
		return error_set(err, E_REFUSED,
				 "standard input was cut off before its end; nothing was taken");
	out->buf[--out->len] = '\0';
	return 0;
}
