complete -c web_server -l root -d 'Serve the files of this directory' -r -F
complete -c web_server -l bind -d 'Listen on this address, IPv4 or IPv6 [default: any]' -r
complete -c web_server -l backlog -d 'Let at most N connections wait to be accepted' -r
complete -c web_server -l limit -d 'Serve at most N connections at a time; more wait to be accepted' -r
complete -c web_server -l max-clients -d 'End after N connections [default: never]' -r
complete -c web_server -l request-timeout -d 'Time limit for a request, for an idle connection, and for every 128 KiB of a response' -r
complete -c web_server -l user -d 'Require this name and password (HTTP Basic; visible in ps)' -r
complete -c web_server -l list -d 'List a directory that has no index.html (Rust only)'
complete -c web_server -l quiet -d 'Write no log'
complete -c web_server -s h -l help -d 'Print help'
complete -c web_server -s V -l version -d 'Print version'
