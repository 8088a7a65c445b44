complete -c tcp_echo_server_thread -l bind -d 'Address to listen on [default: any]' -r
complete -c tcp_echo_server_thread -l backlog -d 'Connections that may wait to be accepted' -r
complete -c tcp_echo_server_thread -l max-clients -d 'End after N clients' -r
complete -c tcp_echo_server_thread -l idle-timeout -d 'Give up a client after so long without a byte [default: never]' -r
complete -c tcp_echo_server_thread -l limit -d 'Clients at a time; more wait to be accepted' -r
complete -c tcp_echo_server_thread -s h -l help -d 'Print help'
complete -c tcp_echo_server_thread -s V -l version -d 'Print version'
