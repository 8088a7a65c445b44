complete -c name_lookup -l all -d 'Show addresses for datagram and raw sockets too, not only for streams'
complete -c name_lookup -s h -l help -d 'Print help'
complete -c name_lookup -s V -l version -d 'Print version'
