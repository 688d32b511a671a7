#include "runtime/front_text.h"

#include "common/fs.h"

#define PAGE_MAX 65536

__asm__(".pushsection .rodata\n"
	".global front_template\n"
	"front_template:\n"
	".incbin \"runtime/nginx.conf\"\n"
	".byte 0\n"
	".popsection\n");

static const struct page {
	const char *name, *title, *text;
} pages[] = {
	{"unknown.html", "No application here",
	 "Either no application has this address, or nothing has been pushed to it yet."},
	{"missing.html", "Not found", "This application has no such page."},
	{"disabled.html", "Closed for now",
	 "The operator of this application has taken it out of service for a while."},
	{"down.html", "Not available",
	 "This application does not answer just now. Please try again in a moment."},
	{"slow.html", "No answer in time", "This application took too long over this request."},
	{"large.html", "Too large", "This is more than may be sent here at once."},
	{"method.html", "Not possible", "This page can be read, and nothing else."},
	{"error.html", "Something went wrong", "The request could not be answered."},
};

/* nginx puts the id of the request in (SSI). */
static char *page_text(const struct page *page)
{
	return xasprintf("<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n"
			 "<meta name=viewport content=\"width=device-width\">\n"
			 "<title>%s</title>\n"
			 "<body style=\"font: 1.1em/1.5 sans-serif; max-width: 36em; margin: 15vh "
			 "auto; padding: 0 1em\">\n"
			 "<h1>%s</h1>\n<p>%s</p>\n"
			 "<p><small>Request <!--# echo var=\"request_id\" --></small></p>\n"
			 "</body>\n</html>\n",
			 page->title, page->title, page->text);
}

int front_write_pages(const struct node *node, struct error *err)
{
	autoclose int run_fd = -1, fd = -1;

	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1 ||
	    fs_ensure_dir(run_fd, "pages", 0755, &fd, err) == -1)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		autofree char *text = page_text(&pages[i]);
		autostrbuf struct strbuf now = STRBUF_INIT;
		struct error none = ERROR_INIT;

		if (fs_read_file(fd, pages[i].name, PAGE_MAX, &now, &none) == 0 &&
		    strcmp(strbuf_str(&now), text) == 0)
			continue;
		if (fs_replace_file(fd, pages[i].name, text, strlen(text), 0644, err) == -1)
			return -1;
	}
	return 0;
}
