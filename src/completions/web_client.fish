complete -c web_client -s o -l output -d 'Write to FILE instead of standard output' -r -F
complete -c web_client -s H -l header -d 'Add this header, or replace the default one of that name' -r
complete -c web_client -s m -l timeout -d 'Give up after SECONDS in all [default: never]' -r
complete -c web_client -l max-redirs -d 'Follow at most N redirects (Rust only)' -r
complete -c web_client -s i -l include -d 'Show the headers of the response too'
complete -c web_client -s I -l head -d 'Ask for the headers only, and show them'
complete -c web_client -s f -l fail -d 'Show no page if the status is 400 or more; exit with 22'
complete -c web_client -s L -l location -d 'Follow redirects (Rust only)'
complete -c web_client -s h -l help -d 'Print help (see more with \'--help\')'
complete -c web_client -s V -l version -d 'Print version'
