<?php
/* Before every request (auto_prepend_file): one that ends in a fatal error, and has said nothing, is answered with
 * a page that has the request's id; the log has the error, and the id behind it. */
if (getenv('USER') === '-') { // php-fpm's; the release has none
	putenv('USER');
	unset($_SERVER['USER'], $_ENV['USER']);
}
register_shutdown_function(static function (): void {
	$error = error_get_last();
	if (!$error || !($error['type'] & (E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR)))
		return;
	$id = substr(preg_replace('/[^0-9A-Za-z]/', '', $_SERVER['HTTP_X_REQUEST_ID'] ?? ''), 0, 64);
	error_log(sprintf('silver: request %s failed: %s %s', $id, $_SERVER['REQUEST_METHOD'] ?? '', json_encode($_SERVER['PATH_INFO'] ?? '', JSON_UNESCAPED_SLASHES)));
	while (ob_get_level() > 0 && ob_end_clean()); // half a page is none
	if (headers_sent())
		return;
	// behind those that the app has registered: what it says itself stays
	register_shutdown_function(static function () use ($id): void {
		if (headers_sent() || ob_get_length())
			return;
		http_response_code(500);
		header('Content-Type: text/html; charset=utf-8');
		header('Cache-Control: no-store');
		echo "<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Something went wrong</title>\n",
			"<h1>Something went wrong</h1>\n<p>The request could not be answered.</p>\n<p><small>Request $id</small></p>\n</html>\n";
	});
});
