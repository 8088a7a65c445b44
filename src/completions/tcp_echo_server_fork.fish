complete -c tcp_echo_server_fork -l bind -d 'Listen on this address only [default: any]' -r
complete -c tcp_echo_server_fork -l backlog -d 'Let N connections wait to be accepted' -r
complete -c tcp_echo_server_fork -l max-clients -d 'End after N clients [default: never]' -r
complete -c tcp_echo_server_fork -l idle-timeout -d 'Give up a client after SECONDS without a byte [default: never]' -r
complete -c tcp_echo_server_fork -l limit -d 'Serve at most N clients at once; more wait to be accepted' -r
complete -c tcp_echo_server_fork -s h -l help -d 'Print help'
complete -c tcp_echo_server_fork -s V -l version -d 'Print version'
