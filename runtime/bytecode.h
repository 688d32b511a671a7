/* bytecode.h - what Python compiled for one slot is good for the same files of another.
 *
 * data/APP/pycache holds it below the path of each slot. Files are linked between slots, so that
 * what a cached file says of its source (time and size) holds in both, and Python puts a new file
 * in the place of one that does not. */
#pragma once
#include "common/node.h"

/* Where `slot` has no byte code yet it gets that of the live release's slot, by hard links; as the
 * runner. Whatever goes wrong costs the app's start some time, and nothing else. */
void bytecode_share(const struct node *node, const char *app, int data_fd, const char *slot);
