complete -c tcp_echo_server_epoll -l bind -d 'Listen on this address only [default: any]' -r
complete -c tcp_echo_server_epoll -l backlog -d 'Let N connections wait to be accepted' -r
complete -c tcp_echo_server_epoll -l max-clients -d 'End after N clients [default: never]' -r
complete -c tcp_echo_server_epoll -l idle-timeout -d 'Give up a client after SECONDS without a byte [default: never]' -r
complete -c tcp_echo_server_epoll -l limit -d 'Serve at most N clients at once; more wait to be accepted' -r
complete -c tcp_echo_server_epoll -s h -l help -d 'Print help'
complete -c tcp_echo_server_epoll -s V -l version -d 'Print version'
