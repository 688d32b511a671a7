#include "buildless/pack.h"

#include <fcntl.h>
#include <libdeflate.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"

#define OID_BYTES     20
#define PACKS_MAX     128 /* settle keeps them fewer */
#define DEPTH_MAX     64  /* of deltas; git makes no deeper ones unless told */
#define BASES         256
#define BASES_BYTES   (8 << 20)
#define PACK_HEADER   12
#define INDEX_HEADER  8
#define FANOUT_BYTES  1024
#define TRAILER_BYTES OID_BYTES /* both files end in it; the index has two */

enum { TYPE_BLOB = 3, TYPE_OFS_DELTA = 6, TYPE_REF_DELTA = 7 };

struct map { /* of a file; read only */
	unsigned char *at;
	size_t len;
};

struct bytes {
	const unsigned char *at;
	size_t len;
};

struct pack {
	struct map index, data;
	const unsigned char *oids, *offsets, *far; /* of the index */
	size_t n, n_far;
};

struct packs {
	struct pack pack[PACKS_MAX];
	size_t n;
};

/* An object that others are deltas of. */
struct base {
	const struct pack *pack;
	size_t offset, len;
	unsigned char *content;
};

struct pack_reader {
	const struct packs *packs;
	struct libdeflate_decompressor *inflate;
	size_t max_bytes;
	unsigned char *content; /* that was returned last */
	struct base base[BASES];
	size_t bases_bytes;
};

static uint32_t get_u32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Opening */

static bool map_file(int dir_fd, const char *name, struct map *out)
{
	struct error ignored = ERROR_INIT;
	autoclose int fd = -1;
	struct stat st;
	void *at;

	if (fs_open(dir_fd, name, O_RDONLY, 0, &fd, &ignored) == -1 || fstat(fd, &st) == -1 ||
	    st.st_size < PACK_HEADER + TRAILER_BYTES)
		return false;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return false;
	*out = (struct map){at, (size_t)st.st_size};
	return true;
}

static void unmap(struct map *map)
{
	if (map->at)
		munmap(map->at, map->len);
	*map = (struct map){0};
}

static void close_pack(struct pack *pack)
{
	unmap(&pack->index);
	unmap(&pack->data);
}

/* Where its tables are, once they are known to lie within the file. */
static bool check_index(struct pack *pack)
{
	const unsigned char *at = pack->index.at;
	const size_t fixed = INDEX_HEADER + FANOUT_BYTES + 2 * TRAILER_BYTES;
	uint32_t last = 0;

	if (pack->index.len < fixed || memcmp(at, "\377tOc\0\0\0\2", INDEX_HEADER) != 0)
		return false;
	for (size_t i = 0; i < 256; i++) {
		uint32_t n = get_u32(at + INDEX_HEADER + 4 * i);

		if (n < last)
			return false;
		last = n;
	}
	pack->n = last;
	if ((pack->index.len - fixed) / (OID_BYTES + 4 + 4) < pack->n)
		return false;
	pack->oids = at + INDEX_HEADER + FANOUT_BYTES;
	pack->offsets = pack->oids + pack->n * (OID_BYTES + 4); /* behind the checksums */
	pack->far = pack->offsets + pack->n * 4;
	pack->n_far = (pack->index.len - fixed - pack->n * (OID_BYTES + 4 + 4)) / 8;
	return true;
}

static bool check_data(const struct pack *pack)
{
	const unsigned char *at = pack->data.at;

	return memcmp(at, "PACK", 4) == 0 && get_u32(at + 4) == 2 && get_u32(at + 8) == pack->n;
}

static bool open_pack(int dir_fd, const char *index, struct pack *pack)
{
	autofree char *data = xasprintf("%.*s.pack", (int)(strlen(index) - strlen(".idx")), index);

	*pack = (struct pack){.n = 0};
	if (map_file(dir_fd, index, &pack->index) && check_index(pack) &&
	    map_file(dir_fd, data, &pack->data) && check_data(pack))
		return true;
	close_pack(pack);
	return false;
}

static void open_all(struct packs *packs, const char *dir)
{
	autofree char *path = xasprintf("%s/pack", dir);
	struct error ignored = ERROR_INIT;
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, path, &fd, &ignored) == -1 || fs_list(fd, &names, &ignored) == -1)
		return;
	for (size_t i = 0; i < names.n && packs->n < PACKS_MAX; i++)
		if (str_ends(names.v[i], ".idx") &&
		    open_pack(fd, names.v[i], &packs->pack[packs->n]))
			packs->n++;
}

struct packs *packs_open(const char *dir, const char *more_dir)
{
	struct packs *packs = xcalloc(1, sizeof(*packs));

	if (more_dir) /* what was pushed just now is what will be read */
		open_all(packs, more_dir);
	open_all(packs, dir);
	return packs;
}

