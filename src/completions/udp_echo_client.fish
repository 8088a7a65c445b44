complete -c udp_echo_client -l client-port -d 'Our own port; 0 takes a free one' -r
complete -c udp_echo_client -l timeout -d 'How long to wait for the answer [default: for ever]' -r
complete -c udp_echo_client -l tries -d 'How often to send' -r
complete -c udp_echo_client -s h -l help -d 'Print help'
complete -c udp_echo_client -s V -l version -d 'Print version'
