#include "runtime/front.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/address.h"
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"
#include "runtime/http.h"

#define NEW_CONFIG  "nginx.conf.new"
#define TEST_MS     20000
#define CONFIG_MAX  65536
#define ERROR_LINES 2048
#define LOG_MAX     (64 << 20)

/* The head of the file: everything nginx writes is below DIR, and nothing is cached that a flip
 * changes. */
static const char config_http[] =
	"worker_processes auto;\n"
	"pid run/nginx/nginx.pid;\n"
	"error_log log/nginx/error.log warn;\n"
	"events { worker_connections 4096; }\n"
	"http {\n"
	"\tinclude /etc/nginx/mime.types;\n"
	"\tdefault_type application/octet-stream;\n"
	"\tcharset utf-8;\n"
	"\tsendfile on;\n"
	"\ttcp_nopush on;\n"
	"\tserver_tokens off;\n"
	"\tabsolute_redirect off;\n"
	"\tkeepalive_timeout 65s;\n"
	"\tkeepalive_requests 10000;\n"
	"\t# `current` changes under an open name: a cached descriptor would serve the old "
	"release.\n"
	"\topen_file_cache off;\n"
	"\tclient_body_temp_path run/nginx/body;\n"
	"\tproxy_temp_path run/nginx/proxy;\n"
	"\tfastcgi_temp_path run/nginx/fastcgi;\n"
	"\tuwsgi_temp_path run/nginx/uwsgi;\n"
	"\tscgi_temp_path run/nginx/scgi;\n"
	"\tclient_max_body_size 100m;\n"
	"\tclient_body_buffer_size 64k;\n"
	"\tlog_format silver '$time_iso8601 $remote_addr $host \"$request\" $status "
	"$body_bytes_sent $request_time \"$http_user_agent\" $request_id';\n"
	"\taccess_log log/nginx/access.log silver buffer=32k flush=1s;\n"
	"\n"
	"\t# A host name becomes a path: only what names_check_host() lets into hosts/ passes.\n"
	"\tmap $host $silver_host {\n"
	"\t\tdefault \"\";\n"
	"\t\t\"~^[a-z0-9]([a-z0-9.-]{0,78}[a-z0-9])?$\" $host;\n"
	"\t}\n"
	"\t# $host has no port; the application needs it to build its own addresses.\n"
	"\tmap $http_host $silver_port {\n"
	"\t\tdefault \"\";\n"
	"\t\t\"~(?<silver_port_found>:[0-9]{1,5})$\" $silver_port_found;\n"
	"\t}\n"
	"\tmap $http_upgrade $silver_connection {\n"
	"\t\tdefault upgrade;\n"
	"\t\t\"\" close;\n"
	"\t}\n"
	"\n";

/* Pages of the front itself; the text is between double quotes of nginx, so it holds none and no
 * '$'. */
#define PAGE(title, text)                                                                          \
	"\"<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=viewport "                  \
	"content='width=device-width'><title>" title "</title>"                                    \
	"<body style='font:1.1em/1.5 sans-serif;max-width:36em;margin:15vh auto;padding:0 1em'>"   \
	"<h1>" title "</h1><p>" text "</p></body></html>\\n\""

/* A deploy must be seen at the next request: caches ask, and mostly hear 304. */
#define NO_CACHE "\t\t\tadd_header Cache-Control no-cache;\n"
#define NO_STORE "\t\t\tadd_header Cache-Control no-store always;\n"

/* What is behind every address. -x is how nginx can see a socket: -e and -f look for files only,
 * and silver-exec sets the bit for that. */
