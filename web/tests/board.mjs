// A virtual board of its own for one test.

import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const here = path => fileURLToPath(new URL(path, import.meta.url));

// Below the ports that the system gives to whoever asks for any, so that nobody takes one before the board does.
let given = process.pid * 397;

export const freePort = () => new Promise(resolve => {
  const server = createServer();
  const attempt = () => server.listen(10_000 + given++ % 10_000, '127.0.0.1');
  server.on('error', attempt);
  server.on('listening', () => {
    const {port} = server.address();
    server.close(() => resolve(port));
  });
  attempt();
});

export const until = async (what, limit = 30_000) => {
  const end = Date.now() + limit;
  for (;;) {
    const value = await what().catch(() => undefined);
    if (value) return value;
    if (Date.now() > end) throw new Error(`nothing came of ${what}`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
};

/** Starts the application's program; its directory goes when the board is stopped. */
export const startBoard = async program => {
  const state = mkdtempSync(join(tmpdir(), 'bluebell-web-'));
  const [portal, panel, broker] = await Promise.all([freePort(), freePort(), freePort()]);
  const child = spawn(program, [
    '--state', state, '--air', here('air.toml'),
    '--portal', `127.0.0.1:${portal}`, '--panel', `127.0.0.1:${panel}`, '--broker', `127.0.0.1:${broker}`,
  ], {stdio: ['ignore', 'pipe', 'pipe']});
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => { output += data; });
  const board = {
    portal: `http://127.0.0.1:${portal}/`,
    panel: `http://127.0.0.1:${panel}/`,
    state: () => fetch(`${board.panel}api/state`).then(answer => answer.json()),
    air: change => fetch(`${board.panel}api/air`, {method: 'POST', body: JSON.stringify(change)}),
    stop: async () => {
      const ended = new Promise(resolve => child.once('exit', resolve));
      if (child.exitCode === null && child.kill('SIGTERM')) await ended;
      rmSync(state, {recursive: true, force: true});
    },
  };
  try {
    await until(async () => {
      if (child.exitCode !== null) throw new Error('the board has ended');
      return (await board.state()).portal;
    });
    await until(() => fetch(board.portal));
  } catch (error) {
    await board.stop();
    throw new Error(`${error.message}\n${output}`);
  }
  return board;
};
