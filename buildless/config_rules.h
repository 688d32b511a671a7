/* config_rules.h - what app.ini asks of the configuration (config.required, config.default). */
#pragma once
#include "buildless/appini.h"
#include "buildless/config.h"

/* Adds a finding "app.ini:LINE: ..." where something required is not there. What a service that is
 * asked for gives counts as there. */
void config_check_required(const struct app *app, const struct appini *ini,
			   const struct config *config, struct strv *errors);
/* SILVER_APP_CONFIG of release N, below apps/APP: its own files, else the directory of the tree
 * that config.default names. The caller frees. */
char *config_dir_of(const struct appini_config *asked, const struct config *config,
		    unsigned release, unsigned slot);
