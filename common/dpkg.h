/* dpkg.h - what dpkg's database says is installed: its status file is read, dpkg is not run.
 *
 * `dir` is the database's directory (/var/lib/dpkg). The file is replaced by a rename at the end of
 * each run of dpkg, so a reader sees one whole state. */
#pragma once
#include "common/mem.h"

#define DPKG_DIR "/var/lib/dpkg"

/* Text that is another one when the file is. The caller frees. */
MUST_CHECK int dpkg_stamp(const char *dir, char **out, struct error *err);
/* For each of `names` ("libpq5", "libpq5:amd64") one string in `versions`, "" where it is not
 * installed. */
MUST_CHECK int dpkg_versions(const char *dir, const struct strv *names, struct strv *versions,
			     struct error *err);
/* The same in a text that is already there, for the tests. */
void dpkg_find_versions(const char *text, size_t len, const struct strv *names,
			struct strv *versions);
/* Was a run of dpkg cut short, so that `dpkg --configure -a` has something to do? */
MUST_CHECK int dpkg_interrupted(const char *dir, bool *out, struct error *err);
