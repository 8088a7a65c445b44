complete -c tcp_echo_server_prefork -l bind -d 'Listen on this address only [default: any]' -r
complete -c tcp_echo_server_prefork -l backlog -d 'Let N connections wait to be accepted' -r
complete -c tcp_echo_server_prefork -l max-clients -d 'End after N clients [default: never]' -r
complete -c tcp_echo_server_prefork -l idle-timeout -d 'Give up a client after SECONDS without a byte [default: never]' -r
complete -c tcp_echo_server_prefork -l workers -l limit -d 'Make N processes, each of which serves one client at a time' -r
complete -c tcp_echo_server_prefork -s h -l help -d 'Print help'
complete -c tcp_echo_server_prefork -s V -l version -d 'Print version'
