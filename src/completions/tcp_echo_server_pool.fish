complete -c tcp_echo_server_pool -l bind -d 'Address to listen on [default: any]' -r
complete -c tcp_echo_server_pool -l backlog -d 'Connections that may wait to be accepted' -r
complete -c tcp_echo_server_pool -l max-clients -d 'End after N clients' -r
complete -c tcp_echo_server_pool -l idle-timeout -d 'Give up a client after so long without a byte [default: never]' -r
complete -c tcp_echo_server_pool -l threads -l limit -d 'Threads, each of which serves one client at a time' -r
complete -c tcp_echo_server_pool -l queue -d 'Accepted clients that may wait for a thread; more wait to be accepted' -r
complete -c tcp_echo_server_pool -s h -l help -d 'Print help'
complete -c tcp_echo_server_pool -s V -l version -d 'Print version'
