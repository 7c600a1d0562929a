// Node's ws, as in its README: an echo; `--broadcast` sends to all clients;
// `--deflate` turns compression on as the README does.
const { WebSocket, WebSocketServer } = require('ws');

const words = process.argv.slice(2);
const at = words.indexOf('--listen');
const [host, port] = at < 0 ? ['127.0.0.1', 0] : words[at + 1].split(':');

const server = new WebSocketServer({
  host,
  port: Number(port),
  perMessageDeflate: words.includes('--deflate'),
});
server.on('listening', () => {
  console.log(`listening on http://${host}:${server.address().port}`);
});
server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => {
    if (!words.includes('--broadcast')) {
      socket.send(data, { binary: isBinary });
      return;
    }
    server.clients.forEach((client) => {
      if (client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
    });
  });
});
