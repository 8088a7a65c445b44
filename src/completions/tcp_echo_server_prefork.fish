complete -c tcp_echo_server_prefork -l bind -d 'Address to listen on [default: any]' -r
complete -c tcp_echo_server_prefork -l backlog -d 'Connections that may wait to be accepted' -r
complete -c tcp_echo_server_prefork -l max-clients -d 'End after N clients' -r
complete -c tcp_echo_server_prefork -l idle-timeout -d 'Give up a client after so long without a byte [default: never]' -r
complete -c tcp_echo_server_prefork -l workers -l limit -d 'Processes, each of which serves one client at a time' -r
complete -c tcp_echo_server_prefork -s h -l help -d 'Print help'
complete -c tcp_echo_server_prefork -s V -l version -d 'Print version'
