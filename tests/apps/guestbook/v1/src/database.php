<?php
function database(): PDO
{
	static $pdo = null;
	return $pdo ??= new PDO(
		sprintf('mysql:host=%s;port=%s;dbname=%s;charset=utf8mb4', getenv('CONFIG_MYSQL_HOST'), getenv('CONFIG_MYSQL_PORT'), getenv('CONFIG_MYSQL_DBNAME')),
		getenv('CONFIG_MYSQL_USER'), getenv('CONFIG_MYSQL_PASSWORD'),
		[PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => false]);
}