static const char config_server[] =
	"\t\tserver_name _;\n"
	"\t\troot hosts/$silver_host/app/static;\n"
	"\t\terror_page 404 @missing;\n"
	"\t\terror_page 502 =503 @down;\n"
	"\t\terror_page 504 @slow;\n"
	"\t\tif ($silver_host = \"\") {\n"
	"\t\t\treturn 404;\n"
	"\t\t}\n"
	"\n"
	"\t\t# A directory with an index is served under its slash only: links in it "
	"are relative.\n"
	"\t\tlocation ~ /index\\.html$ {\n"
	"\t\t\tif (-f $document_root$uri) {\n"
	"\t\t\t\trewrite (?s)^(.*/)index\\.html$ $1 permanent;\n"
	"\t\t\t}\n"
	"\t\t\ttry_files /. @app;\n"
	"\t\t}\n"
	"\t\tlocation ~ /$ {\n" NO_CACHE "\t\t\ttry_files ${uri}index.html @app;\n"
	"\t\t}\n"
	"\t\tlocation / {\n"
	"\t\t\tif (-f $document_root$uri/index.html) {\n"
	"\t\t\t\trewrite (?s)^(.*)$ $1/ permanent;\n"
	"\t\t\t}\n" NO_CACHE "\t\t\ttry_files $uri @app;\n"
	"\t\t}\n"
	"\t\tlocation @app {\n"
	"\t\t\tif (!-x hosts/$silver_host/run/http.sock) {\n"
	"\t\t\t\treturn 404;\n"
	"\t\t\t}\n"
	"\t\t\t# No upstream keepalive: a kept connection would reach the release "
	"that was.\n"
	"\t\t\tproxy_pass http://unix:hosts/$silver_host/run/http.sock:;\n"
	"\t\t\tproxy_http_version 1.1;\n"
	"\t\t\tproxy_set_header Host $host$silver_port;\n"
	"\t\t\tproxy_set_header Connection $silver_connection;\n"
	"\t\t\tproxy_set_header Upgrade $http_upgrade;\n"
	"\t\t\tproxy_set_header X-Forwarded-For $remote_addr;\n"
	"\t\t\tproxy_set_header X-Forwarded-Proto $scheme;\n"
	"\t\t\tproxy_set_header X-Forwarded-Host $host$silver_port;\n"
	"\t\t\tproxy_set_header X-Real-IP $remote_addr;\n"
	"\t\t\tproxy_set_header X-Request-ID $request_id;\n"
	"\t\t\tproxy_set_header Forwarded \"\";\n"
	"\t\t\tproxy_set_header Proxy \"\";\n"
	"\t\t\t# Only the node itself says this (runtime/http.h).\n"
	"\t\t\tproxy_set_header X-Silver-Internal \"\";\n"
	"\t\t\tproxy_connect_timeout 5s;\n"
	"\t\t\tproxy_read_timeout 120s;\n"
	"\t\t\tproxy_send_timeout 120s;\n"
	"\t\t}\n"
	"\t\tlocation @missing {\n"
	"\t\t\tinternal;\n"
	"\t\t\tdefault_type text/html;\n" NO_STORE "\t\t\tif (!-d hosts/$silver_host/app) {\n"
	"\t\t\t\treturn 404 " PAGE(
		"No application here",
		"Either no application has this address, or nothing has been pushed "
		"to it yet.") ";\n"
			      "\t\t\t}\n"
			      "\t\t\treturn 404 " PAGE(
				      "Not found",
				      "This application has no such "
				      "page.") ";\n"
					       "\t\t}\n"
					       "\t\tlocation @down {\n"
					       "\t\t\tinternal;\n"
					       "\t\t\tdefault_type "
					       "text/html;\n" NO_STORE "\t\t\tadd_header "
					       "Retry-After 5 always;\n"
					       "\t\t\treturn 503 " PAGE(
						       "Not available",
						       "This application "
						       "does not answer "
						       "just now. Please "
						       "try again in a "
						       "moment.") ";\n"
								  "\t\t}"
								  "\n"
								  "\t\tlo"
								  "cation"
								  " @"
								  "slow "
								  "{\n"
								  "\t\t\t"
								  "intern"
								  "al;\n"
								  "\t\t\t"
								  "defaul"
								  "t_"
								  "type "
								  "text/"
								  "html;"
								  "\n" NO_STORE "\t\t\t"
								  "return"
								  " 504"
								  " " PAGE("No answer in time",
									   "This application took "
									   "too long over this "
									   "request.") ";\n"
										       "\t\t}\n";

/* Only numbers of an address are handed to nginx. */
static int check_address(const char *text, struct error *err)
{
	union address address;

	if (address_parse(text, &address, err) == -1)
		return -1;
	if (address_port(&address) == 0)
		return error_set(err, E_USAGE, "'%s': nginx needs the number of a port", text);
	return 0;
}

static uint64_t fnv1a(const char *s)
{
	uint64_t h = 14695981039346656037U;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211U;
	return h;
}

/* The private socket answers with a name of this very configuration: only an nginx that runs it,
 * with all of its addresses bound, says so. */
static void compose(struct strbuf *out, const char *http_addr_port)
{
	autostrbuf struct strbuf body = STRBUF_INIT;

	strbuf_addstr(&body, config_http);
	strbuf_addf(&body, "\tserver {\n\t\tlisten %s default_server;\n", http_addr_port);
	strbuf_addstr(&body, config_server);
	strbuf_addstr(&body, "\t}\n");
	strbuf_addf(out, "# Written by silverd at each start.\n# generation %016llx\n",
		    (unsigned long long)fnv1a(body.buf));
	strbuf_add(out, body.buf, body.len);
	strbuf_addf(out,
		    "\tserver {\n\t\tlisten unix:run/nginx/front.sock;\n"
		    "\t\taccess_log off;\n\t\treturn 200 \"%016llx\";\n\t}\n}\n",
		    (unsigned long long)fnv1a(body.buf));
}

int front_identity(uid_t *uid, gid_t *gid, struct error *err)
{
	const struct passwd *user;

	*uid = geteuid();
	*gid = getegid();
	if (*uid != 0)
		return 0;
	errno = 0;
	user = getpwnam(FRONT_USER);
	if (!user)
		return error_set(err, E_SYSTEM, "there is no user '" FRONT_USER "'");
	*uid = user->pw_uid;
	*gid = user->pw_gid;
	return 0;
}

