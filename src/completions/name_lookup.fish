complete -c name_lookup -l all -d 'Every type of socket: streams, datagrams and raw packets [default: streams]'
complete -c name_lookup -s h -l help -d 'Print help'
complete -c name_lookup -s V -l version -d 'Print version'
