#include "common/findings.h"

#include "common/fs.h"
#include "common/names.h"

void findings_init(struct findings *f, const char *app, bool as_json)
{
	*f = (struct findings){.app = app,
			       .below = app ? xasprintf("apps/%s/", app) : xstrdup(""),
			       .as_json = as_json};
	f->json.out = &f->out;
}

void findings_release(struct findings *f)
{
	strbuf_release(&f->out);
	free(f->below);
	f->below = NULL;
}

static char *with_app(const struct findings *f, const char *repair)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	const char *at = f->app ? strstr(repair, "APP") : NULL;

	if (!at)
		return xstrdup(repair);
	strbuf_add(&s, repair, (size_t)(at - repair));
	strbuf_addf(&s, "%s%s", f->app, at + strlen("APP"));
	return strbuf_detach(&s);
}

static void add_json(struct findings *f, const char *class, const struct finding_rule *rule,
		     const char *repair, const char *path, const char *what)
{
	json_open(&f->json, NULL, '{');
	json_str(&f->json, "class", class);
	json_str(&f->json, "path", path);
	json_str(&f->json, "what", what);
	json_str(&f->json, "rule", rule->rule);
	json_str(&f->json, "repair", repair);
	json_close(&f->json, '}');
}

void findings_add(struct findings *f, const struct finding_rule *rule, const char *path,
		  const char *what, ...)
{
	const char *class = rule->class == FINDING_DAMAGE ? "damage" : "pending";
	autofree char *text = NULL, *repair = with_app(f, rule->repair);
	autofree char *where = xasprintf("%s%s", f->below, path);
	va_list args;

	*(rule->class == FINDING_DAMAGE ? &f->damage : &f->pending) += 1;
	va_start(args, what);
	text = xvasprintf(what, args);
	va_end(args);
	if (f->as_json) {
		add_json(f, class, rule, repair, where, text);
		return;
	}
	strbuf_addf(&f->out, "%-8s ", class);
	name_add_printable(&f->out, where, strlen(where));
	strbuf_addstr(&f->out, ": ");
	name_add_printable(&f->out, text, strlen(text));
	strbuf_addf(&f->out, "\n         rule: %s\n         repair: %s\n", rule->rule, repair);
}

void findings_add_of(struct findings *f, const char *app, const struct finding_rule *rule,
		     const char *path, const char *what)
{
	const char *before = f->app;

	f->app = app;
	findings_add(f, rule, path, "%s", what);
	f->app = before;
}

bool findings_list(struct findings *f, const struct finding_rule *rule, int dir_fd,
		   const char *path, struct strv *names)
{
	struct error err = ERROR_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(dir_fd, path, &fd, &err) == 0 && fs_list(fd, names, &err) == 0)
		return true;
	if (err.code != E_NOTFOUND)
		findings_add(f, rule, path, "%s", err.text);
	return false;
}

int findings_result(const struct findings *f, struct error *err)
{
	if (!f->damage && !f->pending)
		return 0;
	return error_set(err, f->damage ? E_REFUSED : E_BUSY, "%zu damaged, %zu pending", f->damage,
			 f->pending);
}
