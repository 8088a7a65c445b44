# An echo server in Ruby, a thread for each client. Usage: echo.rb PORT
require "socket"

server = TCPServer.new("127.0.0.1", Integer(ARGV[0]))
loop do
  client = begin
    server.accept
  rescue SystemCallError
    sleep 0.05 # no descriptor is left
    next
  end
  Thread.new do
    IO.copy_stream(client, client)
  rescue SystemCallError
    # this client is lost
  ensure
    client.close
  end
end
