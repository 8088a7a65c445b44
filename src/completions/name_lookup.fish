complete -c name_lookup -l all -d 'Sockets for datagrams and raw packets too, not for streams alone'
complete -c name_lookup -s h -l help -d 'Print help'
complete -c name_lookup -s V -l version -d 'Print version'
