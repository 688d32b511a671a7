<?php
/* What an app may ask of the node it runs on; `silver serve` has the same. require 'silversupport.php'; */
namespace silversupport;

/* False under `silver serve`. */
function is_production(): bool
{
	return str_starts_with((string) getenv('SILVER_VERSION'), 'silverlining/');
}

/* A random text, the app's own, the same in every release and process of it. */
function get_secret(): string
{
	return read(getenv('HOME') . '/secret') ?? throw new \RuntimeException('the app has no secret');
}

/* A key of the node that its operator has granted to this app; null when there is none. */
function get_key(string $name): ?string
{
	if (!preg_match('/\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z/', $name))
		throw new \ValueError("'$name' is no name of a key");
	return read(getenv('HOME') . "/keys/$name");
}

function read(string $path): ?string
{
	$text = is_file($path) ? file_get_contents($path) : false;
	return $text === false ? null : trim($text);
}
