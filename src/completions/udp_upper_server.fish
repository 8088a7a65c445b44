complete -c udp_upper_server -l bind -d 'Address to receive on [default: any]' -r
complete -c udp_upper_server -l max-messages -d 'End after N datagrams' -r
complete -c udp_upper_server -l unicode -d 'Upper case as Unicode has it, not only of a to z'
complete -c udp_upper_server -l quiet -d 'Do not log the requests'
complete -c udp_upper_server -l announce -d 'Say where clients on other machines find this server'
complete -c udp_upper_server -s h -l help -d 'Print help'
complete -c udp_upper_server -s V -l version -d 'Print version'
