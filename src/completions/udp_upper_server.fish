complete -c udp_upper_server -l bind -d 'Receive on this address only [default: any]' -r
complete -c udp_upper_server -l max-messages -d 'End after N datagrams [default: never]' -r
complete -c udp_upper_server -l from-asked -d 'Answer from the address that was asked, on a machine with several'
complete -c udp_upper_server -l unicode -d 'Change all letters of Unicode to upper case, not only a to z'
complete -c udp_upper_server -l quiet -d 'Print no log of the requests'
complete -c udp_upper_server -l announce -d 'Print the address at which other machines reach this server'
complete -c udp_upper_server -s h -l help -d 'Print help'
complete -c udp_upper_server -s V -l version -d 'Print version'
