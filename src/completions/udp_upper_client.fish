complete -c udp_upper_client -s i -l ipaddress -d 'The server\'s name or address (also: -ip)' -r
complete -c udp_upper_client -s p -l port -d 'The server\'s port' -r
complete -c udp_upper_client -l timeout -d 'How long to wait for the answer [default: for ever]' -r
complete -c udp_upper_client -l tries -d 'How often to send' -r
complete -c udp_upper_client -s h -l help -d 'Print help'
complete -c udp_upper_client -s V -l version -d 'Print version'
