<?php
// The same read as bench/reads.conf.in gives to checkout_query, over a persistent connection. See bench/reads.

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$db = new mysqli('p:127.0.0.1', getenv('DB_USER'), getenv('DB_PASSWORD'), getenv('DB_NAME'), (int) getenv('DB_PORT'));
$statement = $db->prepare('SELECT id, name, description, price, stock, updated_at FROM products WHERE id = ?');
$statement->bind_param('i', $_SERVER['PRODUCT']);
$statement->execute();
$row = $statement->get_result()->fetch_assoc();
http_response_code($row ? 200 : 404);
header('Content-Type: application/json');
echo json_encode($row ? ['data' => $row] : ['message' => '商品不存在'], JSON_UNESCAPED_UNICODE);
