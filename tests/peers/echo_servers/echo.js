// An echo server in Node. Usage: node echo.js PORT
const server = require("net").createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => {}); // this client is lost
  socket.pipe(socket);
});
server.listen(Number(process.argv[2]), "127.0.0.1");
