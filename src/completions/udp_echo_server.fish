complete -c udp_echo_server -l bind -d 'Receive on this address only [default: any]' -r
complete -c udp_echo_server -l batch -d 'Receive and send up to N datagrams with one call' -r
complete -c udp_echo_server -l max-messages -d 'End after N datagrams [default: never]' -r
complete -c udp_echo_server -l from-asked -d 'Answer from the address that was asked, on a machine with several'
complete -c udp_echo_server -s h -l help -d 'Print help'
complete -c udp_echo_server -s V -l version -d 'Print version'
