/* deb.h - unpacks a Debian package into a directory, in this process; the only user of libarchive.
 *
 * The package comes from a signed source, and is trusted no more for that: nothing is written
 * outside of the directory or through a link, nothing becomes setuid, only files, directories and
 * links are made. Its scripts are looked at and never run. */
#pragma once
#include "common/mem.h"

/* Writes the files of the package that deb_fd reads below into_fd, which is empty. Not synced.
 * *script is the first line of its postinst that would have done something here, NULL where there
 * is none; the caller frees. E_REFUSED: it is no package, or one that would escape. */
MUST_CHECK int deb_unpack(int deb_fd, int into_fd, char **script, struct error *err);
/* The same of the text of a script. */
char *deb_script_matters(const char *text);