static int test_config(const struct node *node, struct error *err)
{
	char *const argv[] = {(char[]){"nginx"},
			      (char[]){"-t"},
			      (char[]){"-q"},
			      (char[]){"-p"},
			      (char[]){"./"},
			      (char[]){"-e"},
			      (char[]){"stderr"},
			      (char[]){"-c"},
			      (char[]){"run/" NEW_CONFIG},
			      NULL};
	struct proc_spec spec = {.path = "nginx",
				 .argv = argv,
				 .in = -1,
				 .out = -1,
				 .err = -1,
				 .drop = geteuid() == 0,
				 .keep_net_bind = true,
				 .cwd = node->dir};
	autostrbuf struct strbuf output = STRBUF_INIT;
	int status;

	if (front_identity(&spec.uid, &spec.gid, err) == -1)
		return -1;
	if (proc_run(&spec, TEST_MS, &status, &output, err) == -1)
		return error_prefix(err, "testing the configuration of nginx");
	if (status != 0)
		return error_set(err, E_SYSTEM, "nginx refuses its configuration: %s",
				 strbuf_str(&output));
	return 0;
}

/* Each start of a node moves a log that has grown to NAME.1; nginx opens it anew when it is told to
 * reload. */
static int rotate_log(int log_fd, const char *name, struct error *err)
{
	autofree char *old = xasprintf("%s.1", name);
	struct stat st;

	if (fstatat(log_fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1 || st.st_size < LOG_MAX)
		return 0;
	return fs_rename(log_fd, name, log_fd, old, err);
}

static int rotate_logs(const struct node *node, struct error *err)
{
	autoclose int log_fd = -1;

	if (fs_open_dir(node->fd, "log/nginx", &log_fd, err) == -1 ||
	    rotate_log(log_fd, "access.log", err) == -1)
		return -1;
	return rotate_log(log_fd, "error.log", err);
}

int front_write_config(const struct node *node, const char *http_addr_port, struct error *err)
{
	autostrbuf struct strbuf config = STRBUF_INIT;
	autoclose int run_fd = -1;

	if (check_address(http_addr_port, err) == -1 || rotate_logs(node, err) == -1 ||
	    fs_open_dir(node->fd, "run", &run_fd, err) == -1)
		return -1;
	compose(&config, http_addr_port);
	if (fs_replace_file(run_fd, NEW_CONFIG, config.buf, config.len, 0644, err) == -1)
		return -1;
	if (test_config(node, err) == -1) {
		struct error ignored = ERROR_INIT;

		if (fs_unlink(run_fd, NEW_CONFIG, &ignored) == -1)
			return -1; /* what nginx said matters more */
		return -1;
	}
	return fs_rename_sync(run_fd, NEW_CONFIG, run_fd, "nginx.conf", err);
}

/* What the running nginx must say: the word after "generation " in the file. */
static int wanted_generation(const struct node *node, char out[17], struct error *err)
{
	autostrbuf struct strbuf config = STRBUF_INIT;
	const char *found;

	if (fs_read_file(node->fd, "run/nginx.conf", CONFIG_MAX, &config, err) == -1)
		return -1;
	found = strstr(config.buf, "# generation ");
	if (!found || strlen(found) < 13 + 16)
		return error_set(err, E_SYSTEM, "run/nginx.conf is not one of ours");
	memcpy(out, found + 13, 16);
	out[16] = '\0';
	return 0;
}

/* The end of nginx's error log, on which its reason stands. */
static int silent_error(const struct node *node, int timeout_ms, struct error *err)
{
	struct error ignored = ERROR_INIT;
	char text[ERROR_LINES + 1] = "";
	autoclose int fd = -1;
	off_t size;
	ssize_t n = 0;

	if (fs_open(node->fd, "log/nginx/error.log", O_RDONLY, 0, &fd, &ignored) == 0) {
		size = lseek(fd, 0, SEEK_END);
		n = pread(fd, text, ERROR_LINES, size > ERROR_LINES ? size - ERROR_LINES : 0);
	}
	text[n > 0 ? n : 0] = '\0';
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	return error_set(err, E_SYSTEM, "nginx does not answer after %d s; its log ends: %s",
			 timeout_ms / 1000, strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text);
}

int front_wait(const struct node *node, int timeout_ms, struct error *err)
{
	struct http_get get = {.socket = "front.sock", .host = "localhost", .path = "/"};
	struct http_answer answer;
	autoclose int dir_fd = -1;
	char wanted[17];

	if (wanted_generation(node, wanted, err) == -1 ||
	    fs_open_dir(node->fd, "run/nginx", &dir_fd, err) == -1)
		return -1;
	get.dir_fd = dir_fd;
	get.deadline_ms = clock_ms() + timeout_ms;
	while (clock_ms() < get.deadline_ms) {
		if (http_get(&get, &answer) == HTTP_ANSWERED && strstr(answer.body, wanted))
			return 0;
		usleep(5000);
	}
	return silent_error(node, timeout_ms, err);
}
