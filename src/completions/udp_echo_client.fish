complete -c udp_echo_client -l client-port -d 'Send from this port; 0 takes a free one' -r
complete -c udp_echo_client -l timeout -d 'Wait at most SECONDS for the answer [default: without end]' -r
complete -c udp_echo_client -l tries -d 'Send at most N times' -r
complete -c udp_echo_client -s h -l help -d 'Print help'
complete -c udp_echo_client -s V -l version -d 'Print version'
