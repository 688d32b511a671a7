#include "common/room.h"

#include <errno.h>
#include <sys/statvfs.h>

#define MEGABYTE          1000000ULL
#define RESERVE_MB_MAX    64
#define RESERVE_FILES_MIN 16
#define RESERVE_FILES_MAX 1024

static uint64_t clamp(uint64_t n, uint64_t min, uint64_t max)
{
	if (n < min)
		return min;
	return n > max ? max : n;
}

static uint64_t above(uint64_t n, uint64_t reserve)
{
	return n > reserve ? n - reserve : 0;
}

int room_read(int fd, struct room *out, struct error *err)
{
	struct statvfs fs;
	uint64_t all;

	if (fstatvfs(fd, &fs) == -1)
		return error_sys(err, errno, "cannot see how much is free");
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	out->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	out->reserve_bytes = clamp(all / 100, MEGABYTE, RESERVE_MB_MAX * MEGABYTE);
	out->bytes = above(out->free_bytes, out->reserve_bytes);
	out->free_files = fs.f_favail;
	out->reserve_files = clamp(fs.f_files / 100, RESERVE_FILES_MIN, RESERVE_FILES_MAX);
	out->files = above(out->free_files, out->reserve_files);
	if (!fs.f_files) /* btrfs makes inodes as it needs them, and says 0 */
		out->files = UINT64_MAX;
	return 0;
}

char *room_text(uint64_t bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
	double n = (double)bytes / 1000;
	size_t unit = 0;

	while (n >= 999.5 && unit + 1 < ARRAY_SIZE(units)) {
		n /= 1000;
		unit++;
	}
	return n < 10 && bytes ? xasprintf("%.1f %s", n, units[unit])
			       : xasprintf("%.0f %s", n, units[unit]);
}
