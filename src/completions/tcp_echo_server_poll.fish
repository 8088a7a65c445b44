complete -c tcp_echo_server_poll -l bind -d 'Address to listen on [default: any]' -r
complete -c tcp_echo_server_poll -l backlog -d 'Connections that may wait to be accepted' -r
complete -c tcp_echo_server_poll -l max-clients -d 'End after N clients' -r
complete -c tcp_echo_server_poll -l idle-timeout -d 'Give up a client after so long without a byte [default: never]' -r
complete -c tcp_echo_server_poll -l limit -d 'Clients at a time; more wait to be accepted' -r
complete -c tcp_echo_server_poll -s h -l help -d 'Print help'
complete -c tcp_echo_server_poll -s V -l version -d 'Print version'