void packs_free(struct packs *packs)
{
	if (!packs)
		return;
	while (packs->n)
		close_pack(&packs->pack[--packs->n]);
	free(packs);
}

struct pack_reader *pack_reader_new(const struct packs *packs)
{
	struct pack_reader *r = xcalloc(1, sizeof(*r));

	r->packs = packs;
	r->inflate = libdeflate_alloc_decompressor();
	if (!r->inflate)
		abort(); /* out of memory */
	return r;
}

static void drop_base(struct pack_reader *r, struct base *base)
{
	r->bases_bytes -= base->len;
	free(base->content);
	*base = (struct base){.pack = NULL};
}

static void drop_bases(struct pack_reader *r)
{
	for (size_t i = 0; i < BASES; i++)
		drop_base(r, &r->base[i]);
}

void pack_reader_free(struct pack_reader *r)
{
	if (!r)
		return;
	drop_bases(r);
	free(r->content);
	libdeflate_free_decompressor(r->inflate);
	free(r);
}

/* Finding */

static bool offset_at(const struct pack *pack, size_t i, size_t *offset)
{
	uint32_t near = get_u32(pack->offsets + 4 * i);
	const unsigned char *far = pack->far + 8 * (size_t)(near & 0x7fffffff);

	if (near < 0x80000000)
		*offset = near;
	else if ((near & 0x7fffffff) < pack->n_far)
		*offset = (size_t)((uint64_t)get_u32(far) << 32 | get_u32(far + 4));
	else
		return false;
	return *offset >= PACK_HEADER && *offset < pack->data.len - TRAILER_BYTES;
}

