complete -c tcp_echo_server -l bind -d 'Listen on this address only [default: any]' -r
complete -c tcp_echo_server -l backlog -d 'Let N connections wait to be accepted' -r
complete -c tcp_echo_server -l max-clients -d 'End after N clients [default: never]' -r
complete -c tcp_echo_server -l idle-timeout -d 'Give up a client after SECONDS without a byte [default: never]' -r
complete -c tcp_echo_server -s h -l help -d 'Print help'
complete -c tcp_echo_server -s V -l version -d 'Print version'
