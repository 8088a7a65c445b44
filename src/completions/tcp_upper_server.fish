complete -c tcp_upper_server -l bind -d 'Address to listen on [default: any]' -r
complete -c tcp_upper_server -l backlog -d 'Connections that may wait to be accepted' -r
complete -c tcp_upper_server -l max-clients -d 'End after N clients' -r
complete -c tcp_upper_server -l once -d 'One recv and one send for each client, as in the book'
complete -c tcp_upper_server -l unicode -d 'Upper case as Unicode has it, not only of a to z'
complete -c tcp_upper_server -l quiet -d 'Do not log the requests'
complete -c tcp_upper_server -l announce -d 'Say where clients on other machines find this server'
complete -c tcp_upper_server -s h -l help -d 'Print help'
complete -c tcp_upper_server -s V -l version -d 'Print version'
