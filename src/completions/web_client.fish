complete -c web_client -s o -l output -d 'Write to FILE, not to standard output' -r -F
complete -c web_client -s H -l header -d 'Send this header too, or instead of the usual one' -r
complete -c web_client -s m -l timeout -d 'How long it may take in all [default: for ever]' -r
complete -c web_client -l max-redirs -d 'How often at most' -r
complete -c web_client -s i -l include -d 'Show the response\'s headers too'
complete -c web_client -s I -l head -d 'Ask for the headers alone, and show them'
complete -c web_client -s f -l fail -d 'Show no page if the answer is 400 or more'
complete -c web_client -s L -l location -d 'Go where the server says that the page is (the C twin does not)'
complete -c web_client -s h -l help -d 'Print help (see more with \'--help\')'
complete -c web_client -s V -l version -d 'Print version'
