#include "services/undo.h"

#include "common/fs.h"
#include "common/ini.h"

#define MARK ".undo"

int undo_mark_read(int app_fd, struct undo_mark *out, struct error *err)
{
	autoini struct ini ini = INI_INIT;
	const char *archive, *release;
	uint64_t number = 0;

	*out = (struct undo_mark){.there = false};
	if (!fs_exists(app_fd, "services/" MARK))
		return 0;
	if (ini_read(app_fd, "services/" MARK, &ini, err) == -1)
		return -1;
	archive = ini_get(&ini, "undo", "archive");
	release = ini_get(&ini, "undo", "release");
	if (!archive || strlen(archive) >= sizeof(out->archive) || !release ||
	    !str_to_uint(release, INT32_MAX, &number))
		return error_set(err, E_SYSTEM, "'services/" MARK "' is damaged");
	memcpy(out->archive, archive, strlen(archive) + 1);
	out->release = (unsigned)number;
	out->there = true;
	return 0;
}

int undo_mark_write(int services_fd, const char *archive, unsigned release, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	strbuf_addstr(&text, "[undo]\n");
	ini_add(&text, "archive", archive);
	ini_addf(&text, "release", "%u", release);
	return fs_replace_file(services_fd, MARK, text.buf, text.len, 0640, err);
}

int undo_mark_remove(int services_fd, struct error *err)
{
	return fs_unlink(services_fd, MARK, err) == -1 ? -1 : fs_sync(services_fd, err);
}
