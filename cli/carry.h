/* carry.h - files of ours that the words of `silver run` name come along: as they are here, into
 * directories of the app's own for temporary files, which are removed once the command has ended.
 *
 *	silver run blog bin/import.py users.csv --map=map.json
 *
 * A word behind the command, or what is behind the '=' of one that begins with a dash, is carried
 * when it is the path of a regular file here. */
#pragma once
#include "receiver/commands.h"

/* `words` for the node, with the paths that the files have there; `dirs` is what carry_back()
 * takes. Both are appended to. Where nothing was named, nothing is asked of the node. */
MUST_CHECK int carry_there(const char *node, const struct request *run, const struct strv *words,
			   struct strv *out, struct strv *dirs, struct error *err);
/* Removes them there; what is in the way is said, and no reason to fail. */
void carry_back(const char *node, const struct request *run, const struct strv *dirs);
