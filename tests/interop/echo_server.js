// An echo server on Node's `ws`, which shares no code with this crate.
//
//     node echo_server.js [deflate]
//
// Prints its port, and a line for each connection that has ended: the close code
// and the negotiated extensions.
'use strict';

const { WebSocketServer } = require('ws');

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  maxPayload: 64 * 1024 * 1024,
  perMessageDeflate: process.argv[2] === 'deflate' && { threshold: 0 },
});
server.on('listening', () => console.log(server.address().port));
server.on('connection', (socket) => {
  const extensions = socket.extensions;
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', (error) => console.log(`error ${error.code}`));
  socket.on('close', (code) => console.log(`closed ${code} ${extensions}`));
});
