#include "common/names.h"

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* An error that shows the name as it came, safe for a terminal and not too long. */
static int bad_name(struct error *err, const char *what, const char *name, const char *rule)
{
	autostrbuf struct strbuf shown = STRBUF_INIT;

	name_add_printable(&shown, name, strnlen(name, 80));
	return error_set(err, E_USAGE, "'%s%s' is not %s: %s", strbuf_str(&shown),
			 strlen(name) > 80 ? "..." : "", what, rule);
}

int name_check_app(const char *name, struct error *err)
{
	const char *rule = "1 to 31 characters a-z, 0-9 and '-', a letter first and no '-' last";
	size_t len = strlen(name);

	if (len < 1 || len > APP_NAME_MAX || !is_lower(name[0]) || name[len - 1] == '-')
		return bad_name(err, "an app name", name, rule);
	for (const char *c = name; *c; c++)
		if (!is_lower(*c) && !is_digit(*c) && *c != '-')
			return bad_name(err, "an app name", name, rule);
	return 0;
}

int name_check_service(const char *name, struct error *err)
{
	const char *rule = "1 to 31 characters a-z, 0-9, '_' and '-', a letter first";
	size_t len = strlen(name);

	if (len < 1 || len > SERVICE_NAME_MAX || !is_lower(name[0]))
		return bad_name(err, "a service", name, rule);
	for (const char *c = name; *c; c++)
		if (!is_lower(*c) && !is_digit(*c) && *c != '-' && *c != '_')
			return bad_name(err, "a service", name, rule);
	return 0;
}

int name_check_user(const char *name, struct error *err)
{
	const char *rule =
		"1 to 64 letters, digits and '.', '_', '@', '-', a letter or digit first";
	size_t len = strlen(name);

	if (len < 1 || len > 64 || (!is_lower(name[0]) && !is_upper(name[0]) && !is_digit(name[0])))
		return bad_name(err, "a user name", name, rule);
	for (const char *c = name; *c; c++)
		if (!is_lower(*c) && !is_upper(*c) && !is_digit(*c) && !strchr("._@-", *c))
			return bad_name(err, "a user name", name, rule);
	return 0;
}

int name_check_host(const char *host, struct error *err)
{
	const char *rule = "labels of a-z, 0-9 and '-' with '.' between, at most 80 characters";
	size_t len = strlen(host), label = 0;

	if (len < 1 || len > 80)
		return bad_name(err, "a host name", host, rule);
	for (size_t i = 0; i <= len; i++) {
		char c = host[i];

		if (c == '.' || c == '\0') {
			if (label == 0 || label > 63 || host[i - 1] == '-' ||
			    host[i - label] == '-')
				return bad_name(err, "a host name", host, rule);
			label = 0;
		} else if (is_lower(c) || is_digit(c) || c == '-') {
			label++;
		} else {
			return bad_name(err, "a host name", host, rule);
		}
	}
	return 0;
}

int name_from_url_path(const char *path, char *out, struct error *err)
{
	autofree char *name = NULL;
	size_t len;

	if (str_starts(path, "~/"))
		path += 2;
	else if (path[0] == '/')
		path++;
	len = strlen(path);
	if (len && path[len - 1] == '/')
		len--;
	if (len > 4 && strncmp(path + len - 4, ".git", 4) == 0)
		len -= 4;
	name = xstrndup(path, len);
	if (name_check_app(name, err) == -1)
		return -1;
	memcpy(out, name, len + 1);
	return 0;
}

bool name_is_package(const char *s)
{
	static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char any[] = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
	size_t n = strspn(s, any);

	if (n < 2 || strspn(s, lower) == 0 || n > 100 || s[n - 1] == '-')
		return false;
	if (s[n] == ':')
		return s[n + 1] && strspn(s + n + 1, lower) == strlen(s + n + 1) && strlen(s) < 120;
	return s[n] == '\0';
}

bool name_matches(const char *name, const char *pattern)
{
	const char *star = strchr(pattern, '*');
	size_t len = star ? (size_t)(star - pattern) : strlen(pattern);

	if (strncmp(name, pattern, len) != 0)
		return false;
	name += len;
	if (!star)
		return *name == '\0';
	do
		if (name_matches(name, star + 1))
			return true;
	while (*name++);
	return false;
}

bool name_is_listed(const char *name, const char *patterns)
{
	while (*patterns) {
		size_t len = strcspn(patterns, " ");
		autofree char *pattern = xstrndup(patterns, len);

		if (len && name_matches(name, pattern))
			return true;
		patterns += len + (patterns[len] == ' ');
	}
	return false;
}

bool name_is_oid(const char *s)
{
	return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

/* Levenshtein distance of two short words. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b);

	if (strlen(a) >= ARRAY_SIZE(row) || n >= ARRAY_SIZE(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

const char *name_nearest(const char *word, const char *const *candidates, size_t n)
{
	/* one slip in three letters: farther off, a guess would only be noise */
	size_t best_distance = strlen(word) < 6 ? 1 : strlen(word) / 3;
	const char *best = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, candidates[i]);

		if (d < best_distance || (d == best_distance && !best)) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}

size_t utf8_length(const unsigned char *p, size_t left)
{
	static const unsigned char first_min[] = {0, 0, 0xc2, 0xe0, 0xf0};
	size_t n = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

	if (n == 1)
		return 1;
	if (n > left || *p < first_min[n] || *p > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* over-long forms, surrogates, and what is above U+10FFFF */
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static bool is_control(const unsigned char *p)
{
	return *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0); /* C0, DEL, C1 */
}

void name_add_printable(struct strbuf *s, const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;

	for (size_t i = 0; i < len;) {
		size_t n = utf8_length(p + i, len - i);

		if (n && !is_control(p + i)) {
			strbuf_add(s, p + i, n);
			i += n;
		} else {
			strbuf_addf(s, "\\x%02x", p[i++]);
		}
	}
}

char *name_printable(const char *name)
{
	struct strbuf s = STRBUF_INIT;

	name_add_printable(&s, name, strlen(name));
	return strbuf_detach(&s);
}

char *name_shell_quoted(const char *name)
{
	autofree char *shown = name_printable(name);
	struct strbuf s = STRBUF_INIT;

	if (*shown && *shown != '-' &&
	    strspn(shown, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			  "_-./+,:@%=") == strlen(shown))
		return steal_ptr(&shown);
	strbuf_addstr(&s, *shown == '-' ? "./'" : "'");
	for (const char *c = shown; *c; c++) {
		if (*c == '\'')
			strbuf_addstr(&s, "'\\''");
		else
			strbuf_addch(&s, *c);
	}
	strbuf_addch(&s, '\'');
	return strbuf_detach(&s);
}

const char *name_branch(const char *ref)
{
	return str_starts(ref, "refs/heads/") ? ref + strlen("refs/heads/") : ref;
}
