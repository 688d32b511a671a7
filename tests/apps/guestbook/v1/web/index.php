<?php
// A guest book: entries in MariaDB, who signs in a session, pictures below CONFIG_FILES.
require __DIR__ . '/../src/version.php';
require __DIR__ . '/../src/database.php';

function page(string $text, int $status = 200): never
{
	http_response_code($status);
	header('Content-Type: text/plain; charset=utf-8');
	echo $text, "\n";
	exit;
}

function sign(): never
{
	session_start();
	if (isset($_POST['name']))
		$_SESSION['name'] = $_POST['name'];
	if (!isset($_SESSION['name']))
		page('who are you?', 403);
	$picture = null;
	if (isset($_FILES['picture'])) {
		$picture = bin2hex(random_bytes(8)) . '.png';
		if (!move_uploaded_file($_FILES['picture']['tmp_name'], getenv('CONFIG_FILES') . "/$picture"))
			page('the picture is lost', 500);
	}
	database()->prepare('INSERT INTO entries (name, text, picture) VALUES (?, ?, ?)')->execute([$_SESSION['name'], $_POST['text'], $picture]);
	page('thank you, ' . $_SESSION['name']);
}

function entries(): never
{
	$rows = database()->query('SELECT * FROM entries ORDER BY id')->fetchAll(PDO::FETCH_ASSOC);
	$lines = array_map(fn($row) => "$row[name]: $row[text]" . ($row['picture'] ? " ($row[picture])" : '') . (isset($row['likes']) ? ", $row[likes] likes" : ''), $rows);
	page(implode("\n", ['guestbook ' . VERSION, ...$lines]));
}

function picture(string $name): never
{
	$file = getenv('CONFIG_FILES') . '/' . basename($name);
	if (!is_file($file))
		page('no such picture', 404);
	header('Content-Type: image/png');
	readfile($file);
	exit;
}

function selfcheck(): never
{
	if (empty($_SERVER['silverlining_internal']))
		page('the node asks for this, nobody else', 403);
	$charset = database()->query('SELECT @@character_set_database')->fetchColumn();
	page("$charset, " . database()->query('SELECT COUNT(*) FROM entries')->fetchColumn() . ' entries', $charset === 'utf8mb4' ? 200 : 500);
}

$path = $_SERVER['PATH_INFO'];
match (true) {
	$path === '/sign' => sign(),
	$path === '/selfcheck' => selfcheck(),
	str_starts_with($path, '/picture/') => picture($path),
	$path === '/' => entries(),
	default => page('there is no such page', 404),
};
