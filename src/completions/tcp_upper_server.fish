complete -c tcp_upper_server -l bind -d 'Listen on this address only [default: any]' -r
complete -c tcp_upper_server -l backlog -d 'Let N connections wait to be accepted' -r
complete -c tcp_upper_server -l max-clients -d 'End after N clients [default: never]' -r
complete -c tcp_upper_server -l once -d 'Receive and send once for each client, as in the book'
complete -c tcp_upper_server -l unicode -d 'Change all letters of Unicode to upper case, not only a to z'
complete -c tcp_upper_server -l quiet -d 'Print no log of the requests'
complete -c tcp_upper_server -l announce -d 'Print the address at which other machines reach this server'
complete -c tcp_upper_server -s h -l help -d 'Print help'
complete -c tcp_upper_server -s V -l version -d 'Print version'
