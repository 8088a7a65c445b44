complete -c tcp_upper_client -s i -l ipaddress -d 'Connect to the server of this name or address (also: -ip)' -r
complete -c tcp_upper_client -s p -l port -d 'Connect to this port' -r
complete -c tcp_upper_client -l timeout -d 'Wait at most SECONDS for a connection, and as long for each answer [default: without end]' -r
complete -c tcp_upper_client -s h -l help -d 'Print help'
complete -c tcp_upper_client -s V -l version -d 'Print version'