static bool find(const struct pack *pack, const unsigned char *oid, size_t *offset)
{
	const unsigned char *fanout = pack->index.at + INDEX_HEADER;
	const size_t first = oid[0];
	size_t low = first ? get_u32(fanout + 4 * (first - 1)) : 0,
	       high = get_u32(fanout + 4 * first);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int cmp = memcmp(oid, pack->oids + OID_BYTES * middle, OID_BYTES);

		if (cmp == 0)
			return offset_at(pack, middle, offset);
		if (cmp < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* Reading: a cursor over bytes that came from outside. */

struct cursor {
	const unsigned char *at, *end;
};

static bool take_byte(struct cursor *c, unsigned *byte)
{
	if (c->at == c->end)
		return false;
	*byte = *c->at++;
	return true;
}

/* Seven bits a byte, the lowest first. */
static bool take_size(struct cursor *c, size_t value, unsigned shift, size_t *out)
{
	for (unsigned byte = 0x80; byte & 0x80; shift += 7) {
		if (shift > 50 || !take_byte(c, &byte))
			return false;
		value |= (size_t)(byte & 0x7f) << shift;
	}
	*out = value;
	return true;
}

/* How far before the delta its base is. */
static bool take_distance(struct cursor *c, size_t *out)
{
	unsigned byte;

	if (!take_byte(c, &byte))
		return false;
	*out = byte & 0x7f;
	while (byte & 0x80) {
		if (*out > SIZE_MAX >> 8 || !take_byte(c, &byte))
			return false;
		*out = (*out + 1) << 7 | (byte & 0x7f);
	}
	return true;
}

struct object {
	unsigned type;
	size_t len;    /* inflated */
	size_t offset; /* of its base, of a delta */
	struct cursor stream;
};

static bool take_base(const struct pack *pack, size_t offset, struct object *o)
{
	size_t distance;

	if (o->type == TYPE_OFS_DELTA) {
		if (!take_distance(&o->stream, &distance) || distance == 0 ||
		    distance > offset - PACK_HEADER)
			return false;
		o->offset = offset - distance;
		return true;
	}
	if (o->stream.end - o->stream.at < OID_BYTES || !find(pack, o->stream.at, &o->offset))
		return false;
	o->stream.at += OID_BYTES;
	return true;
}

static bool open_object(const struct pack *pack, size_t offset, struct object *o)
{
	unsigned byte;

	o->stream = (struct cursor){pack->data.at + offset,
				    pack->data.at + pack->data.len - TRAILER_BYTES};
	if (!take_byte(&o->stream, &byte))
		return false;
	o->type = byte >> 4 & 7;
	o->len = byte & 15;
	if (byte & 0x80 && !take_size(&o->stream, o->len, 4, &o->len))
		return false;
	return o->type == TYPE_BLOB || ((o->type == TYPE_OFS_DELTA || o->type == TYPE_REF_DELTA) &&
					take_base(pack, offset, o));
}

/* The caller's to free; NULL. */
static unsigned char *inflate_object(struct pack_reader *r, const struct object *o)
{
	autofree unsigned char *out = NULL;
	size_t used;

	if (o->len > r->max_bytes)
		return NULL;
	out = xmalloc(o->len + 1);
	if (libdeflate_zlib_decompress_ex(r->inflate, o->stream.at,
					  (size_t)(o->stream.end - o->stream.at), out, o->len,
					  &used, NULL) != LIBDEFLATE_SUCCESS)
		return NULL;
	return steal_ptr(&out);
}

/* What a delta's copy says: bits 0 to 3 tell which bytes of the place follow, 4 to 6 of the length.
 */
static bool take_copy(struct cursor *c, unsigned command, size_t *from, size_t *len)
{
	unsigned byte = 0;

	*from = *len = 0;
	for (unsigned bit = 0; bit < 7; bit++) {
		if (!(command >> bit & 1))
			continue;
		if (!take_byte(c, &byte))
			return false;
		if (bit < 4)
			*from |= (size_t)byte << 8 * bit;
		else
			*len |= (size_t)byte << 8 * (bit - 4);
	}
	if (*len == 0)
		*len = 0x10000;
	return true;
}

/* One command of a delta: bytes of the base, or of the delta itself. */
static bool take_piece(struct cursor *c, const struct bytes *base, struct bytes *out)
{
	unsigned command;
	size_t from, len;

	if (!take_byte(c, &command) || command == 0)
		return false;
	if (command & 0x80) {
		if (!take_copy(c, command, &from, &len) || from > base->len ||
		    len > base->len - from)
			return false;
		*out = (struct bytes){base->at + from, len};
		return true;
	}
	if ((size_t)(c->end - c->at) < command)
		return false;
	*out = (struct bytes){c->at, command};
	c->at += command;
	return true;
}

/* The caller's to free; NULL. */
static unsigned char *apply_delta(const struct pack_reader *r, struct cursor delta,
				  const struct bytes *base, size_t *len)
{
	autofree unsigned char *out = NULL;
	size_t base_len, done = 0;
	struct bytes piece;

	if (!take_size(&delta, 0, 0, &base_len) || base_len != base->len ||
	    !take_size(&delta, 0, 0, len) || *len > r->max_bytes)
		return NULL;
	out = xmalloc(*len + 1);
	while (delta.at < delta.end) {
		if (!take_piece(&delta, base, &piece) || piece.len > *len - done)
			return NULL;
		memcpy(out + done, piece.at, piece.len);
		done += piece.len;
	}
	return done == *len ? steal_ptr(&out) : NULL;
}

static unsigned char *read_at(struct pack_reader *r, const struct pack *pack, size_t offset,
			      unsigned depth, size_t *len);

/* Kept, since the next object often has the same base. */
static bool read_base(struct pack_reader *r, const struct pack *pack, size_t offset, unsigned depth,
		      struct bytes *out)
{
	struct base *base = &r->base[(offset ^ offset >> 8 ^ offset >> 16) % BASES];
	unsigned char *content;
	size_t len;

	if (base->pack != pack || base->offset != offset) {
		content = read_at(r, pack, offset, depth, &len);
		if (!content)
			return false;
		drop_base(r, base);
		if (r->bases_bytes + len > BASES_BYTES)
			drop_bases(r);
		*base = (struct base){pack, offset, len, content};
		r->bases_bytes += len;
	}
	*out = (struct bytes){base->content, base->len};
	return true;
}

/* The caller's to free; NULL. */
static unsigned char *read_at(struct pack_reader *r, const struct pack *pack, size_t offset,
			      unsigned depth, size_t *len)
{
	autofree unsigned char *content = NULL;
	struct bytes base = {0};
	struct object o;

	if (depth == DEPTH_MAX || !open_object(pack, offset, &o))
		return NULL;
	/* first the base, so that memory does not grow with the depth */
	if (o.type != TYPE_BLOB && !read_base(r, pack, o.offset, depth + 1, &base))
		return NULL;
	content = inflate_object(r, &o);
	*len = o.len;
	if (!content || o.type == TYPE_BLOB)
		return steal_ptr(&content);
	return apply_delta(r, (struct cursor){content, content + o.len}, &base, len);
}

static bool parse_oid(const char *hex, unsigned char oid[OID_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < OID_BYTES; i++) {
		const char *high = hex[2 * i] ? strchr(digits, hex[2 * i]) : NULL,
			   *low = high && hex[2 * i + 1] ? strchr(digits, hex[2 * i + 1]) : NULL;

		if (!low)
			return false;
		oid[i] = (unsigned char)((high - digits) << 4 | (low - digits));
	}
	return true;
}

const void *pack_read_blob(struct pack_reader *r, const char *oid, size_t max_bytes, size_t *len)
{
	unsigned char id[OID_BYTES];
	size_t offset;

	free(steal_ptr(&r->content));
	if (!parse_oid(oid, id))
		return NULL;
	r->max_bytes = max_bytes;
	for (size_t i = 0; i < r->packs->n && !r->content; i++)
		if (find(&r->packs->pack[i], id, &offset))
			r->content = read_at(r, &r->packs->pack[i], offset, 0, len);
	return r->content;
}
