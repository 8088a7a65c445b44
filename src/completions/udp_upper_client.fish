complete -c udp_upper_client -s i -l ipaddress -d 'Send to the server of this name or address (also: -ip)' -r
complete -c udp_upper_client -s p -l port -d 'Send to this port' -r
complete -c udp_upper_client -l timeout -d 'Wait at most SECONDS for the answer [default: without end]' -r
complete -c udp_upper_client -l tries -d 'Send at most N times' -r
complete -c udp_upper_client -s h -l help -d 'Print help'
complete -c udp_upper_client -s V -l version -d 'Print version'
