// Talks compressed (RFC 7692) to the example server with Node's `ws`, which shares
// no code with this crate.
//
//     node ws.js ECHO
//
// ECHO is the built example.  Needs the module `ws` (tests/run installs it).
// Prints a line for each way to compress and at the end `N passed, M failed`.
'use strict';

const { once } = require('events');
const { spawn } = require('child_process');
const readline = require('readline');
const WebSocket = require('ws');

const TIMEOUT = 20_000;
const LENGTHS = [0, 1, 100, 511, 512, 1000, 1024, 5000, 40_000, 200_000];

// JSON objects in a row, `length` characters, different each time, the same in every run.
let state = 20260101;
function below(limit) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

const WORDS = 'order delivered server größer 🦀 meeting tomorrow price room please update'.split(' ');
function text(length) {
  let out = '';
  while (out.length < length) {
    out += JSON.stringify({ id: below(1e7), user: `u${below(1e5)}`, text: `${WORDS[below(WORDS.length)]} ${WORDS[below(WORDS.length)]}` });
  }
  // No half of a character at the end.
  return out.slice(0, length).replace(/[\ud800-\udbff]$/, '');
}

function fail(problem) {
  throw new Error(problem);
}

async function start(program, mode) {
  const server = spawn(program, ['--listen', '127.0.0.1:0', `--deflate=${mode}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  server.on('error', (problem) => { throw problem; });
  for await (const line of readline.createInterface({ input: server.stdout })) {
    const found = /^listening on http:\/\/(\S+)/.exec(line);
    if (found) return { server, url: `ws://${found[1].replace(/\/$/, '')}/` };
  }
  return fail(`${program} ended before it listened`);
}

// The answer that each offer must get.
function checkAnswer(answer, mode, offered) {
  const has = (name) => answer.includes(name);
  if (!has('permessage-deflate')) fail('nothing was agreed on');
  if (offered.serverNoContextTakeover && !has('server_no_context_takeover')) fail('the server insists on its context');
  if (mode === 'shared' && !(has('server_no_context_takeover') && has('client_no_context_takeover'))) fail('a context in the shared mode');
  if (has('server_max_window_bits') !== Boolean(offered.serverMaxWindowBits)) fail('server_max_window_bits, offered or not');
  if (has('client_max_window_bits') && !offered.clientMaxWindowBits) fail('client_max_window_bits was not offered');
}

async function converse(url, mode, offered) {
  const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0, ...offered }, handshakeTimeout: TIMEOUT });
  const timer = setTimeout(() => socket.terminate(), TIMEOUT);
  const closed = new Promise((resolve) => { socket.on('close', resolve); });
  const upgraded = once(socket, 'upgrade');
  await once(socket, 'open');
  const [response] = await upgraded;
  checkAnswer(response.headers['sec-websocket-extensions'] ?? '', mode, offered);
  const tcp = socket._socket;
  const before = [tcp.bytesWritten, tcp.bytesRead];
  let bytes = 0;
  let messages = 0;
  for (const length of LENGTHS) {
    const message = text(length);
    for (const sent of [message, Buffer.from(message)]) {
      const answered = new Promise((resolve) => { socket.once('message', (...answer) => resolve(answer)); });
      socket.send(sent);
      const answer = await Promise.race([answered, closed]);
      if (!Array.isArray(answer)) fail(`closed with ${answer} at a message of ${length}`);
      const [got, isBinary] = answer;
      if (isBinary === (typeof sent === 'string')) fail('another kind of message came back');
      if (!Buffer.from(sent).equals(got)) fail(`another message of ${length} came back`);
      bytes += got.length;
      messages += 1;
    }
  }
  const wire = [tcp.bytesWritten - before[0], tcp.bytesRead - before[1]];
  if (!wire.every((count) => count < bytes / 2)) fail(`${bytes} bytes of messages took ${wire} on the wire`);
  socket.close(1000);
  const code = await closed;
  clearTimeout(timer);
  if (code !== 1000) fail(`closed with ${code}`);
  return messages;
}

async function main(program) {
  const counts = { passed: 0, failed: 0 };
  for (const mode of ['shared', 'dedicated']) {
    const began = Date.now();
    const { server, url } = await start(program, mode);
    let messages = 0;
    for (const serverNoContextTakeover of [false, true]) {
      for (const clientNoContextTakeover of [false, true]) {
        for (const serverMaxWindowBits of [undefined, 9, 12, 15]) {
          for (const clientMaxWindowBits of [undefined, 9, 12, 15, true]) {
            const all = { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits };
            const offered = Object.fromEntries(Object.entries(all).filter(([, value]) => value));
            // Unset, `ws` offers `client_max_window_bits`; Firefox would not.
            if (!clientMaxWindowBits) offered.clientMaxWindowBits = false;
            try {
              messages += await converse(url, mode, offered);
              counts.passed += 1;
            } catch (problem) {
              counts.failed += 1;
              console.log(`FAILED  ${mode}, ${JSON.stringify(offered)}: ${problem.message}`);
            }
          }
        }
      }
    }
    server.kill();
    await once(server, 'exit');
    console.log(`${mode}: ${messages} messages in 80 combinations (${(Date.now() - began) / 1000} s)`);
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  process.exitCode = counts.failed || counts.passed !== 160 ? 1 : 0;
}

if (!process.argv[2]) {
  console.error('usage: node ws.js ECHO');
  process.exit(2);
}
console.log(`Node ${process.version}, ws ${require('ws/package.json').version}`);
main(process.argv[2]).catch((problem) => {
  console.error(problem);
  process.exit(1);
});
