# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sockstep_global_optspecs
    string join \n h/help V/version
end

function __fish_sockstep_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sockstep_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sockstep_using_subcommand
    set -l cmd (__fish_sockstep_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sockstep -n "__fish_sockstep_needs_command" -s h -l help -d 'Print help'
complete -c sockstep -n "__fish_sockstep_needs_command" -s V -l version -d 'Print version'
complete -c sockstep -n "__fish_sockstep_needs_command" -f -a "run" -d 'Run a server on a free port, and its client against it'
complete -c sockstep -n "__fish_sockstep_needs_command" -f -a "show" -d 'Show the ladder of a recording'
complete -c sockstep -n "__fish_sockstep_needs_command" -f -a "diff" -d 'Compare the system calls of a Rust pair and its C twins, or of any two servers or clients'
complete -c sockstep -n "__fish_sockstep_needs_command" -f -a "check" -d 'Check whether a server or a client is right'
complete -c sockstep -n "__fish_sockstep_needs_command" -f -a "bench" -d 'Measure a server\'s Rust program against its C twin'
complete -c sockstep -n "__fish_sockstep_needs_command" -f -a "explain" -d 'Explain a call, an error, an option, a state, a signal, or a message'
complete -c sockstep -n "__fish_sockstep_needs_command" -f -a "doctor" -d 'Check whether this machine has what the tool needs'
complete -c sockstep -n "__fish_sockstep_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l clients -d 'Run N clients at once and draw which of them waits, in which call, for how long' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l think -d 'Let each of these clients keep its connection for MS milliseconds after the answer (default: 100)' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l server -d 'Run this command as the server, as a shell would: \'./my_server {port}\'' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l client -d 'Run this command as the client: \'./my_client 127.0.0.1 {port}\'' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l server-input -d 'Use this file as the server\'s standard input (default: empty)' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l impl -d 'Take both programs in this language' -r -f -a "rust\t'The Rust program'
c\t'Its C twin, compiled when needed'"
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l server-impl -d 'Take the server in this language' -r -f -a "rust\t'The Rust program'
c\t'Its C twin, compiled when needed'"
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l client-impl -d 'Take the client in this language' -r -f -a "rust\t'The Rust program'
c\t'Its C twin, compiled when needed'"
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l calls -d 'Show these calls' -r -f -a "network\t'Those on sockets'
all\t'All'"
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l payload -d 'Show the bytes that a call carries in this form' -r -f -a "text\t'As text'
hex\t'As hexadecimal digits'
none\t'Not at all'"
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l keep -d 'Keep strace\'s recordings in this directory, as client.strace and server.strace' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l color -d 'Use colours; auto does on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'In a file or a pipe too'
never\t'Nowhere'"
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l slow -d 'Hold each call on a socket for MS milliseconds; with --step, at most that long' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l fault -d 'Make a call of one side go wrong: \'server recv error=ECONNRESET when=2\'; repeat it for several faults' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l html -d 'Write a page for a browser: step through the run, share it, print it; - is standard output' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l words -d 'Take the page\'s words from this file, to translate it: a JSON object as in {"step": "Schritt"}' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l svg -d 'Write the picture as SVG, light or dark as its reader prefers; - is standard output' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l mermaid -d 'Write a Mermaid sequence diagram' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l perfetto -d 'Write trace events for ui.perfetto.dev: a track for each task, a flow for each message' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l pcapng -d 'Write the packets of these calls for Wireshark, each with its call as a comment' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l csv -d 'Write a table, one row for each event' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l server-source -d 'Show this source of the server in the page' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l client-source -d 'Show this source of the client in the page' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l plain -d 'Show only the output of client and server, not their calls'
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l json -d 'Print the events as JSON, one per line, instead of the ladder'
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l source -d 'Show next to each call its source line, from debug information (adds 1 ms to a call, 10 ms in an interpreter)'
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l step -d 'Hold each call on a socket until a key is pressed: space lets the next call of either side go, c the client\'s, s the server\'s, g all the rest; PageUp pages back. On x86-64 the last row names the source line too'
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -l print-command -d 'Print the strace commands without running them'
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l calls -d 'Show these calls' -r -f -a "network\t'Those on sockets'
all\t'All'"
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l payload -d 'Show the bytes that a call carries in this form' -r -f -a "text\t'As text'
hex\t'As hexadecimal digits'
none\t'Not at all'"
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l color -d 'Use colours; auto does on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'In a file or a pipe too'
never\t'Nowhere'"
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l html -d 'Write a page for a browser: step through the run, share it, print it; - is standard output' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l words -d 'Take the page\'s words from this file, to translate it: a JSON object as in {"step": "Schritt"}' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l svg -d 'Write the picture as SVG, light or dark as its reader prefers; - is standard output' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l mermaid -d 'Write a Mermaid sequence diagram' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l perfetto -d 'Write trace events for ui.perfetto.dev: a track for each task, a flow for each message' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l pcapng -d 'Write the packets of these calls for Wireshark, each with its call as a comment' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l csv -d 'Write a table, one row for each event' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l server-source -d 'Show this source of the server in the page' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l client-source -d 'Show this source of the client in the page' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l source -d 'Show next to each call its source line; needs a recording with stacks (strace -k), and the programs on this machine'
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -l json -d 'Print the events as JSON, one per line, instead of the ladder'
complete -c sockstep -n "__fish_sockstep_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l scenario -d 'Run this scenario only' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l server -d 'Compare the server of this command; give it twice. {port} becomes a free port' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l client -d 'Run the client of this command; give it once for both servers, or twice to compare two clients' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l calls -d 'Compare these calls; by default network for commands, all for a pair' -r -f -a "network\t'Those on a socket, and waits for one'
all\t'All from the first socket() on'"
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l color -d 'Use colours; auto does on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'In a file or a pipe too'
never\t'Nowhere'"
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l html -d 'Write a page for a browser: step through the run, share it, print it; - is standard output' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l words -d 'Take the page\'s words from this file, to translate it: a JSON object as in {"step": "Schritt"}' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l svg -d 'Write the picture as SVG, light or dark as its reader prefers; - is standard output' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l mermaid -d 'Write a Mermaid sequence diagram' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l perfetto -d 'Write trace events for ui.perfetto.dev: a track for each task, a flow for each message' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l pcapng -d 'Write the packets of these calls for Wireshark, each with its call as a comment' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l csv -d 'Write a table, one row for each event' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l c-programs -d 'Take the C programs from this directory, instead of compiling the twins' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l all -d 'Run all scenarios; without PAIR, those of all pairs'
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l list -d 'List the scenarios without running them'
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l conversation -d 'Exit with 0 if the conversations are the same, whichever calls were used'
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l raw -d 'Show the lines that were set aside'
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -l json -d 'Print the verdicts as JSON, one object per line; --help describes it'
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l server -d 'Start the server to check with this command' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l client -d 'Start the client to check with this command, which contains {port}' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l at -d 'Check the server that already runs at this address' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l contract -d 'Hold the program to this contract; without it, find out which one it keeps' -r -f -a "tcp-echo\t'Each byte comes back'
tcp-upper\t'Each byte comes back, a to z in upper case'
udp-echo\t'Each datagram comes back'
udp-upper\t'Each datagram comes back in upper case'
http\t'A Web server: the deck\'s five steps'"
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l only -d 'Make this check only; repeat it for several' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l skip -d 'Leave this check out; repeat it for several' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l timeout -d 'Wait at most this long for an answer, in seconds (default: many times what the first answer took)' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l jobs -d 'Make N checks at a time, each with its own server' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l seed -d 'Seed the random bytes of long messages with this number' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l color -d 'Use colours; auto does on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'In a file or a pipe too'
never\t'Nowhere'"
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l junit -d 'Also write the outcomes as JUnit XML' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l gradescope -d 'Also write the outcomes as results.json for Gradescope' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l points -d 'Take each check\'s points from this file, a line each, as in \'half-close 5\' (default: 1 point)' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l html -d 'Also write the verdicts, and each failure with its picture, as an HTML page' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l list -d 'List the checks, and start nothing'
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l concurrent -d 'Fail a server that serves one client at a time'
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l faults -d 'Instead of the checks, make each call fail, once and from then on, with each error that it can have, and report what that does to the program and its clients; --only and --skip then name calls'
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -s v -l verbose -d 'Give the reason for each check'
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l no-pictures -d 'Leave the pictures of failures out'
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l json -d 'Print the outcomes as JSON, one object a line, as src/schema/check.json in the source describes it'
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -l tap -d 'Print the outcomes in the Test Anything Protocol'
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -s q -l quiet -d 'Print nothing; the exit status says whether all is right'
complete -c sockstep -n "__fish_sockstep_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l connections -d 'Open N connections to each copy, with a message under way on each; with UDP, N sockets' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l size -d 'Send messages of this size; over TCP 4096 at most' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l seconds -d 'Measure for S seconds, 0.1 to 60' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l slice -d 'Switch to another copy every MS milliseconds' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l seed -d 'Repeat the order of slices of an earlier run' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l c-programs -d 'Take the C program from this directory, instead of compiling the twin' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l against -d 'Measure this server too, started as a shell would: \'./my_server {port}\'; repeat it for several' -r
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l plot -d 'Draw a picture of all designs of the TCP echo server, over 1, 8, 64 and 512 connections' -r -F
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l reconnect -d 'Make a new connection for each message (60,000 at most)'
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l any-core -d 'Let client and server run on any core, instead of the same one'
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -l json -d 'Print JSON, as src/schema/bench.json in the source describes it'
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sockstep -n "__fish_sockstep_using_subcommand explain" -l color -d 'Use colours; auto does on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'In a file or a pipe too'
never\t'Nowhere'"
complete -c sockstep -n "__fish_sockstep_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sockstep -n "__fish_sockstep_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sockstep -n "__fish_sockstep_using_subcommand help; and not __fish_seen_subcommand_from run show diff check bench explain doctor help" -f -a "run" -d 'Run a server on a free port, and its client against it'
complete -c sockstep -n "__fish_sockstep_using_subcommand help; and not __fish_seen_subcommand_from run show diff check bench explain doctor help" -f -a "show" -d 'Show the ladder of a recording'
complete -c sockstep -n "__fish_sockstep_using_subcommand help; and not __fish_seen_subcommand_from run show diff check bench explain doctor help" -f -a "diff" -d 'Compare the system calls of a Rust pair and its C twins, or of any two servers or clients'
complete -c sockstep -n "__fish_sockstep_using_subcommand help; and not __fish_seen_subcommand_from run show diff check bench explain doctor help" -f -a "check" -d 'Check whether a server or a client is right'
complete -c sockstep -n "__fish_sockstep_using_subcommand help; and not __fish_seen_subcommand_from run show diff check bench explain doctor help" -f -a "bench" -d 'Measure a server\'s Rust program against its C twin'
complete -c sockstep -n "__fish_sockstep_using_subcommand help; and not __fish_seen_subcommand_from run show diff check bench explain doctor help" -f -a "explain" -d 'Explain a call, an error, an option, a state, a signal, or a message'
complete -c sockstep -n "__fish_sockstep_using_subcommand help; and not __fish_seen_subcommand_from run show diff check bench explain doctor help" -f -a "doctor" -d 'Check whether this machine has what the tool needs'
complete -c sockstep -n "__fish_sockstep_using_subcommand help; and not __fish_seen_subcommand_from run show diff check bench explain doctor help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sockstep -n "__fish_sockstep_using_subcommand run" -f -a "tcp_echo\t'A word, echoed over TCP (client arguments: `[WORD]`)'
udp_echo\t'A word, echoed over UDP (client arguments: `[WORD] [OPTIONS]`)'
tcp_upper\t'Lines of standard input, answered in upper case over TCP'
udp_upper\t'Lines of standard input, answered in upper case over UDP (client arguments: `[OPTIONS]`)'
web\t'A Web page over HTTP (client arguments: `[/PATH] [OPTIONS]`)'
tcp_echo_server\t'The same as tcp_echo'
tcp_echo_server_fork\t'With a process for each client'
tcp_echo_server_thread\t'With a thread for each client'
tcp_echo_server_prefork\t'With processes made beforehand'
tcp_echo_server_pool\t'With threads made beforehand, and a queue'
tcp_echo_server_select\t'With one process for all clients, by select'
tcp_echo_server_poll\t'The same by poll'
tcp_echo_server_epoll\t'The same by epoll'"
complete -c sockstep -n "__fish_sockstep_using_subcommand diff" -f -a "tcp_echo\t'A word, echoed over TCP (client arguments: `[WORD]`)'
udp_echo\t'A word, echoed over UDP (client arguments: `[WORD] [OPTIONS]`)'
tcp_upper\t'Lines of standard input, answered in upper case over TCP'
udp_upper\t'Lines of standard input, answered in upper case over UDP (client arguments: `[OPTIONS]`)'
web\t'A Web page over HTTP (client arguments: `[/PATH] [OPTIONS]`)'
tcp_echo_server\t'The same as tcp_echo'
tcp_echo_server_fork\t'With a process for each client'
tcp_echo_server_thread\t'With a thread for each client'
tcp_echo_server_prefork\t'With processes made beforehand'
tcp_echo_server_pool\t'With threads made beforehand, and a queue'
tcp_echo_server_select\t'With one process for all clients, by select'
tcp_echo_server_poll\t'The same by poll'
tcp_echo_server_epoll\t'The same by epoll'"
complete -c sockstep -n "__fish_sockstep_using_subcommand bench" -f -a "tcp_echo_server\t''
tcp_echo_server_fork\t''
tcp_echo_server_thread\t''
tcp_echo_server_prefork\t''
tcp_echo_server_pool\t''
tcp_echo_server_select\t''
tcp_echo_server_poll\t''
tcp_echo_server_epoll\t''
tcp_upper_server\t''
udp_echo_server\t''
udp_upper_server\t''"
