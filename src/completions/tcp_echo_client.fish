complete -c tcp_echo_client -s h -l help -d 'Print help'
complete -c tcp_echo_client -s V -l version -d 'Print version'
