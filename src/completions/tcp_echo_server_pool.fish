complete -c tcp_echo_server_pool -l bind -d 'Listen on this address only [default: any]' -r
complete -c tcp_echo_server_pool -l backlog -d 'Let N connections wait to be accepted' -r
complete -c tcp_echo_server_pool -l max-clients -d 'End after N clients [default: never]' -r
complete -c tcp_echo_server_pool -l idle-timeout -d 'Give up a client after SECONDS without a byte [default: never]' -r
complete -c tcp_echo_server_pool -l threads -l limit -d 'Make N threads, each of which serves one client at a time' -r
complete -c tcp_echo_server_pool -l queue -d 'Let N accepted clients wait for a thread; more wait to be accepted' -r
complete -c tcp_echo_server_pool -s h -l help -d 'Print help'
complete -c tcp_echo_server_pool -s V -l version -d 'Print version'
