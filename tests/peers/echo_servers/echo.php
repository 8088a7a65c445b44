<?php // An echo server in PHP, one client at a time. Usage: php echo.php PORT
$server = stream_socket_server("tcp://127.0.0.1:$argv[1]", $number, $words);
if (!$server) {
    fwrite(STDERR, "$words\n");
    exit(1);
}
while (true) {
    $client = @stream_socket_accept($server, -1);
    if (!$client) {
        usleep(50000);
        continue;
    }
    // fread may wait for more than it has.
    while (($data = @stream_socket_recvfrom($client, 4096)) !== false && $data !== "") {
        for ($done = 0; $done < strlen($data); $done += $sent) {
            $sent = @fwrite($client, substr($data, $done));
            if ($sent === false || $sent === 0) {
                break 2;
            }
        }
    }
    fclose($client);
}
