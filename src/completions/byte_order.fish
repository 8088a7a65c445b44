complete -c byte_order -s h -l help -d 'Print help'
complete -c byte_order -s V -l version -d 'Print version'
