<?php
header('Content-Type: text/plain; charset=utf-8');
if ($_SERVER['PATH_INFO'] !== '/') {
	http_response_code(404);
	exit("there is no such page\n");
}
printf("hello from release %s of %s\n", getenv('SILVER_RELEASE'), getenv('SILVER_APP_NAME'));
