complete -c tcp_echo_server_thread -l bind -d 'Listen on this address only [default: any]' -r
complete -c tcp_echo_server_thread -l backlog -d 'Let N connections wait to be accepted' -r
complete -c tcp_echo_server_thread -l max-clients -d 'End after N clients [default: never]' -r
complete -c tcp_echo_server_thread -l idle-timeout -d 'Give up a client after SECONDS without a byte [default: never]' -r
complete -c tcp_echo_server_thread -l limit -d 'Serve at most N clients at once; more wait to be accepted' -r
complete -c tcp_echo_server_thread -s h -l help -d 'Print help'
complete -c tcp_echo_server_thread -s V -l version -d 'Print version'
