# An echo server in Perl, a process for each client. Usage: echo.pl PORT
use strict;
use warnings;
use IO::Socket::INET;

$SIG{CHLD} = "IGNORE";
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 50, ReuseAddr => 1)
    or die "$ARGV[0]: $@\n";
while (1) {
    my $client = $server->accept or do { select(undef, undef, undef, 0.05); next };
    my $child = fork;
    if (defined $child && $child == 0) {
        $SIG{PIPE} = "IGNORE";
        while (sysread($client, my $buffer, 4096)) {
            my $done = 0;
            while ($done < length $buffer) {
                $done += syswrite($client, $buffer, length($buffer) - $done, $done) // exit;
            }
        }
        exit;
    }
    close $client;
}
