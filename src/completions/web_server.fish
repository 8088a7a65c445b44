complete -c web_server -l root -d 'Directory whose files are served' -r -F
complete -c web_server -l bind -d 'Address to listen on, IPv4 or IPv6 [default: any]' -r
complete -c web_server -l backlog -d 'Connections that may wait to be accepted' -r
complete -c web_server -l limit -d 'Connections at a time; more wait to be accepted' -r
complete -c web_server -l max-clients -d 'End after N connections' -r
complete -c web_server -l request-timeout -d 'For a whole request, for silence between two, and for each 128 KiB of an answer' -r
complete -c web_server -l user -d 'Only for who knows this; others on this machine see it in the list of processes' -r
complete -c web_server -l list -d 'Show what is in a directory without index.html (not in the C twin)'
complete -c web_server -l quiet -d 'No log'
complete -c web_server -s h -l help -d 'Print help'
complete -c web_server -s V -l version -d 'Print version'
