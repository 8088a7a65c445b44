complete -c tcp_upper_client -s i -l ipaddress -d 'The server\'s name or address (also: -ip)' -r
complete -c tcp_upper_client -s p -l port -d 'The server\'s port' -r
complete -c tcp_upper_client -s h -l help -d 'Print help'
complete -c tcp_upper_client -s V -l version -d 'Print version'
