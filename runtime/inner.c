#include "runtime/inner.h"

char *const inner_env[] = {(char[]){"NGINX=3;"}, NULL};

void inner_begin(struct strbuf *out, const char *tmp_dir)
{
	static const char *const kinds[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"};

	strbuf_addf(out,
		    "daemon off;\nworker_processes 1;\npid \"%s/nginx.pid\";\n"
		    "error_log stderr error;\nevents { worker_connections 2048; }\n",
		    tmp_dir);
	strbuf_addstr(out, "http {\n\taccess_log off;\n\tserver_tokens off;\n"
			   "\tclient_max_body_size 0;\n\tmerge_slashes off;\n");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		strbuf_addf(out, "\t%s_temp_path \"%s/nginx-%s\";\n", kinds[i], tmp_dir, kinds[i]);
}

/* The address must be spelled as it was bound (launch.c): nginx tells inherited sockets by it. */
void inner_begin_server(struct strbuf *out)
{
	strbuf_addstr(out, "\tserver {\n\t\tlisten unix:http.sock;\n");
}

void inner_argv(const char *prefix, const char *config, struct strv *argv)
{
	const char *const words[] = {"nginx", "-p", prefix, "-e", "stderr", "-c", config};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_add(argv, words[i]);
}
